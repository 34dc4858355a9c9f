"""Folders of runs: their paths, their locks, and the check that a folder belongs to its experiment."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import ensure_writable, read_yaml, write_yaml
from workbench.locks import check_locks, file_lock

LOCK_SECONDS = 0.5
"""Seconds to wait for the lock of a run: `workbench view` holds it for a moment to see whether the run is under way."""

LOCK_TRIES = 5
"""How often a folder that disappears is made again before its lock is given up."""


class BusyError(UserError):
    """Another process has locked the folder of a run."""


def run_folder(out: Path, experiment: Experiment) -> Path:
    """Returns the folder of an experiment's run: `out/runs/<task>/<architecture>/<hash>/seed-<n>`."""
    names = (experiment.task.name, experiment.architecture.name)
    return run_path(out, *names, experiment.identity, experiment.seed)


def run_path(out: Path, task: str, architecture: str, identity: str, seed: int) -> Path:
    """Returns the folder of a run from the names that its path is made of."""
    safe_names = (name.replace(":", "-").replace("/", "-") for name in (task, architecture))
    return Path(out, "runs", *safe_names, identity, f"seed-{seed}")


def results_folder(folder: Path) -> Path | None:
    """Returns the folder of results that contains a run's folder; `None` if it was moved out of one."""
    *_, runs, _, _, _, _ = ("", "", "", "", *folder.resolve().parts)
    return folder.resolve().parents[4] if runs == "runs" else None


def check_writable(out: Path) -> Path:
    """Makes sure that results can be written below `out`, and returns it.

    Raises:
        UserError: if it is a file, or nothing can be written in it.
    """
    advice = "--out names a folder for the results"
    # Unlike the methods of Path, these never raise, whatever the path is.
    if os.path.exists(out) and not os.path.isdir(out):
        raise UserError(f"{out} is a file; {advice}")
    try:
        ensure_writable(out)
        ensure_writable(out / "runs")
    except UserError as error:
        raise UserError(f"{error}; {advice}") from None
    # Before anything is started, so that what a file system lacks is said by the command, and not by its processes.
    check_locks(out / "runs")
    return out


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Locks a run's folder for this process. The lock ends with the process, however that ends.

    Raises:
        BusyError: if another process has locked it.
        UserError: if the folder cannot be created.
    """
    with ExitStack() as stack:
        for attempt in range(LOCK_TRIES):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(
                    f"cannot create the folder {folder}: {error.strerror}; move the file that is in the way"
                ) from None
            try:
                lock = file_lock(folder / ".lock", timeout=LOCK_SECONDS, poll_seconds=LOCK_SECONDS / 25)
                stack.enter_context(lock)
                break
            except Timeout:
                raise BusyError(
                    f"another process is at work on {folder}; wait until it has ended, or stop it"
                ) from None
            except FileNotFoundError:
                # The folder was removed in between, by `workbench rm`.
                if attempt == LOCK_TRIES - 1:
                    raise
        # Files that a killed process had begun to write: with the lock held, no other process writes them now.
        for unfinished in folder.glob(".*.tmp"):
            unfinished.unlink()
        yield


def check_free(folder: Path) -> None:
    """Makes sure that no other process is at work on a run, without keeping it from work.

    Raises:
        BusyError: if one is.
    """
    if (folder / ".lock").exists():
        with run_lock(folder):
            pass


@contextmanager
def sweep_lock(out: Path) -> Iterator[None]:
    """Locks a folder of results for one sweep. The sweep's workers, on whatever machine, do not need the lock.

    Raises:
        UserError: if another sweep is running there, or nothing can be written.
    """
    path = check_writable(out) / ".sweep.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, timeout=0))
        except Timeout:
            raise UserError(f"another sweep is being run in {out}; join it with workbench sweep worker") from None
        yield


def claim(folder: Path, experiment: Experiment) -> None:
    """Writes `config.yaml`, or makes sure that the existing one describes this experiment.

    Raises:
        UserError: if it describes another one: it was edited by hand, or written by something else.
    """
    path = folder / "config.yaml"
    if not path.exists():
        write_yaml(path, experiment.to_config())
        return
    existing = Experiment.from_dict(read_yaml(path))
    if (existing.identity, existing.seed) != (experiment.identity, experiment.seed):
        raise UserError(
            f"{path} was changed: it describes {existing.identity}, seed {existing.seed}, but the folder is that of "
            f"{experiment.identity}, seed {experiment.seed}; put it back, or move the folder away"
        )
