"""The runs that a command has yet to see finished: the free ones, and those that other processes are at work on."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.leases import LEASE_FILE, LeaseWatch, read_holder
from workbench.locks import is_locked
from workbench.run_folder import LOCK_FILE, claim, find_holder, run_folder, see_holder

LOOK_SECONDS, MAX_LOOK_SECONDS = 1.0, 10.0
"""Seconds between two looks at the runs that other processes are at work on: the least, and the most."""
LOOK_SHARE = 0.05
"""Share of the time that these looks take at most, between the two, where there are many runs, or the disk is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened to a run."""

    kind: Literal["step", "note", "elsewhere", "finished", "stopped", "busy", "refused", "failed"]
    """`elsewhere`: another process is at work on it, and as far as `step` says."""
    step: int = 0
    text: str = ""
    place: int = 0
    """Its place among the runs that a process has at a time."""


Listener = Callable[[int, RunEvent], None]
"""Receives the index of an experiment and what happened to its run."""


class RunQueue:
    """Runs to be trained, of which other processes, on this machine or on others, may take some.

    Args:
        out: the folder of results.
        experiments: what to run.
        listen: called with what others have done to a run: its steps, its end, its failure.
    """

    def __init__(self, out: Path, experiments: Sequence[Experiment], listen: Listener) -> None:
        self._experiments, self._listen = experiments, listen
        self._folders = [run_folder(out, experiment) for experiment in experiments]
        self._free = deque(range(len(experiments)))
        self._held: dict[int, tuple[int, int] | None] = {}
        """Runs that others are at work on, each with the stamp that its `error.log` had before."""
        self._look_at = 0.0
        self._watch = LeaseWatch()

    @property
    def has_free(self) -> bool:
        """True if there is a run that nobody was seen at work on."""
        return bool(self._free)

    @property
    def held(self) -> list[int]:
        """Indices of the runs that others are at work on."""
        return sorted(self._held)

    def take(self) -> int | None:
        """Returns the index of the next free run; `None` if there is none now."""
        while self._free:
            if self._is_had(index := self._free.popleft()):
                return index
        return None

    def take_like(self, index: int, most: int) -> list[int]:
        """Returns the indices of the next free runs that differ from a run that was taken in their seeds alone.

        Args:
            index: of that run.
            most: how many to take.
        """
        identity = self._experiments[index].identity
        taken: list[int] = []
        for other in list(self._free):
            if len(taken) >= most:
                break
            if self._experiments[other].identity == identity:
                self._free.remove(other)
                if self._is_had(other):
                    taken.append(other)
        return taken

    def _is_had(self, index: int) -> bool:
        """Returns whether a run is free, for certain; if not, notes what it is."""
        if self._is_over(index):
            return False
        folder = self._folders[index]
        # Two looks that write nothing, of which the second sees what is on other machines.
        if not is_locked(folder / LOCK_FILE) and (
            read_holder(folder / LEASE_FILE) is None or find_holder(folder) is None
        ):
            return True
        self.put_back(index)
        return False

    def put_back(self, index: int) -> None:
        """Notes that another process is at work on a run after all."""
        self._held[index] = error_stamp(self._folders[index])

    def look(self, *, taking: bool = True, at_once: bool = False) -> None:
        """Looks, once a second at most, what has become of the runs that others are at work on.

        Args:
            taking: whether runs that have become free are to be had by `take`. If not, all runs are left to others, and
                nothing is written.
            at_once: whether to look even if the last look was a moment ago.
        """
        start = time.monotonic()
        if start < self._look_at and not at_once:
            return
        if not taking:
            while self._free:
                self.put_back(self._free.popleft())
        freed = []
        for index, stamp in list(self._held.items()):
            folder = self._folders[index]
            if self._is_over(index):
                continue
            holder = find_holder(folder) if taking else see_holder(folder, self._watch)
            if holder is not None:
                self._listen(index, RunEvent(kind="elsewhere", step=holder.step, text=str(holder)))
                continue
            # It may have ended between the two looks.
            if self._is_over(index):
                continue
            failed = error_stamp(folder) not in (None, stamp)
            if failed or taking:
                del self._held[index]
            if failed:
                text = f"it failed in another process (see {folder / 'error.log'})"
                self._listen(index, RunEvent(kind="failed", text=text))
            elif taking:
                freed.append(index)
        # They were begun first.
        self._free.extendleft(reversed(freed))
        end = time.monotonic()
        self._look_at = end + min(MAX_LOOK_SECONDS, max(LOOK_SECONDS, (end - start) / LOOK_SHARE))

    def drain(self) -> list[int]:
        """Returns the indices of all runs that are left, and forgets them."""
        left = sorted([*self._free, *self._held])
        self._free.clear()
        self._held.clear()
        return left

    def _is_over(self, index: int) -> bool:
        """Returns whether a run was finished by somebody else, and tells of it."""
        folder = self._folders[index]
        if not (folder / "result.json").exists():
            return False
        self._held.pop(index, None)
        try:
            claim(folder, self._experiments[index])
        except UserError as error:
            self._listen(index, RunEvent(kind="refused", text=str(error)))
        else:
            self._listen(index, RunEvent(kind="finished"))
        return True


def error_stamp(folder: Path) -> tuple[int, int] | None:
    """Returns what tells one `error.log` of a run from the next; `None` if there is none."""
    try:
        status = (folder / "error.log").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
