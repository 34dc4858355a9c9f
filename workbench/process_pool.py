"""A pool of spawned processes that never outlive the process that started them.

`ProcessPool` starts the processes, passes their messages on, replaces those that die and ends them all. What they work
on is a subclass's matter: training runs (`workbench.run_pool`), trials of a sweep (`sweeps.local_launcher`) and probes
(`analysis.probes.parallel`).
"""

import multiprocessing
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from workbench.signals import KILL, available_signals, ignore_interrupts, signals_blocked
from workbench.spawned import pack, run_packed, without_main

SPAWN = multiprocessing.get_context("spawn")
STOP = "stop"
"""The message that asks a process to save its work and end."""
POLL_SECONDS = 0.1
"""Seconds between two looks of a process for that message."""
IDLE_SECONDS = 0.5
"""Seconds without a message after which a pool calls `on_idle`."""
GROUP_SIGNALS = available_signals("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Signals that a terminal or a batch system sends to a whole group, and that only the parent of a pool obeys."""
EXIT_SECONDS = 10.0
"""Seconds that a process without work may take to end before it is killed."""


@dataclass(slots=True, kw_only=True)
class PoolWorker:
    """One process of a pool, with the pool's end of its connection."""

    process: BaseProcess
    connection: Connection
    slot: int
    """Its number among the processes that run at the same time, from 0; a replacement takes over the same number."""
    dismissed_at: float | None = None
    """Time by `time.monotonic` at which it was told that no work is left."""
    task: Any = None
    """Its present work, for the subclass that gave it the work."""
    silent: bool = True
    """True until its first message: it is still being started, and has nothing to save."""

    def send(self, message: Any) -> None:
        """Sends a message; a process that has died is noticed where its messages are received."""
        with suppress(OSError):
            self.connection.send(message)


class ProcessPool(ABC):
    """Processes that run side by side until no work is left.

    A subclass says when there is work for another process (`has_work`), what a new process is sent (`on_start`), and
    what follows from a message (`on_message`) or from a process's end (`on_exit`). A process ends when its target
    returns; a process that dies is removed, and replaced while there is work.

    Args:
        target: a function of a module, called in each process as `target(connection, *arguments)`.
        arguments: its further arguments, which must be picklable.
        workers: how many processes run at the same time.
        threads: threads of each process, for libraries that read their number when they are imported.
    """

    ends_silent_workers = False
    """Whether a process that has sent nothing yet is killed when the pool is stopped.

    On a busy machine it takes many seconds until a process has started and sees that it is to stop.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, workers: int, threads: int = 1) -> None:
        self.target, self.arguments = target, arguments
        self.workers, self.threads = workers, threads
        self.stopping = False
        self.processes: list[PoolWorker] = []

    @abstractmethod
    def has_work(self) -> bool:
        """Returns whether another process would find something to do."""

    def expects_work(self) -> bool:
        """Returns whether there may be work later, though there is none now. By default there is not."""
        return False

    @abstractmethod
    def on_message(self, worker: PoolWorker, message: Any) -> None:
        """Handles a message of a process."""

    @abstractmethod
    def on_exit(self, worker: PoolWorker, reason: str) -> None:
        """Handles the end of a process, which is no longer part of the pool.

        Args:
            worker: the process.
            reason: how it ended, in words, for a process that was not meant to end.
        """

    def on_start(self, worker: PoolWorker) -> None:  # noqa: B027 an optional hook
        """Sends a new process its first work. By default a process finds its work itself."""

    def on_idle(self) -> None:  # noqa: B027 an optional hook
        """Called after every round of messages, at least about twice a second."""

    def run_processes(self) -> None:
        """Runs processes until there is no more work, or, once stopped, until all have put their work down.

        If it is left by an exception, all processes are killed.
        """
        try:
            while True:
                while len(self.processes) < self.workers and not self.stopping and self.has_work():
                    self._start()
                if not self.processes:
                    if self.stopping or not self.expects_work():
                        return
                    time.sleep(IDLE_SECONDS)
                for worker in self._with_messages():
                    self._receive(worker)
                self._kill_overdue()
                self.on_idle()
        finally:
            self.kill()
            for worker in self.processes:
                worker.process.join()
            self.processes.clear()

    def stop(self) -> None:
        """Asks every process to save its work and end. Safe to call from a signal handler."""
        self.stopping = True
        for worker in list(self.processes):
            worker.send(STOP)
            if worker.silent and self.ends_silent_workers:
                worker.process.kill()

    def kill(self) -> None:
        """Kills every process; only what was saved before remains."""
        for worker in list(self.processes):
            worker.process.kill()

    def dismiss(self, worker: PoolWorker) -> None:
        """Sends a process `None`, at which it ends, since no work is left for it."""
        worker.task, worker.dismissed_at = None, time.monotonic()
        worker.send(None)

    def retire(self, worker: PoolWorker) -> None:
        """Kills a process that is of no more use, such as one in which a GPU has failed, and removes it."""
        worker.process.kill()
        worker.process.join()
        self.processes.remove(worker)

    def _start(self) -> None:
        slot = min(set(range(self.workers)) - {worker.slot for worker in self.processes})
        connection, process = start_process(self.target, *self.arguments, threads=self.threads)
        worker = PoolWorker(process=process, connection=connection, slot=slot)
        self.processes.append(worker)
        self.on_start(worker)
        if self.stopping:
            # The pool was stopped while this process was started, so that `stop` may not have reached it.
            worker.send(STOP)
            if self.ends_silent_workers:
                worker.process.kill()

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in list(self.processes):
            if worker.dismissed_at is not None and now - worker.dismissed_at > EXIT_SECONDS:
                self.retire(worker)

    def _with_messages(self) -> list[PoolWorker]:
        if not self.processes:
            return []
        ready = wait([worker.connection for worker in self.processes], timeout=IDLE_SECONDS)
        return [worker for worker in self.processes if worker.connection in ready]

    def _receive(self, worker: PoolWorker) -> None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self.processes.remove(worker)
            self.on_exit(worker, describe_exit(worker.process.exitcode or 0))
            return
        worker.silent = False
        self.on_message(worker, message)


class WorkerConnection:
    """A process's end of the connection to its pool, over which it may be asked to stop.

    Args:
        connection: as the process's target received it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._polled = 0.0
        self._stopped = False

    def stopped(self) -> bool:
        """Returns whether the process was asked to stop; looks for the message at most a few times a second."""
        now = time.monotonic()
        if not self._stopped and now - self._polled > POLL_SECONDS:
            self._polled = now
            try:
                self._stopped = self.connection.poll() and self.connection.recv() == STOP
            except (EOFError, OSError):
                # The pool is gone. This process ends in a moment, and its work must not fail before.
                self._stopped = True
        return self._stopped

    def send(self, message: Any) -> None:
        """Sends a message. If the pool is gone, this process is about to end, and its work is not to blame."""
        with suppress(OSError):
            self.connection.send(message)


def start_process(target: Callable[..., None], *arguments: Any, threads: int) -> tuple[Connection, BaseProcess]:
    """Starts a process that calls `target(connection, *arguments)`.

    Args:
        target: a function of a module.
        arguments: its further arguments, which must be picklable.
        threads: of the process, for libraries that read their number when they are imported.

    Returns:
        This process's end of the connection, and the process.
    """
    ours, theirs = SPAWN.Pipe()
    with environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads)):
        process = SPAWN.Process(target=run_packed, args=(theirs, pack(target, arguments)), daemon=True)
        # Ctrl-C, and the signals of timeout and batch systems, reach the whole group of processes, and what they mean
        # is for the parent to decide. A worker must not see them, not even while it starts.
        with signals_blocked(GROUP_SIGNALS), without_main():
            process.start()
    theirs.close()
    return ours, process


def end_with_parent() -> None:
    """Lets this process end with the one that started it, which cannot say so if it is killed, and not by Ctrl-C."""
    ignore_interrupts()
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def describe_exit(status: int) -> str:
    """Returns how a process ended that should not have ended, in words.

    Args:
        status: its exit status; minus the signal's number if a signal ended it.
    """
    how = f"status {status}" if status >= 0 else f"signal {-status}"
    why = ", perhaps because memory ran out" if status == -KILL else ""
    return f"its process ended with {how}{why}"


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Sets environment variables for the processes that are started inside it."""
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
