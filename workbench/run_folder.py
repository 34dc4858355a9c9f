"""The folder of a run: where it is, whose it is, and what may be found in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line, read_yaml, write_yaml


class BusyError(UserError):
    """Another process is at work on a run."""


def run_folder(out: Path, experiment: Experiment) -> Path:
    """`out/runs/<task>/<architecture>/<hash>/seed-<n>`."""
    parts = (experiment.task.name, experiment.architecture.name)
    return run_path(out, *parts, experiment.identity, experiment.seed)


def run_path(out: Path, task: str, architecture: str, identity: str, seed: int) -> Path:
    """The folder of a run by what it is called."""
    safe = (name.replace(":", "-").replace("/", "-") for name in (task, architecture))
    return Path(out, "runs", *safe, identity, f"seed-{seed}")


def results_of(folder: Path) -> Path | None:
    """The folder of results that a run's folder is in; `None` where it was moved out of one."""
    *_, runs, _, _, _, _ = ("", "", "", "", *folder.resolve().parts)
    return folder.resolve().parents[4] if runs == "runs" else None


def check_writable(out: Path) -> Path:
    """Makes sure that results can be written below `out`.

    Raises:
        UserError: if it is a file, or nothing can be made in it.
    """
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"{out} is a file; --out names a folder for the results")
        (out / "runs").mkdir(parents=True, exist_ok=True)
        probe = out / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"cannot write to {out}: {why}; --out names a folder for the results") from None
    return out


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds a run's folder for this process alone. The lock goes with the process, however that ends.

    Raises:
        BusyError: if another process holds it.
        UserError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}; move away what stands there") from None
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"another process is at work on {folder}; wait until it has ended, or stop it") from None
    try:
        # What a killed process had begun to write; with the lock held, nobody is still at it.
        for left in folder.glob(".*.tmp"):
            left.unlink()
        yield
    finally:
        lock.release()


@contextmanager
def exclusive(out: Path) -> Iterator[None]:
    """Keeps a folder of results to one sweep at a time; its workers, wherever they are, are not concerned.

    Raises:
        UserError: if another is run there, or nothing can be written.
    """
    lock = FileLock(check_writable(out) / ".sweep.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another sweep is being run in {out}; join it with workbench sweep worker") from None
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path, experiment: Experiment) -> None:
    """Writes `config.yaml`, or makes sure that the one there is this experiment's.

    Raises:
        UserError: if it is another's: edited by hand, or written by something else.
    """
    path = folder / "config.yaml"
    if not path.exists():
        write_yaml(path, experiment.to_dict())
        return
    found = Experiment.from_dict(read_yaml(path))
    if (found.identity, found.seed) != (experiment.identity, experiment.seed):
        raise UserError(
            f"{path} was changed: it describes {found.identity}, seed {found.seed}, but the folder is that of "
            f"{experiment.identity}, seed {experiment.seed}; put it back, or move the folder away"
        )
