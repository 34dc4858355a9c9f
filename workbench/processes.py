"""Processes of one's own: how they are started, and that none outlives the one that started it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


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
