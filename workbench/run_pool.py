"""Training runs side by side, in processes whose threads do not compete for cores."""

import traceback
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error, write_text
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
    """

    ends_silent_workers = True

    def __init__(self, *, out: Path, workers: int, device: str = "cpu", threads: int = 1) -> None:
        super().__init__(run_worker, out, device, threads, workers=workers, threads=threads)
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


def run_worker(connection: Connection, out: Path, device: str, threads: int) -> None:
    """Runs the experiments that come over the connection until something else comes. A process's target."""
    end_with_parent()
    # Before PyTorch takes its first memory.
    keep_memory()
    from workbench.run import RunDevice, run

    pool = WorkerConnection(connection)
    while isinstance(experiment := connection.recv(), Experiment):
        try:
            run_or_none = run(
                experiment,
                out,
                RunDevice(device=device, threads=threads),
                stop=pool.stopped,
                on_progress=lambda step: pool.send(RunEvent(kind="step", step=step)),
                log=lambda text: pool.send(RunEvent(kind="note", text=text)),
            )
            pool.send(RunEvent(kind="stopped" if run_or_none is None else "finished"))
        except BusyError as error:
            pool.send(RunEvent(kind="busy", text=str(error)))
        except UserError as error:
            pool.send(RunEvent(kind="refused", text=str(error)))
        except Exception as error:
            pool.send(RunEvent(kind="failed", text=f"{describe_failure(error)}{write_traceback(experiment, out)}"))


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
