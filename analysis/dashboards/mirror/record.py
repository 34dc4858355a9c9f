"""What one run says to W&B, worked out from its files alone: no account, no network, and no W&B needed."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.dashboards.mirror.naming import RunColumns, WandbTable, best_of, curve_tables, history_name, result_names
from analysis.probes import registry
from analysis.probes.result import ProbeResult
from workbench.errors import UserError
from workbench.files import one_line, read_yaml
from workbench.results import Run
from workbench.study_files import Trial

TAG = 64
"""Characters that W&B allows in a tag."""
CHECKPOINT = "last.ckpt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialInfo:
    """A sweep's trial, the study that it belongs to, and what that minimises."""

    study: str
    objectives: tuple[str, ...]
    trial: Trial


def history(run: Run) -> tuple[dict[str, float], ...]:
    """The rows of `metrics.csv` by the names of the scheme, without what is missing.

    Raises:
        UserError: if it is absent, or no table of numbers.
    """
    try:
        return tuple(
            {history_name(str(key)): value for key, value in row.items() if not math.isnan(value)}
            for row in run.metrics().to_dict("records")
        )
    except (OSError, ValueError, TypeError) as error:
        path = run.folder / "metrics.csv"
        raise UserError(f"{path} is no table of numbers ({one_line(error)}); move {run.folder} away") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run as W&B shows it."""

    id: str
    """In its project. The same experiment always has the same, so that sending it again replaces it."""
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    best: Mapping[str, str] = field(default_factory=dict)
    """For metrics of the history, which value the summary keeps: `min` or `max`."""
    history: tuple[Mapping[str, float], ...] = ()
    """Rows with a `step` each."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, WandbTable] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    """PNG files."""
    pages: Mapping[str, Path] = field(default_factory=dict)
    """HTML files, each of which stands alone."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """What goes along as artifacts: checkpoints, where they were asked for."""

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
            "attached": {name: digest(path) for name, path in attached.items()},
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def digest(path: Path) -> str:
    """The hash of a file, which may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_id(run: Run) -> str:
    """The run's id in its W&B project."""
    return f"{run.experiment.identity}-{run.experiment.seed}"


def run_record(run: Run, tried: TrialInfo | None = None, *, checkpoint: bool = False) -> Record:
    """What a run says: its metrics, its result, what probes have found in it, and its place in a sweep.

    Args:
        run: finished, or pruned.
        tried: what it is to a sweep; `None` for the runs of comparisons, a sweep's winners among them.
        checkpoint: whether the trained weights go along.

    Raises:
        UserError: if a file cannot be read.
    """
    experiment = run.experiment
    task, architecture = experiment.task.name, experiment.architecture.name
    state = run.result["status"] if tried is None else tried.trial.state
    rows = history(run)
    scored = {name for row in rows for name in row if name.startswith("val/")}
    best = {name: best_of(name.removeprefix("val/"), run.result.get("criterion")) for name in sorted(scored)}
    findings = {
        name: entry.result for name, entry in registry.read_records(run.folder).items() if entry.result is not None
    }
    name = f"{task}/{architecture}/seed-{experiment.seed}"
    if tried is not None:
        name = f"{tried.study}/trial-{tried.trial.number}"
    whose: RunColumns = {"run": name, "architecture": architecture, "task": task, "seed": experiment.seed}
    return Record(
        id=run_id(run),
        name=name,
        group=experiment.identity if tried is None else tried.study,
        job_type=task,
        tags=tuple(label[:TAG] for label in (task, architecture, state, *(() if tried is None else ("trial",)))),
        config=experiment.to_dict(),
        best={name: which for name, which in best.items() if which is not None},
        history=rows,
        summary={
            **result_names(run.result, run.timing, "run" if tried is None else "trial"),
            **({} if tried is None else trial_names(tried)),
            **probe_names(findings),
        },
        tables={
            f"curve/{probe}/{name}": table
            for probe, found in findings.items()
            for name, table in curve_tables(found.curves, whose).items()
        },
        files={CHECKPOINT: run.folder / CHECKPOINT} if checkpoint and (run.folder / CHECKPOINT).exists() else {},
    )


def trial_names(tried: TrialInfo) -> dict[str, Any]:
    """A trial by the names of the scheme."""
    trial = tried.trial
    scores = () if trial.values is None else zip(tried.objectives, trial.values, strict=True)
    return {
        "trial/study": tried.study,
        "trial/number": trial.number,
        "trial/place": trial.place,
        "trial/state": trial.state,
        "trial/default": trial.default,
        **{f"trial/{name}": value for name, value in scores},
        **{f"trial/params/{name}": value for name, value in trial.params.items()},
    }


def probe_names(findings: Mapping[str, ProbeResult]) -> dict[str, Any]:
    """The numbers and words of probes by the names of the scheme; a number that there is none of is `None`."""
    named: dict[str, Any] = {}
    for probe, found in findings.items():
        for name, number in found.metrics.items():
            key = f"probe/{probe}/{name}"
            named[key] = number.value
            ends = {"low": number.low, "high": number.high, "at_least": number.censored or None}
            named |= {f"{key}/{end}": value for end, value in ends.items() if value is not None}
        named |= {f"word/{probe}/{name}": said for name, said in found.labels.items()}
    return named


CONFIG_FILES = ("comparison", "sweep")
"""YAML files that say what was asked for."""
TABLES = ("comparison", "analysis", "tuning")
"""CSV files that come with a report."""
JOB = "comparison"
PAGE = "report.html"


def whole_record(out: Path, id: str) -> Record | None:  # noqa: A002
    """The comparison in a folder, as its report shows it; `None` where there is no report yet.

    Args:
        out: the folder of results.
        id: of the record in its W&B project.

    Raises:
        UserError: if a file cannot be read.
    """
    page = out / PAGE
    if not page.is_file():
        return None
    tables = {f"table/{name}": read_table(out / f"{name}.csv") for name in TABLES if (out / f"{name}.csv").exists()}
    config = {name: read_yaml(out / f"{name}.yaml") for name in CONFIG_FILES if (out / f"{name}.yaml").exists()}
    tasks = sorted({task for asked in config.values() for task in join_list(asked.get("tasks"))})
    return Record(
        id=id,
        name=f"{out.resolve().name}: report",
        group=JOB,
        job_type=JOB,
        tags=tuple(tag[:TAG] for tag in (JOB, *tasks)),
        config=config,
        tables=tables,
        images={f"figure/{path.stem}": path for path in sorted((out / "figures").glob("*.png")) if path.is_file()},
        pages={"report/page": page},
    )


def join_list(names: Any) -> list[str]:
    """The names that a YAML file lists; none where it is something else."""
    return [name for name in names if isinstance(name, str) and name] if isinstance(names, list) else []


def read_table(path: Path) -> WandbTable:
    """A CSV file: what looks like numbers is numbers, and what is empty is `None`.

    Raises:
        UserError: if it is none.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no readable table ({one_line(error)}); write it again: workbench report") from None
    return WandbTable(
        columns=tuple(map(str, frame.columns)),
        rows=tuple(tuple(read_cell(value) for value in row) for row in frame.itertuples(index=False)),
    )


def read_cell(value: Any) -> Any:
    """A cell of a table as plain Python has it."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
