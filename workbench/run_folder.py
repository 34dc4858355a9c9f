"""Folders of runs: their paths, their locks, and the check that a folder belongs to its experiment."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.files import ensure_writable, write_yaml
from workbench.leases import (
    LEASE_FILE,
    HeldError,
    Holder,
    Lease,
    LeaseWatch,
    end_lease,
    hold_lease,
    machine_id,
    read_holder,
    remove_leftovers,
)
from workbench.locks import check_locks, file_lock, is_locked

LOCK_SECONDS = 0.5
"""Seconds to wait for the lock of a run: `workbench view` holds it for a moment to see whether the run is under way."""

LOCK_FILE = ".lock"

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
def run_lock(folder: Path) -> Iterator[Lease]:
    """Locks a run's folder for this process, for all processes on this machine and elsewhere.

    Two things keep others away. The lock ends with the process, however that ends, but may be this machine's alone;
    the lease that is yielded holds everywhere, and that of a machine that has died is free after a while
    (`workbench.leases`). Whoever keeps the lock for long asks the lease whether it is still held.

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
                lock = file_lock(folder / LOCK_FILE, timeout=LOCK_SECONDS, poll_seconds=LOCK_SECONDS / 25)
                locked = stack.enter_context(lock)
                lease = stack.enter_context(hold_lease(folder, _watch, alone=locked))
                break
            except Timeout:
                if not _unlock_dead(folder):
                    raise _busy_error(folder, read_holder(folder / LEASE_FILE)) from None
            except HeldError as error:
                raise _busy_error(folder, error.holder) from None
            except FileNotFoundError:
                # The folder was removed in between, by `workbench rm`.
                stack.close()
                if attempt == LOCK_TRIES - 1:
                    raise
        else:
            raise _busy_error(folder, read_holder(folder / LEASE_FILE))
        remove_leftovers(lease)
        # Files that a killed process had begun to write: with the lock held, no other process writes them now. To list
        # the folder also lets a network file system forget what it believed to be there before.
        for unfinished in folder.glob(".*.tmp"):
            unfinished.unlink(missing_ok=True)
        yield lease


def find_holder(folder: Path) -> Holder | None:
    """Returns who is at work on a run; `None` if nobody is, or nobody is any more that can be told to have ended.

    A holder that is seen for the first time counts as alive if it is on another machine. Nothing is kept from work.
    """
    try:
        with file_lock(folder / LOCK_FILE, timeout=0) as locked:
            holder = read_holder(folder / LEASE_FILE)
            if holder is not None and _watch.is_dead(folder / LEASE_FILE, holder, alone=locked):
                end_lease(folder / LEASE_FILE, holder, _watch)
                holder = read_holder(folder / LEASE_FILE)
            return holder
    except Timeout:
        return None if _unlock_dead(folder) else read_holder(folder / LEASE_FILE) or Holder()
    except FileNotFoundError:
        return None


def see_holder(folder: Path, watch: LeaseWatch) -> Holder | None:
    """Returns who is at work on a run, as far as reading tells; `None` if nobody is.

    Args:
        folder: the run's.
        watch: has seen its lease before, if this is not the first look.
    """
    locked, holder = is_locked(folder / LOCK_FILE), read_holder(folder / LEASE_FILE)
    if locked:
        return holder or Holder()
    if holder is None or watch.is_dead(folder / LEASE_FILE, holder, alone=locked is False):
        return None
    return holder


def _busy_error(folder: Path, holder: Holder | None) -> BusyError:
    who = f" ({holder})" if holder is not None and holder.token else ""
    return BusyError(f"another process is at work on {folder}{who}; wait until it has ended, or stop it")


def _unlock_dead(folder: Path) -> bool:
    """Removes the lock of another machine that has died while its server does not know that; returns if it did so."""
    holder = read_holder(folder / LEASE_FILE)
    try:
        if holder is None or not holder.token or holder.machine == machine_id(folder):
            # The lock of a living process of this machine, be it suspended.
            return False
        if not _watch.is_dead(folder / LEASE_FILE, holder, alone=False):
            return False
        (folder / LOCK_FILE).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def check_free(folder: Path) -> None:
    """Makes sure that no other process is at work on a run, without keeping it from work.

    Raises:
        BusyError: if one is.
    """
    if (folder / LOCK_FILE).exists() or (folder / LEASE_FILE).exists():
        with run_lock(folder):
            pass


_watch = LeaseWatch()
"""What this process has seen of the leases of others."""


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
    existing = read_experiment(path)
    if (existing.identity, existing.seed) != (experiment.identity, experiment.seed):
        raise UserError(
            f"{path} was changed: it describes {existing.identity}, seed {existing.seed}, but the folder is that of "
            f"{experiment.identity}, seed {experiment.seed}; put it back, or move the folder away"
        )
