"""A run as the Progress page shows it, and how one is read from its folder at any time of its life."""

import csv
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line, read_yaml
from workbench.results import Run
from workbench.results import read as read_finished

State = Literal["running", "waiting", "interrupted", "failed", "unreadable", "diverged", "finished"]
ENDED: tuple[State, ...] = ("finished", "diverged")
LONGEST = 300
"""Characters shown of what went wrong."""
Stamp = tuple[int, int, int]
"""Of a file: when it was written, its size and its inode. One that is renamed into place has another inode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
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


T = TypeVar("T")


class FileCache:
    """What was read from files, for as long as they stay as they are.

    Args:
        root: the folder that is shown, resolved. A link that leads out of it is taken for no file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._values: dict[tuple[str, Path], tuple[Any, Any]] = {}

    def stamp(self, path: Path) -> Stamp | None:
        """A regular file's stamp; `None` where there is none."""
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not path.resolve().is_relative_to(self.root):
                    return None
                found = os.stat(path)
        except (OSError, ValueError):
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def value(self, what: str, path: Path, stamp: Any, make: Callable[[], T]) -> T:
        """What `make` returns, called again only for another stamp. What it raises is raised, and kept, too."""
        before = self._values.get((what, path))
        if before is None or before[0] != stamp:
            try:
                made: Any = make()
            except Exception as error:
                made = error.with_traceback(None)
            before = self._values[what, path] = (stamp, made)
        if isinstance(before[1], Exception):
            raise before[1].with_traceback(None)
        return before[1]  # type: ignore[no-any-return]


def read_status(folder: Path, kept: FileCache, running: bool) -> RunStatus | None:
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
            return RunStatus(state="diverged" if run.diverged else "finished", **known)
    except Exception as problem:
        # Whatever a damaged file leads to: it must not hide the other runs.
        return RunStatus(
            state="unreadable", said=shorten(problem, folder), **{**known, "experiment": None, "identity": None}
        )
    if running:
        return RunStatus(state="running", **known)
    if error is not None:
        said = kept.value("error", folder, error, lambda: last_error_line(folder / "error.log"))
        return RunStatus(state="failed", said=said, **known)
    return RunStatus(state="interrupted", **known)


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


def shorten(problem: Exception, folder: Path) -> str:
    """What went wrong, in a line, without the folder that stands beside it anyway."""
    said = one_line(problem).replace(f"{folder}/", "")
    said = said if isinstance(problem, UserError) else f"{type(problem).__name__}: {said}"
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def last_error_line(path: Path) -> str:
    """The last line of a traceback."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            lines = file.read(65_536).decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"error.log cannot be read: {error.strerror}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "error.log is empty")
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


TAIL = 65_536
"""Bytes at the end of the file among which its last line is; a row has a few hundred."""


def last_row(path: Path) -> dict[str, float]:
    """The last row of a `metrics.csv`, by column; an empty cell is left out, and so is what is no number.

    Raises:
        UserError: if it is no table of metrics.
    """
    try:
        with path.open("rb") as file:
            head = file.readline(TAIL)
            file.seek(max(len(head), path.stat().st_size - TAIL))
            tail = file.read(TAIL)
        names, cells = (next(csv.reader([each.decode()]), []) for each in (head, last_line(tail)))
    except (OSError, ValueError, csv.Error):
        raise UserError(f"{path.name} is no readable table of metrics") from None
    if "step" not in names:
        raise UserError(f"{path.name} is no table of metrics: it has no column step")
    row = {name: number(cell) for name, cell in zip(names, cells, strict=False)}
    if cells and not 0 <= row.get("step", math.nan) < 2**53:
        raise UserError(f"{path.name} is no table of metrics: its last step is {cells[names.index('step')][:40]!r}")
    return {name: value for name, value in row.items() if math.isfinite(value)}


def last_line(tail: bytes) -> bytes:
    """The last line with anything in it."""
    return next((line for line in reversed(tail.splitlines()) if line.strip()), b"")


def number(text: str) -> float:
    """A cell's number; NaN where it has none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
