"""Training runs side by side, in processes whose threads do not compete for cores."""

import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error, write_text
from workbench.logger_interface import LoggerSpec
from workbench.malloc import keep_memory
from workbench.process_pool import PoolWorker, ProcessPool, WorkerConnection, end_with_parent
from workbench.run_folder import BusyError, run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened to a run."""

    kind: Literal["step", "note", "finished", "stopped", "busy", "refused", "failed"]
    step: int = 0
    text: str = ""


MAX_BUSY = 6
"""How often a run may be found locked by another process before it is refused; each try waits half a second."""

Listener = Callable[[int, RunEvent], None]
"""Receives the index of an experiment and what happened to its run."""


class RunPool(ProcessPool):
    """Runs experiments in `workers` processes of `threads` threads each.

    A process that dies (out of memory, killed) costs the experiment that it was running; the others go on. So does a
    run that fails on a GPU, whose process is replaced.

    Args:
        out: the folder of results.
        workers: how many experiments run at the same time.
        device: `cpu` or `cuda`.
        threads: threads of each process.
        loggers: of each run.
    """

    ends_silent_workers = True

    def __init__(
        self, *, out: Path, workers: int, device: str = "cpu", threads: int = 1, loggers: Sequence[LoggerSpec] = ()
    ) -> None:
        super().__init__(run_worker, out, device, threads, tuple(loggers), workers=workers, threads=threads)
        self.device = device
        self._experiments: Sequence[Experiment] = ()
        self._waiting: deque[int] = deque()
        self._times_busy = Counter[int]()
        self._listen: Listener = lambda index, event: None

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Runs them all, or, once stopped, as many as were finished by then.

        Args:
            experiments: what to run.
            listen: called with each event of each run.
        """
        self._experiments, self._listen = experiments, listen
        self._waiting = deque(range(len(experiments)))
        self.run_processes()

    def has_work(self) -> bool:
        """Returns whether an experiment waits for a process."""
        return bool(self._waiting)

    def on_start(self, worker: PoolWorker) -> None:
        """Gives a process the next experiment, or lets it end if none is left."""
        if not self._waiting or self.stopping:
            self.dismiss(worker)
            return
        worker.task = self._waiting.popleft()
        worker.send(self._experiments[worker.task])

    def on_message(self, worker: PoolWorker, message: RunEvent) -> None:
        """Passes an event on, and gives a process whose run has ended the next experiment."""
        index = worker.task
        if message.kind == "busy":
            self._times_busy[index] += 1
            if self._times_busy[index] < MAX_BUSY and not self.stopping:
                # Perhaps only for the moment in which another command finds out that it has to stay away.
                self._waiting.append(index)
                self.on_start(worker)
                return
            message = RunEvent(kind="stopped" if self.stopping else "refused", text=message.text)
        # First, as a refusal stops the pool: the process must not lock another run before it learns of that.
        self._listen(index, message)
        if message.kind == "failed" and self.device == "cuda":
            # After some errors a GPU refuses everything else that the process asks of it.
            self.retire(worker)
        elif message.kind not in ("step", "note"):
            self.on_start(worker)

    def on_exit(self, worker: PoolWorker, reason: str) -> None:
        """Tells how the run of a process ended that died."""
        if worker.task is not None:
            event = RunEvent(kind="stopped") if self.stopping else RunEvent(kind="failed", text=reason)
            self._listen(worker.task, event)


class SameProcessPool:
    """Runs experiments one after another in this process, for what cannot be sent to another one.

    Args:
        out: the folder of results.
        device: `cpu` or `cuda`.
        threads: threads to compute with.
        loggers: of each run.
    """

    def __init__(self, *, out: Path, device: str = "cpu", threads: int = 1, loggers: Sequence[LoggerSpec] = ()) -> None:
        self.out, self.device, self.threads, self.loggers = out, device, threads, loggers
        self.stopping = False

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Runs them all, or, once stopped, as many as were finished by then.

        Args:
            experiments: what to run.
            listen: called with each event of each run.
        """
        import torch

        before = torch.get_num_threads()
        try:
            for index, experiment in enumerate(experiments):
                if self.stopping:
                    listen(index, RunEvent(kind="stopped"))
                    continue
                send = partial(listen, index)
                options = (self.out, self.device, self.threads, send)
                send(run_one(experiment, *options, stop=lambda: self.stopping, loggers=self.loggers))
        finally:
            torch.set_num_threads(before)

    def stop(self) -> None:
        """Asks the run under way to save its work and end. Safe to call from a signal handler."""
        self.stopping = True

    def kill(self) -> None:
        """Does nothing: whoever calls it raises an exception in this process."""


def run_worker(
    connection: Connection, out: Path, device: str, threads: int, loggers: Sequence[LoggerSpec] = ()
) -> None:
    """Runs the experiments that come over the connection until something else comes. A process's target."""
    end_with_parent()
    # Before PyTorch takes its first memory.
    keep_memory()
    pool = WorkerConnection(connection)
    while isinstance(experiment := connection.recv(), Experiment):
        pool.send(run_one(experiment, out, device, threads, pool.send, stop=pool.stopped, loggers=loggers))


def run_one(
    experiment: Experiment,
    out: Path,
    device: str,
    threads: int,
    send: Callable[[RunEvent], None],
    *,
    stop: Callable[[], bool],
    loggers: Sequence[LoggerSpec] = (),
) -> RunEvent:
    """Runs an experiment in this process, and returns how it ended.

    Args:
        experiment: what to run.
        out: the folder of results.
        device: `cpu` or `cuda`.
        threads: threads to compute with.
        send: receives what happens until then.
        stop: asked after every step whether to stop there.
        loggers: of the run.
    """
    from workbench.run import RunDevice, run

    try:
        run_or_none = run(
            experiment,
            out,
            RunDevice(device=device, threads=threads),
            stop=stop,
            on_progress=lambda step: send(RunEvent(kind="step", step=step)),
            log=lambda text: send(RunEvent(kind="note", text=text)),
            loggers=loggers,
        )
        return RunEvent(kind="stopped" if run_or_none is None else "finished")
    except BusyError as error:
        return RunEvent(kind="busy", text=str(error))
    except UserError as error:
        return RunEvent(kind="refused", text=str(error))
    except Exception as error:
        return RunEvent(kind="failed", text=f"{describe_failure(error)}{write_traceback(experiment, out)}")


def describe_failure(error: Exception) -> str:
    """Returns why a run failed, in a line."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU has too little memory left; fewer --workers, or a smaller --batch-size, take less"
    return f"{type(error).__name__}: {describe_error(error)}"


def write_traceback(experiment: Experiment, out: Path) -> str:
    """Writes the traceback of the present exception beside the run.

    Returns:
        A clause that says where it is; empty if it could not be written.
    """
    path = run_folder(out, experiment) / "error.log"
    try:
        write_text(path, traceback.format_exc())
    except OSError:
        return ""
    return f" (see {path})"
