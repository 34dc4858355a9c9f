"""The launcher for samplers and pruners that only this process can have: trials run in it, one after another."""

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sweeps.local_launcher import REPORT_SECONDS, TrialEvent
from sweeps.method_names import SearchObjects
from sweeps.objective import WorkerUnusableError
from sweeps.worker import TrialListener, TrialWorker, WorkerConfig
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error


def unpicklable(objects: SearchObjects) -> str | None:
    """Returns which object cannot be sent to another process, and why, in a few words; `None` if all can."""
    for kind, value in (("sampler", objects.sampler), ("pruner", objects.pruner)):
        try:
            pickle.loads(pickle.dumps(value))
        except Exception as error:
            return f"the {kind} {type(value).__name__} cannot be pickled ({describe_error(error)})"
    return None


@dataclass(slots=True, kw_only=True)
class InProcessLauncher:
    """Runs the trials of a sweep in this process until none is left.

    Args:
        config: what the worker does.
        on_event: receives the slot of the only worker, 0, and its event.
        idle: called between steps, about five times a second.
    """

    config: WorkerConfig
    on_event: Callable[[int, TrialEvent], None]
    idle: Callable[[], None] = lambda: None
    stopping: bool = field(default=False, init=False)
    _idle_at: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False)

    def run(self) -> None:
        """Works until no trial is left, or, once stopped, until the present one is saved.

        Raises:
            UserError: if something other than a trial is wrong.
        """
        listener = TrialListener(
            stop=self._stop_asked,
            on_begin=self._on_begin,
            on_progress=self._on_progress,
            on_end=lambda: self.on_event(0, TrialEvent(kind="ended")),
            log=lambda text: self.on_event(0, TrialEvent(kind="note", text=text)),
        )
        try:
            TrialWorker(config=self.config, listener=listener).run()
        except WorkerUnusableError:
            raise UserError("a trial failed on the GPU; run it again to go on in a new process") from None

    def stop(self) -> None:
        """Saves the present trial and ends. Safe to call from a signal handler."""
        self.stopping = True

    def kill(self) -> None:
        """Ends; whoever calls this leaves `run` by an exception."""
        self.stopping = True

    def _on_begin(self, study: str, number: int, experiment: Experiment) -> None:
        self.on_event(0, TrialEvent(kind="begun", study=study, number=number, steps=experiment.budget.steps))

    def _on_progress(self, step: int) -> None:
        self._steps = step

    def _stop_asked(self) -> bool:
        if time.monotonic() - self._idle_at > REPORT_SECONDS:
            self._idle_at = time.monotonic()
            self.on_event(0, TrialEvent(kind="step", steps=self._steps))
            self.idle()
        return self.stopping
