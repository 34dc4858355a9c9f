"""Status of a run, read from its folder at any time of its life, with a cache of what was read."""

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
from workbench.experiment_file import read_experiment
from workbench.files import describe_error
from workbench.results import Run, read_run

State = Literal["running", "waiting", "interrupted", "failed", "unreadable", "diverged", "finished"]
ENDED: tuple[State, ...] = ("finished", "diverged")
MAX_MESSAGE_LENGTH = 300
"""Characters of an error that are shown."""
TAIL_BYTES = 65_536
"""Bytes at the end of a file that are searched for its last line; a row of metrics has a few hundred."""
Stamp = tuple[int, int, int]
"""Time of the last change, size and inode of a file. A file that is renamed into place has another inode."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run at one moment."""

    task: str
    architecture: str
    seed: int
    state: State
    label: str = ""
    """The architecture, with what distinguishes its configuration if there are several."""
    identity: str | None = None
    experiment: Experiment | None = None
    """`None` if unknown: the run is unreadable, or waits and needs custom code."""
    folder: Path | None = None
    total_steps: int | None = None
    steps: int = 0
    metrics: Mapping[str, float] | None = None
    """The newest row."""
    result: Mapping[str, Any] | None = None
    seconds: float | None = None
    """Time of training, without evaluation."""
    metrics_stamp: Stamp | None = None
    message: str = ""
    """The error, in one line."""
    holder: str = ""
    """Who is at work on it: a process and its machine."""
    planned: bool = False
    """True if the comparison asks for the run."""

    @property
    def share(self) -> float:
        """Share of the steps that are done; 1 if the run has ended."""
        if self.state in ENDED:
            return 1.0
        return min(1.0, self.steps / self.total_steps) if self.total_steps else 0.0

    @property
    def run(self) -> Run:
        """The run as reports know it; of an unfinished one, what its curves need."""
        assert self.experiment is not None
        result = {"status": self.state, "steps": self.steps, "diverged_at": None, "trivial_loss": None}
        return Run(
            folder=self.folder or Path(), experiment=self.experiment, result=result | {**(self.result or {})}, timing={}
        )


