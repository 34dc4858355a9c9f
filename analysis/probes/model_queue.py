"""The models that a command has yet to see probed: the free ones, and those that other processes are at work on."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.probes.runner import EventHandler, ProbeEvent, ProbeJob
from workbench.leases import LEASE_FILE, read_holder
from workbench.locks import is_locked
from workbench.run_folder import LOCK_FILE, find_holder

LOOK_SECONDS = 1.0
"""Seconds between two looks at the models that other processes are at work on."""


@dataclass(slots=True, kw_only=True)
class ModelTask:
    """A model, and the probes that have not been applied to it yet."""

    job: int
    probes: list[str] = field(default_factory=list)


class ModelQueue:
    """Models to be probed, of which other processes, on this machine or on others, may take some.

    Whatever they have measured is read when the model comes to be this process's: no model is skipped, only put off.

    Args:
        jobs: the models.
        probes: names of the probes of each.
        on_event: is told who is at work on a model.
    """

    def __init__(self, jobs: Sequence[ProbeJob], probes: Sequence[str], on_event: EventHandler) -> None:
        self._jobs, self._on_event = jobs, on_event
        self._free = deque(ModelTask(job=index, probes=list(probes)) for index in range(len(jobs)))
        self._held: list[ModelTask] = []
        self._look_at = 0.0

    @property
    def has_free(self) -> bool:
        """True if there is a model that nobody was seen at work on."""
        return bool(self._free)

    @property
    def has_held(self) -> bool:
        """True if there is a model that somebody was seen at work on."""
        return bool(self._held)

    def take(self) -> ModelTask | None:
        """Returns the next free model; `None` if there is none now."""
        while self._free:
            task = self._free.popleft()
            folder = self._jobs[task.job].folder
            # Two looks that write nothing, of which the second sees what is on other machines.
            if not self._jobs[task.job].shared or (
                not is_locked(folder / LOCK_FILE)
                and (read_holder(folder / LEASE_FILE) is None or find_holder(folder) is None)
            ):
                return task
            self.put_off(task)
        return None

    def put_back(self, task: ModelTask) -> None:
        """Lets a model be the next one again, with the probes that are left."""
        self._free.appendleft(task)

    def put_off(self, task: ModelTask) -> None:
        """Notes that another process is at work on a model."""
        self._held.append(task)

    def look(self) -> None:
        """Looks, once a second at most, which of the models are free that others were at work on."""
        if time.monotonic() < self._look_at:
            return
        held, self._held = self._held, []
        for task in held:
            holder = find_holder(self._jobs[task.job].folder)
            if holder is None:
                self._free.append(task)
            else:
                self._held.append(task)
                event = ProbeEvent(kind="elsewhere", job=task.job, probe=task.probes[0], text=str(holder))
                self._on_event(event)
        self._look_at = time.monotonic() + LOOK_SECONDS
