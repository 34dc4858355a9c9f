"""Many experiments, side by side in processes whose threads do not fight for cores."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from workbench.config import Experiment
from workbench.worker import STOP, Event, work

Listener = Callable[[int, Event], None]
"""Told the experiment's index and what happened to it."""

SPAWN = multiprocessing.get_context("spawn")


@dataclass(slots=True, kw_only=True)
class Worker:
    """One process, and the experiment it is at."""

    process: BaseProcess
    connection: Connection
    index: int | None = None

    def tell(self, what: Experiment | str | None) -> None:
        """Sends something; a process that has died is noticed where its answers are read."""
        with suppress(OSError):
            self.connection.send(what)


@dataclass(slots=True, kw_only=True)
class Pool:
    """Runs experiments in `workers` processes of `threads` threads each.

    A process that dies (out of memory, killed) costs the experiment that it was at; the others go on.
    """

    out: Path
    workers: int
    device: str = "cpu"
    threads: int = 1
    stopping: bool = field(default=False, init=False)
    """Set by `stop`: what is under way saves itself and ends, nothing new is begun."""

    _crew: list[Worker] = field(default_factory=list, init=False)

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Runs them all, or, once stopped, as many as were finished by then."""
        waiting = deque(range(len(experiments)))
        try:
            while True:
                while waiting and not self.stopping and len(self._crew) < min(self.workers, len(experiments)):
                    self._crew.append(self._hire())
                    self._assign(self._crew[-1], waiting, experiments)
                if not any(worker.index is not None for worker in self._crew):
                    return
                for worker in self._ready():
                    self._hear(worker, waiting, experiments, listen)
        finally:
            self._dismiss()

    def stop(self) -> None:
        """Asks every run under way to save itself and end. Safe to call from a signal handler, once."""
        self.stopping = True
        for worker in self._crew:
            if worker.index is not None:
                worker.tell(STOP)

    def kill(self) -> None:
        """Ends every process at once; what was saved until then is what there is."""
        for worker in self._crew:
            worker.process.kill()

    def _hire(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        with _environment(OMP_NUM_THREADS=str(self.threads), MKL_NUM_THREADS=str(self.threads)):
            process = SPAWN.Process(target=work, args=(theirs, self.out, self.device, self.threads), daemon=True)
            # Ctrl-C reaches the whole group of processes. A worker never sees it, not even while it starts: the mask is
            # inherited. What it means is for the parent to say. (Starting the tracker would lift the mask again.)
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        return Worker(process=process, connection=ours)

    def _assign(self, worker: Worker, waiting: deque[int], experiments: Sequence[Experiment]) -> None:
        worker.index = waiting.popleft() if waiting and not self.stopping else None
        if worker.index is not None:
            worker.tell(experiments[worker.index])

    def _ready(self) -> list[Worker]:
        ready = wait([worker.connection for worker in self._crew if worker.index is not None], timeout=0.5)
        return [worker for worker in self._crew if worker.connection in ready]

    def _hear(self, worker: Worker, waiting: deque[int], experiments: Sequence[Experiment], listen: Listener) -> None:
        index = worker.index
        assert index is not None
        try:
            event: Event = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._crew.remove(worker)
            listen(index, Event(kind="stopped") if self.stopping else lost(worker.process.exitcode or 0))
            return
        if event.kind not in ("step", "note"):
            self._assign(worker, waiting, experiments)
        listen(index, event)

    def _dismiss(self) -> None:
        for worker in self._crew:
            if worker.index is None and worker.process.is_alive():
                worker.tell(None)
            else:
                worker.process.terminate()
        for worker in self._crew:
            worker.process.join(timeout=10)
            worker.process.kill()
        self._crew.clear()


def lost(status: int) -> Event:
    """What became of an experiment whose process died."""
    how = f"status {status}" if status >= 0 else f"signal {-status}"
    why = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
    return Event(kind="failed", text=f"its process ended with {how}{why}")


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Environment variables for processes started meanwhile: PyTorch reads its number of threads when imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
