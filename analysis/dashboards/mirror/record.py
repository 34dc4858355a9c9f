"""Records of runs, trials and comparisons for W&B, built from their files: no account, no network, no wandb needed."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.dashboards.mirror.naming import (
    RunColumns,
    WandbTable,
    best_direction,
    curve_tables,
    history_name,
    result_summary,
)
from analysis.probes import records
from analysis.probes.result import ProbeResult
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error, read_yaml
from workbench.results import Run
from workbench.study_files import Trial
from workbench.tasks.file_names import without_folders

MAX_TAG_LENGTH = 64
"""Characters that W&B allows in a tag."""
CHECKPOINT = "last.ckpt"
CONFIG_FILES = ("comparison", "sweep")
"""YAML files with the requested configuration."""
TABLES = ("comparison", "analysis", "tuning")
"""CSV files that come with a report."""
COMPARISON_JOB_TYPE = "comparison"
REPORT_FILE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialInfo:
    """A sweep's trial with the name and the objectives of its study."""

    study: str
    objectives: tuple[str, ...]
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run as W&B shows it."""

    id: str
    """Id in the project. The same experiment always has the same id, so that sending it again replaces it."""
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    best: Mapping[str, str] = field(default_factory=dict)
    """For metrics of the history, which value the summary keeps: `min` or `max`."""
    history: tuple[Mapping[str, float], ...] = ()
    """Rows, each with a `step`."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, WandbTable] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    """PNG files."""
    pages: Mapping[str, Path] = field(default_factory=dict)
    """Self-contained HTML files."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files that become artifacts: checkpoints, if requested."""

    @property
    def names(self) -> frozenset[str]:
        """Every name under which something is logged."""
        rows = {name for row in self.history for name in row}
        return frozenset(rows | {*self.summary, *self.tables, *self.images, *self.pages})

    @property
    def content(self) -> str:
        """A hash of everything that is shown; files count by their bytes."""
        attached = {**self.images, **self.pages, **self.files}
        plain = {
            **{key: getattr(self, key) for key in ("id", "name", "group", "job_type", "tags", "config", "best")},
            "history": self.history,
            "summary": self.summary,
            "tables": {name: asdict(table) for name, table in self.tables.items()},
            "attached": {name: file_hash(path) for name, path in attached.items()},
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def run_record(run: Run, trial_info: TrialInfo | None = None, *, checkpoint: bool = False) -> Record:
    """Builds the record of a run: its metrics, its result, the results of its probes, and its trial.

    Args:
        run: finished, or pruned.
        trial_info: the trial that the run belongs to; `None` for runs of comparisons, among them a sweep's winners.
        checkpoint: whether the trained weights are included.

    Raises:
        UserError: if a file cannot be read.
    """
    experiment = run.experiment
    state = run.result["status"] if trial_info is None else trial_info.trial.state
    trial = None if trial_info is None else (trial_info.study, trial_info.trial.number)
    heading = record_heading(experiment, state, trial)
    rows = read_history(run)
    validated = sorted({name for row in rows for name in row if name.startswith("val/")})
    best = {name: best_direction(name.removeprefix("val/"), run.result.get("criterion")) for name in validated}
    results = {
        name: record.result for name, record in records.read_records(run.folder).items() if record.result is not None
    }
    run_columns: RunColumns = {
        "run": heading.name,
        "architecture": experiment.architecture.name,
        "task": experiment.task.name,
        "seed": experiment.seed,
    }
    return replace(
        heading,
        best={name: direction for name, direction in best.items() if direction is not None},
        history=rows,
        summary={
            **result_summary(run.result, run.timing, "run" if trial_info is None else "trial"),
            **({} if trial_info is None else trial_summary(trial_info)),
            **probe_summary(results),
        },
        tables={
            f"curve/{probe}/{name}": table
            for probe, result in results.items()
            for name, table in curve_tables(result.curves, run_columns).items()
        },
        files={CHECKPOINT: run.folder / CHECKPOINT} if checkpoint and (run.folder / CHECKPOINT).exists() else {},
    )


def record_heading(experiment: Experiment, state: str, trial: tuple[str, int] | None) -> Record:
    """Returns the record of a run without anything that was logged.

    Args:
        experiment: of the run.
        state: the state of the run or of its trial, such as finished.
        trial: the study and the number of the trial that it belongs to.
    """
    task, architecture = experiment.task.name, experiment.architecture.name
    tags = (task, architecture, state, *(() if trial is None else ("trial",)))
    return Record(
        id=f"{experiment.identity}-{experiment.seed}",
        name=f"{task}/{architecture}/seed-{experiment.seed}" if trial is None else f"{trial[0]}/trial-{trial[1]}",
        group=experiment.identity if trial is None else trial[0],
        job_type=task,
        tags=tuple(tag[:MAX_TAG_LENGTH] for tag in tags),
        config=experiment.to_dict(),
    )


def comparison_record(out: Path, id: str) -> Record | None:  # noqa: A002
    """Builds the record of the comparison in a folder as its report shows it; `None` if there is no report yet.

    Args:
        out: the folder of results.
        id: of the record in its W&B project.

    Raises:
        UserError: if a file cannot be read.
    """
    report = out / REPORT_FILE
    if not report.is_file():
        return None
    tables = {f"table/{name}": read_table(out / f"{name}.csv") for name in TABLES if (out / f"{name}.csv").exists()}
    config = {
        name: without_folders(read_yaml(out / f"{name}.yaml"))
        for name in CONFIG_FILES
        if (out / f"{name}.yaml").exists()
    }
    tasks = sorted({task for settings in config.values() for task in parse_names(settings.get("tasks"))})
    return Record(
        id=id,
        name=f"{out.resolve().name}: report",
        group=COMPARISON_JOB_TYPE,
        job_type=COMPARISON_JOB_TYPE,
        tags=tuple(tag[:MAX_TAG_LENGTH] for tag in (COMPARISON_JOB_TYPE, *tasks)),
        config=config,
        tables=tables,
        images={f"figure/{path.stem}": path for path in sorted((out / "figures").glob("*.png")) if path.is_file()},
        pages={"report/page": report},
    )


def read_history(run: Run) -> tuple[dict[str, float], ...]:
    """Reads the rows of `metrics.csv` by their W&B names, without missing values.

    Raises:
        UserError: if the file is absent, or not a table of numbers.
    """
    try:
        return tuple(
            {history_name(str(key)): value for key, value in row.items() if not math.isnan(value)}
            for row in run.metrics().to_dict("records")
        )
    except (OSError, ValueError, TypeError) as error:
        path = run.folder / "metrics.csv"
        raise UserError(f"{path} is not a table of numbers ({describe_error(error)}); move {run.folder} away") from None


def trial_summary(trial_info: TrialInfo) -> dict[str, Any]:
    """Returns the values of a trial by their W&B names."""
    trial = trial_info.trial
    scores = () if trial.values is None else zip(trial_info.objectives, trial.values, strict=True)
    return {
        "trial/study": trial_info.study,
        "trial/number": trial.number,
        "trial/place": trial.place,
        "trial/state": trial.state,
        "trial/default": trial.default,
        **{f"trial/{name}": value for name, value in scores},
        **{f"trial/params/{name}": value for name, value in trial.params.items()},
    }


def probe_summary(results: Mapping[str, ProbeResult]) -> dict[str, Any]:
    """Returns the metrics and labels of probes by their W&B names; a metric without a value is `None`."""
    summary: dict[str, Any] = {}
    for probe, result in results.items():
        for name, metric in result.metrics.items():
            key = f"probe/{probe}/{name}"
            summary[key] = metric.value
            details = {"low": metric.low, "high": metric.high, "at_least": metric.censored or None}
            summary |= {f"{key}/{detail}": value for detail, value in details.items() if value is not None}
        summary |= {f"word/{probe}/{name}": label for name, label in result.labels.items()}
    return summary


def parse_names(names: Any) -> list[str]:
    """Returns the names in a list from a YAML file; empty if it is not a list."""
    return [name for name in names if isinstance(name, str) and name] if isinstance(names, list) else []


def read_table(path: Path) -> WandbTable:
    """Reads a CSV file: numbers become numbers, and empty cells `None`.

    Raises:
        UserError: if it is not a CSV file.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not a readable table ({describe_error(error)}); write it again: workbench report"
        ) from None
    return WandbTable(
        columns=tuple(map(str, frame.columns)),
        rows=tuple(tuple(plain_value(value) for value in row) for row in frame.itertuples(index=False)),
    )


def plain_value(value: Any) -> Any:
    """Returns a cell of a table as a plain Python value; `None` for NaN."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain


def file_hash(path: Path) -> str:
    """Returns the hash of a file, which may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
