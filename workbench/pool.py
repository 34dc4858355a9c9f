"""Many experiments, side by side in processes whose threads do not fight for cores."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from workbench.config import Experiment
from workbench.processes import STOP, ending, hire
from workbench.worker import Event, work

Listener = Callable[[int, Event], None]
"""Told the experiment's index and what happened to it."""


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

    A process that dies (out of memory, killed) costs the experiment that it was at; the others go on. So does a run
    that fails on a GPU, whose process is replaced.
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
        connection, process = hire(work, self.out, self.device, self.threads, threads=self.threads)
        return Worker(process=process, connection=connection)

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
            text = ending(worker.process.exitcode or 0)
            listen(index, Event(kind="stopped") if self.stopping else Event(kind="failed", text=text))
            return
        if event.kind == "failed" and self.device == "cuda":
            # After some errors a GPU refuses all else that the process asks of it.
            worker.process.kill()
            worker.process.join()
            self._crew.remove(worker)
        elif event.kind not in ("step", "note"):
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
