"""The launcher `local`: workers of a sweep in processes on this machine; one that dies is replaced."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from sweeps.objective import WorkerUnusableError
from sweeps.worker import TrialListener, TrialWorker, WorkerConfig
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.malloc import keep_memory
from workbench.process_pool import PoolWorker, ProcessPool, WorkerConnection, end_with_parent

MAX_FAILED_STARTS = 5
"""Processes that may die in a row before they are ready; after that, something is wrong with all of them."""
REPORT_SECONDS = 0.2
"""Seconds between two reports of a trial's progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """Something that happened in a worker of a sweep."""

    kind: Literal["ready", "begun", "step", "ended", "note", "refused", "over"]
    """`over`: no trial is left in any study; `refused`: something other than a trial is wrong."""
    study: str = ""
    number: int = -1
    steps: int = 0
    text: str = ""


@dataclass(slots=True, kw_only=True)
class WorkerTrial:
    """The trial that a process is working on, if any."""

    ready: bool = False
    """True once the process has sent its first event."""
    study: str = ""
    number: int = -1


class LocalLauncher(ProcessPool):
    """Keeps `workers` processes at work on a sweep until no trial is left.

    Args:
        config: what each worker does.
        workers: how many run at the same time.
        on_event: receives the slot of a worker and its event.
        on_lost_trial: receives the study, the number and the reason of a trial whose process died.
        idle: called about twice a second.
    """

    def __init__(
        self,
        *,
        config: WorkerConfig,
        workers: int,
        on_event: Callable[[int, TrialEvent], None],
        on_lost_trial: Callable[[str, int, str], None] = lambda study, number, reason: None,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(run_worker, config, workers=workers, threads=config.threads)
        self.on_event, self.on_lost_trial, self.idle = on_event, on_lost_trial, idle
        self._over = False
        self._failed_starts = 0
        self._refused = ""

    def run(self) -> None:
        """Works until a worker finds no trial left, or, once stopped, until all have put their trials down.

        Raises:
            UserError: if a worker reports that something other than its trial is wrong.
        """
        self.run_processes()
        if self._refused:
            raise UserError(self._refused)

    def has_work(self) -> bool:
        """Returns whether some worker may still find a trial."""
        return not self._over

    def on_start(self, worker: PoolWorker) -> None:
        """Notes that the worker has not said yet that it is ready; it finds its trials itself."""
        worker.task = WorkerTrial()

    def on_idle(self) -> None:
        """Lets the caller do what it does twice a second."""
        self.idle()

    def on_message(self, worker: PoolWorker, message: TrialEvent) -> None:
        """Keeps track of the worker's trial, and passes the event on."""
        trial: WorkerTrial = worker.task
        trial.ready = True
        self._failed_starts = 0
        if message.kind == "begun":
            trial.study, trial.number = message.study, message.number
        elif message.kind == "ended":
            trial.study, trial.number = "", -1
        elif message.kind == "over":
            self._over = True
        elif message.kind == "refused":
            self._refused = self._refused or message.text
            self.stop()
        self.on_event(worker.slot, message)

    def on_exit(self, worker: PoolWorker, reason: str) -> None:
        """Reports the trial of a worker that died, and gives up where workers cannot even start."""
        trial: WorkerTrial = worker.task
        if self._over or self.stopping:
            return
        if trial.study:
            self.on_lost_trial(trial.study, trial.number, reason)
            self.on_event(worker.slot, TrialEvent(kind="ended"))
        if not trial.ready:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                self._refused = f"{MAX_FAILED_STARTS} workers in a row could not start: {reason}"
                self.stop()


def run_worker(connection: Connection, config: WorkerConfig) -> None:
    """Runs a worker and sends its events over the connection. A process's target."""
    end_with_parent()
    # Before PyTorch takes its first memory.
    keep_memory()
    pool = TrialConnection(connection)
    listener = TrialListener(
        stop=pool.stopped,
        on_begin=pool.begun,
        on_progress=pool.progress,
        on_end=lambda: pool.send(TrialEvent(kind="ended")),
        log=lambda text: pool.send(TrialEvent(kind="note", text=text)),
    )
    pool.send(TrialEvent(kind="ready"))
    try:
        TrialWorker(config=config, listener=listener).run()
    except WorkerUnusableError:
        # Ends without an event, so that the launcher replaces this process.
        pass
    except UserError as error:
        pool.send(TrialEvent(kind="refused", text=str(error)))
    except OSError as error:
        text = f"{describe_error(error)}; fix this, then run the same command again"
        pool.send(TrialEvent(kind="refused", text=text))
    except Exception as error:
        pool.send(TrialEvent(kind="refused", text=f"a worker failed: {type(error).__name__}: {describe_error(error)}"))
    else:
        if not pool.stopped():
            pool.send(TrialEvent(kind="over"))


class TrialConnection(WorkerConnection):
    """The worker's end of the connection to its launcher."""

    _reported = 0.0

    def begun(self, study: str, number: int, experiment: Experiment) -> None:
        """Reports that a trial has begun."""
        self.send(TrialEvent(kind="begun", study=study, number=number, steps=experiment.budget.steps))

    def progress(self, step: int) -> None:
        """Reports how far the trial is, a few times a second."""
        if time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            self.send(TrialEvent(kind="step", steps=step))
