"""What one run says to W&B, worked out from its files alone: no account, no network, and no W&B needed."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analysis import probes
from analysis.findings import Findings
from dashboards.curves import Whose, tables
from dashboards.naming import best_of, history_name, result_names
from dashboards.table import Table
from workbench.errors import UserError
from workbench.files import one_line
from workbench.results import Run
from workbench.studies import Trial

TAG = 64
"""Characters that W&B allows in a tag."""
CHECKPOINT = "last.ckpt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A sweep's trial, the study that it belongs to, and what that minimises."""

    study: str
    objectives: tuple[str, ...]
    trial: Trial


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
    tables: Mapping[str, Table] = field(default_factory=dict)
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


def run_record(run: Run, tried: Tried | None = None, *, checkpoint: bool = False) -> Record:
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
    findings = {name: entry.findings for name, entry in probes.read(run.folder).items() if entry.findings is not None}
    name = f"{task}/{architecture}/seed-{experiment.seed}"
    if tried is not None:
        name = f"{tried.study}/trial-{tried.trial.number}"
    whose: Whose = {"run": name, "architecture": architecture, "task": task, "seed": experiment.seed}
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
            for name, table in tables(found.curves, whose).items()
        },
        files={CHECKPOINT: run.folder / CHECKPOINT} if checkpoint and (run.folder / CHECKPOINT).exists() else {},
    )


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


def trial_names(tried: Tried) -> dict[str, Any]:
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


def probe_names(findings: Mapping[str, Findings]) -> dict[str, Any]:
    """The numbers and words of probes by the names of the scheme; a number that there is none of is `None`."""
    named: dict[str, Any] = {}
    for probe, found in findings.items():
        for name, number in found.numbers.items():
            key = f"probe/{probe}/{name}"
            named[key] = number.value
            ends = {"low": number.low, "high": number.high, "at_least": number.at_least or None}
            named |= {f"{key}/{end}": value for end, value in ends.items() if value is not None}
        named |= {f"word/{probe}/{name}": said for name, said in found.words.items()}
    return named