class FileCache:
    """Cache of values read from files, valid while the files are unchanged.

    Args:
        root: the served folder, resolved. A link that leads out of it counts as missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._values: dict[tuple[str, Path], tuple[Any, Any]] = {}

    def stamp(self, path: Path) -> Stamp | None:
        """Returns the stamp of a regular file; `None` if there is no such file."""
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if not path.resolve().is_relative_to(self.root):
                    return None
                status = os.stat(path)
        except (OSError, ValueError):
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino) if stat.S_ISREG(status.st_mode) else None

    def value(self, kind: str, path: Path, stamp: Any, make: Callable[[], T]) -> T:
        """Returns the result of `make`, which is called again only for a new stamp; its errors are cached, too."""
        cached = self._values.get((kind, path))
        if cached is None or cached[0] != stamp:
            try:
                value: Any = make()
            except Exception as error:
                value = error.with_traceback(None)
            cached = self._values[kind, path] = (stamp, value)
        if isinstance(cached[1], Exception):
            raise cached[1].with_traceback(None)
        return cached[1]  # type: ignore[no-any-return]


def read_status(folder: Path, cache: FileCache, find_holder: Callable[[], object | None]) -> RunStatus | None:
    """Reads the status of the run in a folder; returns `None` if no run has started there.

    Args:
        folder: path of the run as `workbench.run_folder` makes it.
        cache: of files read before.
        find_holder: returns who is at work on the run, `None` for nobody; called if the run has no result.
    """
    task, architecture, identity, seed = folder.parts[-4:]
    fields: dict[str, Any] = {"task": task, "architecture": architecture, "folder": folder, "seed": -1}
    config, result, metrics, timing, error_log = (
        cache.stamp(folder / name) for name in ("config.yaml", "result.json", "metrics.csv", "timing.json", "error.log")
    )
    if config is None:
        return None
    try:
        if seed.removeprefix("seed-").isdecimal():
            fields["seed"] = int(seed.removeprefix("seed-"))
        experiment = cache.value("config", folder, config, lambda: check_experiment(folder, identity, seed))
        fields |= {"task": experiment.task.name, "architecture": experiment.architecture.name, "identity": identity}
        fields |= {"experiment": experiment, "total_steps": experiment.budget.steps, "metrics_stamp": metrics}
        if metrics is not None:
            row = cache.value("metrics", folder, metrics, lambda: last_row(folder / "metrics.csv"))
            fields |= {"metrics": row, "steps": int(row.get("step", 0))}
        if result is not None:
            run = cache.value("result", folder, (config, result, timing), lambda: read_run(folder))
            fields |= {"result": run.result, "steps": run.result["steps"], "seconds": run.timing.get("seconds")}
            return RunStatus(state="diverged" if run.diverged else "finished", **fields)
    except Exception as error:
        # Any error that a damaged file causes: it must not hide the other runs.
        fields |= {"experiment": None, "identity": None}
        return RunStatus(state="unreadable", message=describe_problem(error, folder), **fields)
    if (holder := find_holder()) is not None:
        return RunStatus(state="running", holder=str(holder), **fields)
    if error_log is not None:
        message = cache.value("error", folder, error_log, lambda: last_error_line(folder / "error.log"))
        return RunStatus(state="failed", message=message, **fields)
    return RunStatus(state="interrupted", **fields)


def check_experiment(folder: Path, identity: str, seed: str) -> Experiment:
    """Reads the experiment of a folder.

    Raises:
        UserError: if the folder is named after another experiment.
    """
    experiment = read_experiment(folder / "config.yaml")
    if (experiment.identity, f"seed-{experiment.seed}") != (identity, seed):
        raise UserError(
            f"config.yaml was changed: it describes {experiment.identity}, seed {experiment.seed}, but the folder is "
            f"that of {identity}, {seed}"
        )
    return experiment


def describe_problem(error: Exception, folder: Path) -> str:
    """Describes an error in one line, without the path of the folder, which is shown beside it."""
    message = describe_error(error).replace(f"{folder}/", "")
    return shorten(message if isinstance(error, UserError) else f"{type(error).__name__}: {message}")


def last_error_line(path: Path) -> str:
    """Returns the last line of a traceback."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"error.log cannot be read: {error.strerror}"
    return shorten(next((line.strip() for line in reversed(lines) if line.strip()), "error.log is empty"))


def shorten(message: str) -> str:
    """Cuts a message to the length that is shown."""
    return message if len(message) <= MAX_MESSAGE_LENGTH else f"{message[: MAX_MESSAGE_LENGTH - 3]}..."


def last_row(path: Path) -> dict[str, float]:
    """Returns the last row of a `metrics.csv` by column, without cells that are empty or not finite numbers.

    Raises:
        UserError: if the file is not a table of metrics.
    """
    try:
        with path.open("rb") as file:
            head = file.readline(TAIL_BYTES)
            file.seek(max(len(head), path.stat().st_size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
        names, cells = (next(csv.reader([line.decode()]), []) for line in (head, last_filled_line(tail)))
    except (OSError, ValueError, csv.Error):
        raise UserError(f"{path.name} is not a readable table of metrics") from None
    if "step" not in names:
        raise UserError(f"{path.name} is not a table of metrics: it has no column step")
    row = {name: parse_number(cell) for name, cell in zip(names, cells, strict=False)}
    if cells and not 0 <= row.get("step", math.nan) < 2**53:
        raise UserError(f"{path.name} is not a table of metrics: its last step is {cells[names.index('step')][:40]!r}")
    return {name: value for name, value in row.items() if math.isfinite(value)}


def last_filled_line(tail: bytes) -> bytes:
    """Returns the last line that is not blank."""
    return next((line for line in reversed(tail.splitlines()) if line.strip()), b"")


def parse_number(text: str) -> float:
    """Parses a cell; returns NaN if it is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
