"""Processes of one's own: how they are started, and that none outlives the one that started it."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
STOP = "stop"
"""What a process is told when it shall save what is under way and put it down."""
ASK_SECONDS = 0.1


def hire(target: Callable[..., None], *args: Any, threads: int) -> tuple[Connection, BaseProcess]:
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


class Told:
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
        if not self._stopped and now - self._asked > ASK_SECONDS:
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


def ending(status: int) -> str:
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
