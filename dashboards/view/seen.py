"""A run as the Progress page shows it, and how one is read from its folder at any time of its life."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dashboards.view.kept import Kept, Stamp
from dashboards.view.metrics import last_row
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line, read_yaml
from workbench.results import Run
from workbench.results import read as read_finished

State = Literal["running", "waiting", "interrupted", "failed", "unreadable", "diverged", "finished"]
ENDED: tuple[State, ...] = ("finished", "diverged")
LONGEST = 300
"""Characters shown of what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One run at one moment."""

    task: str
    architecture: str
    seed: int
    state: State
    label: str = ""
    """The architecture, with what tells its configuration apart where there are several."""
    identity: str | None = None
    experiment: Experiment | None = None
    """`None` where none is known: it cannot be read, or stands for code of the user's own, not begun."""
    folder: Path | None = None
    asked: int | None = None
    made: int = 0
    metrics: Mapping[str, float] | None = None
    """The newest row."""
    result: Mapping[str, Any] | None = None
    seconds: float | None = None
    """That its training took, evaluation apart."""
    stamp: Stamp | None = None
    """Of its metrics."""
    said: str = ""
    """What went wrong, in a line."""
    planned: bool = False
    """Whether the comparison asks for it."""

    @property
    def share(self) -> float:
        """How much of it is done: all of one that has ended."""
        if self.state in ENDED:
            return 1.0
        return min(1.0, self.made / self.asked) if self.asked else 0.0

    @property
    def run(self) -> Run:
        """As reports know runs; of one that is not finished, what its curves need."""
        assert self.experiment is not None
        made = {"status": self.state, "steps": self.made, "diverged_at": None, "trivial_loss": None}
        return Run(
            folder=self.folder or Path(), experiment=self.experiment, result={**made, **(self.result or {})}, timing={}
        )


def look(folder: Path, kept: Kept, running: bool) -> Seen | None:
    """The run in a folder; `None` where none was begun.

    Args:
        folder: named as the bench names those of runs.
        kept: what was read before.
        running: whether a process is at work on it.
    """
    task, architecture, identity, seed = folder.parts[-4:]
    known: dict[str, Any] = {"task": task, "architecture": architecture, "folder": folder, "seed": -1}
    config, result, metrics, timing, error = (
        kept.stamp(folder / name) for name in ("config.yaml", "result.json", "metrics.csv", "timing.json", "error.log")
    )
    if config is None:
        return None
    try:
        if seed.removeprefix("seed-").isdecimal():
            known["seed"] = int(seed.removeprefix("seed-"))
        experiment = kept.value("config", folder, config, lambda: configured(folder, identity, seed))
        known |= {"task": experiment.task.name, "architecture": experiment.architecture.name}
        known |= {"experiment": experiment, "identity": identity, "asked": experiment.budget.steps, "stamp": metrics}
        if metrics is not None:
            row = kept.value("metrics", folder, metrics, lambda: last_row(folder / "metrics.csv"))
            known |= {"metrics": row, "made": int(row.get("step", 0))}
        if result is not None:
            run = kept.value("result", folder, (config, result, timing), lambda: read_finished(folder))
            known |= {"result": run.result, "made": run.result["steps"], "seconds": run.timing.get("seconds")}
            return Seen(state="diverged" if run.diverged else "finished", **known)
    except Exception as problem:
        # Whatever a damaged file leads to: it must not hide the other runs.
        return Seen(
            state="unreadable", said=shortened(problem, folder), **{**known, "experiment": None, "identity": None}
        )
    if running:
        return Seen(state="running", **known)
    if error is not None:
        said = kept.value("error", folder, error, lambda: last_words(folder / "error.log"))
        return Seen(state="failed", said=said, **known)
    return Seen(state="interrupted", **known)


def configured(folder: Path, identity: str, seed: str) -> Experiment:
    """The experiment of a folder.

    Raises:
        UserError: if it is not the one that the folder is named after.
    """
    experiment = Experiment.from_dict(read_yaml(folder / "config.yaml"))
    if (experiment.identity, f"seed-{experiment.seed}") != (identity, seed):
        raise UserError(
            f"config.yaml was changed: it describes {experiment.identity}, seed {experiment.seed}, but the folder is "
            f"that of {identity}, {seed}"
        )
    return experiment


def shortened(problem: Exception, folder: Path) -> str:
    """What went wrong, in a line, without the folder that stands beside it anyway."""
    said = one_line(problem).replace(f"{folder}/", "")
    said = said if isinstance(problem, UserError) else f"{type(problem).__name__}: {said}"
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def last_words(path: Path) -> str:
    """The last line of a traceback."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            lines = file.read(65_536).decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"error.log cannot be read: {error.strerror}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "error.log is empty")
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."
