"""Many experiments, side by side in processes whose threads do not fight for cores."""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line, write_text
from workbench.malloc import keep_memory
from workbench.run_folder import run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened to the experiment under way."""

    kind: Literal["step", "note", "finished", "stopped", "refused", "failed"]
    step: int = 0
    text: str = ""


Listener = Callable[[int, RunEvent], None]
"""Told the experiment's index and what happened to it."""


@dataclass(slots=True, kw_only=True)
class PoolWorker:
    """One process, and the experiment it is at."""

    process: BaseProcess
    connection: Connection
    index: int | None = None

    def tell(self, what: Experiment | str | None) -> None:
        """Sends something; a process that has died is noticed where its answers are read."""
        with suppress(OSError):
            self.connection.send(what)


@dataclass(slots=True, kw_only=True)
class ProcessPool:
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

    _crew: list[PoolWorker] = field(default_factory=list, init=False)

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

    def _hire(self) -> PoolWorker:
        connection, process = start_process(run_worker, self.out, self.device, self.threads, threads=self.threads)
        return PoolWorker(process=process, connection=connection)

    def _assign(self, worker: PoolWorker, waiting: deque[int], experiments: Sequence[Experiment]) -> None:
        worker.index = waiting.popleft() if waiting and not self.stopping else None
        if worker.index is not None:
            worker.tell(experiments[worker.index])

    def _ready(self) -> list[PoolWorker]:
        ready = wait([worker.connection for worker in self._crew if worker.index is not None], timeout=0.5)
        return [worker for worker in self._crew if worker.connection in ready]

    def _hear(
        self, worker: PoolWorker, waiting: deque[int], experiments: Sequence[Experiment], listen: Listener
    ) -> None:
        index = worker.index
        assert index is not None
        try:
            event: RunEvent = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._crew.remove(worker)
            text = describe_exit(worker.process.exitcode or 0)
            listen(index, RunEvent(kind="stopped") if self.stopping else RunEvent(kind="failed", text=text))
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


SPAWN = multiprocessing.get_context("spawn")
STOP = "stop"
"""What a process is told when it shall save what is under way and put it down."""
POLL_SECONDS = 0.1


def start_process(target: Callable[..., None], *args: Any, threads: int) -> tuple[Connection, BaseProcess]:
    """Starts a process that calls `target(connection, *args)`.

    Args:
        target: a function of a module.
        args: what it is told at the start.
        threads: of the process, for libraries that read their number when imported.

    Returns:
        The other end of its connection, and the process.
    """
    ours, theirs = SPAWN.Pipe()
    with _environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads)):
        process = SPAWN.Process(target=target, args=(theirs, *args), daemon=True)
        # Ctrl-C reaches the whole group of processes. A worker never sees it, not even while it starts: the mask is
        # inherited. What it means is for the parent to say. (Starting the tracker would lift the mask again.)
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    theirs.close()
    return ours, process


def end_with_parent() -> None:
    """Ends this process with the one that started it: a parent that was killed cannot say stop, and without it nobody
    would wait for the result. To be run in a thread."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class WorkerConnection:
    """A process's end of its connection, over which it may be told to stop.

    Args:
        connection: to the one that started it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._asked = 0.0
        self._stopped = False

    def stopped(self) -> bool:
        """Whether it has been told to; looked up at most a few times a second, since every step asks."""
        now = time.monotonic()
        if not self._stopped and now - self._asked > POLL_SECONDS:
            self._asked = now
            try:
                self._stopped = self.connection.poll() and self.connection.recv() == STOP
            except (EOFError, OSError):
                # Whoever started this process is no more; it ends in a moment, and what it is at must not fail first.
                self._stopped = True
        return self._stopped

    def send(self, event: Any) -> None:
        """Tells something. If nobody listens any more, this process is about to end; what it is at is not to blame."""
        with suppress(OSError):
            self.connection.send(event)


def describe_exit(status: int) -> str:
    """How a process ended that should not have, in words."""
    how = f"status {status}" if status >= 0 else f"signal {-status}"
    why = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
    return f"its process ended with {how}{why}"


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


def run_worker(connection: Connection, out: Path, device: str, threads: int) -> None:
    """Runs the experiments that come over the connection until `None` does. Meant to be a process's target."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Before PyTorch takes its first memory.
    keep_memory()
    from workbench.run import RunDevice, run

    line = WorkerConnection(connection)
    while isinstance(experiment := connection.recv(), Experiment):
        try:
            finished = run(
                experiment,
                out,
                RunDevice(device=device, threads=threads),
                stop=line.stopped,
                progress=lambda step: line.send(RunEvent(kind="step", step=step)),
                note=lambda text: line.send(RunEvent(kind="note", text=text)),
            )
            line.send(RunEvent(kind="stopped" if finished is None else "finished"))
        except UserError as error:
            line.send(RunEvent(kind="refused", text=str(error)))
        except Exception as error:
            line.send(RunEvent(kind="failed", text=f"{describe_failure(error)}{write_traceback(experiment, out)}"))


def describe_failure(error: Exception) -> str:
    """Why a run failed, in a line."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU has too little memory left; fewer --workers, or a smaller --batch-size, take less"
    return f"{type(error).__name__}: {one_line(error)}"


def write_traceback(experiment: Experiment, out: Path) -> str:
    """Writes the traceback of the present exception beside the run, and says where."""
    path = run_folder(out, experiment) / "error.log"
    try:
        write_text(path, traceback.format_exc())
    except OSError:
        return ""
    return f" (see {path})"
