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
def stop_on_interrupt(pool: StoppablePool, deadline: float | None = None) -> Iterator[StopReason]:
    """Stops a pool on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1, or when the time is up: it saves what is under way and ends.

    A second signal ends it at once, unless it follows within a second: `timeout` and batch systems send several. In a
    thread other than the main one, where there are no signals, nothing is changed.

    Args:
        pool: what to stop.
        deadline: when the time is up, by `time.monotonic`, if there is a limit.
    """
    reason = StopReason()
    if threading.current_thread() is not threading.main_thread():
        yield reason
        return
    interrupted, interrupted_at = False, 0.0

    def on_alarm(number: int, frame: FrameType | None) -> None:
        if not pool.stopping:
            reason.timed_out = True
            pool.stop()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted, interrupted_at
        if interrupted and number != signal.SIGINT and time.monotonic() - interrupted_at < 1:
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
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    handlers = {**dict.fromkeys(numbers, on_interrupt), signal.SIGALRM: on_alarm}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    if deadline is not None:
        signal.setitimer(signal.ITIMER_REAL, max(1e-3, deadline - time.monotonic()))
    try:
        yield reason
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
