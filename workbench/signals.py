"""Signals and alarms on every system; Windows has few of the first and none of the second."""

import _thread
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

KILL = int(getattr(signal, "SIGKILL", 9))
"""Number of the signal that nothing survives."""


def available_signals(*names: str) -> frozenset[signal.Signals]:
    """Returns those of the signals that this system has.

    Example:
        >>> available_signals("SIGINT", "SIGNONE")
        frozenset({<Signals.SIGINT: 2>})
    """
    return frozenset(found for name in names if (found := getattr(signal, name, None)) is not None)


@contextmanager
def signals_blocked(numbers: Collection[signal.Signals]) -> Iterator[None]:
    """Keeps signals from processes that are started inside it: they inherit the mask.

    Windows has no masks; there a process calls `ignore_interrupts` itself.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting the tracker inside would lift the mask again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Lets this process ignore Ctrl-C where `signals_blocked` could not keep it away."""
    if not hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def alarm(deadline: float | None, ring: Callable[[], None]) -> Iterator[None]:
    """Calls a function of the main thread when the time is up, unless the context has ended by then.

    Args:
        deadline: by `time.monotonic`; `None` for never.
        ring: called between two steps of what the main thread does, like the handler of a signal.
    """
    if deadline is None:
        yield
        return
    seconds = max(1e-3, deadline - time.monotonic())
    if hasattr(signal, "setitimer"):
        previous = signal.signal(signal.SIGALRM, lambda number, frame: ring())
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return
    with _timer_alarm(seconds, ring):
        yield


@contextmanager
def _timer_alarm(seconds: float, ring: Callable[[], None]) -> Iterator[None]:
    """Does what `alarm` does by a thread that wakes the main thread with a signal."""
    is_due = threading.Event()
    previous = signal.getsignal(signal.SIGTERM)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if is_due.is_set():
            is_due.clear()
            ring()
        elif callable(previous):
            previous(number, frame)

    def wake() -> None:
        is_due.set()
        _thread.interrupt_main(signal.SIGTERM)

    timer = threading.Timer(seconds, wake)
    timer.daemon = True
    signal.signal(signal.SIGTERM, on_signal)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, previous)
