"""Interrupts while processes are at work: what is under way is saved first."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from workbench.signals import alarm, available_signals

REPEATED_INTERRUPT_SECONDS = 1 / 3
"""Seconds after a first signal within which Ctrl-C is not a second one; nobody who means it twice is as quick."""
REPEATED_SIGNAL_SECONDS = 1.0
"""The same for signals that programs send."""


class StoppablePool(Protocol):
    """Processes that can save what is under way and end."""

    @property
    def stopping(self) -> bool:
        """True once it has been told to stop."""

    def stop(self) -> None:
        """Tells the processes to save what is under way and end."""

    def kill(self) -> None:
        """Ends the processes at once."""


@dataclass(slots=True)
class StopReason:
    """Reason why work was stopped before its end."""

    timed_out: bool = False
    """True if the time was up; if not, it was interrupted, or not stopped at all."""


@contextmanager
def end_on_signal() -> Iterator[None]:
    """Lets the signals of batch systems and closed terminals do what Ctrl-C does: raise `KeyboardInterrupt`.

    In a thread other than the main one, where there are no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = available_signals("SIGTERM", "SIGUSR1", "SIGBREAK")
    numbers |= {number for number in available_signals("SIGHUP") if signal.getsignal(number) != signal.SIG_IGN}
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_interrupt(pool: StoppablePool, deadline: float | None = None) -> Iterator[StopReason]:
    """Stops a pool on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1, or when the time is up: it saves what is under way and ends.

    A second signal ends it at once, unless it follows so soon that it means the same: a batch system sends several, and
    of one Ctrl-C a launcher may pass on what the terminal has sent already. In a thread other than the main one, where
    there are no signals, nothing is changed.

    Args:
        pool: what to stop.
        deadline: when the time is up, by `time.monotonic`, if there is a limit.
    """
    reason = StopReason()
    if threading.current_thread() is not threading.main_thread():
        yield reason
        return
    interrupted, interrupted_at = False, 0.0

    def on_alarm() -> None:
        if not pool.stopping:
            reason.timed_out = True
            pool.stop()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted, interrupted_at
        repeated_within = REPEATED_INTERRUPT_SECONDS if number == signal.SIGINT else REPEATED_SIGNAL_SECONDS
        if interrupted and time.monotonic() - interrupted_at < repeated_within:
            return
        if interrupted:
            pool.kill()
            raise KeyboardInterrupt
        interrupted, interrupted_at = True, time.monotonic()
        print("\nstopping: saving what is under way (once more to stop at once)", file=sys.stderr)
        # It may be stopping already, because the time is up.
        if not pool.stopping:
            pool.stop()

    # A batch system warns by SIGUSR1, a closed terminal by SIGHUP, unless nohup has it ignored.
    numbers = available_signals("SIGINT", "SIGTERM", "SIGUSR1", "SIGBREAK")
    numbers |= {number for number in available_signals("SIGHUP") if signal.getsignal(number) != signal.SIG_IGN}
    previous = {number: signal.signal(number, on_interrupt) for number in numbers}
    try:
        with alarm(deadline, on_alarm):
            yield reason
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
