"""What stops a command, and on every system: signals, those that are repeated, and the end of its time."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from workbench import interrupts
from workbench.interrupts import stop_on_interrupt
from workbench.signals import alarm, available_signals, ignore_interrupts, signals_blocked


class Pool:
    """Notes how it was ended, and by which thread."""

    def __init__(self) -> None:
        self.stopping, self.killed = False, False
        self.thread: threading.Thread | None = None

    def stop(self) -> None:
        self.stopping, self.thread = True, threading.current_thread()

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that signals are told apart by."""
    now = [0.0]
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return lambda seconds: now.__setitem__(0, seconds)


@pytest.mark.parametrize(
    ("signals", "killed"),
    [
        # A launcher passes on what the terminal has sent already.
        ([("SIGINT", 0.0), ("SIGINT", 0.01)], False),
        ([("SIGINT", 0.0), ("SIGINT", 0.01), ("SIGINT", 0.3)], False),
        ([("SIGTERM", 0.0), ("SIGINT", 0.01)], False),
        ([("SIGTERM", 0.0), ("SIGTERM", 0.9)], False),
        ([("SIGINT", 0.0), ("SIGTERM", 0.9)], False),
        # A person who means it.
        ([("SIGINT", 0.0), ("SIGINT", 0.4)], True),
        ([("SIGINT", 0.0), ("SIGINT", 0.01), ("SIGINT", 0.4)], True),
        ([("SIGTERM", 0.0), ("SIGINT", 0.4)], True),
        ([("SIGTERM", 0.0), ("SIGTERM", 1.1)], True),
    ],
)
def test_a_second_signal_counts_unless_it_means_the_first(
    signals: list[tuple[str, float]], killed: bool, clock: Callable[[float], None], capfd: pytest.CaptureFixture[str]
) -> None:
    pool = Pool()
    with stop_on_interrupt(pool) as reason:
        for index, (name, seconds) in enumerate(signals):
            clock(100 + seconds)
            if killed and index == len(signals) - 1:
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(getattr(signal, name))
            else:
                signal.raise_signal(getattr(signal, name))
                assert pool.stopping
                assert not pool.killed
    assert (pool.killed, reason.timed_out) == (killed, False)
    assert capfd.readouterr().err.count("stopping: saving what is under way") == 1


@pytest.fixture(params=["posix", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This system, and one that lacks the signals that Windows lacks."""
    if request.param == "windows":
        for name in ("SIGHUP", "SIGUSR1", "SIGALRM", "setitimer", "ITIMER_REAL", "pthread_sigmask"):
            monkeypatch.delattr(signal, name)
    return str(request.param)


def test_the_time_limit_stops_a_pool(system: str) -> None:
    pool = Pool()
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_interrupt(pool, deadline=time.monotonic() + 0.05) as reason:
        end = time.monotonic() + 10
        while not pool.stopping and time.monotonic() < end:
            time.sleep(0.01)
    assert reason.timed_out
    # As a handler of a signal is called: between two steps of the main thread, and not beside it.
    assert pool.thread is threading.main_thread()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_alarm_that_is_not_due_never_rings(system: str) -> None:
    rung: list[int] = []
    with alarm(time.monotonic() + 0.1, lambda: rung.append(1)):
        pass
    with alarm(None, lambda: rung.append(1)):
        time.sleep(0.2)
    assert rung == []


def test_a_signal_is_no_alarm(system: str) -> None:
    pool = Pool()
    with stop_on_interrupt(pool, deadline=time.monotonic() + 60) as reason:
        signal.raise_signal(signal.SIGTERM)
    assert (pool.stopping, reason.timed_out) == (True, False)


def test_signals_that_a_system_lacks_are_left_out(system: str) -> None:
    found = {number.name for number in available_signals("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")}
    assert found == ({"SIGINT", "SIGTERM"} if system == "windows" else {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"})


def test_what_a_pool_starts_does_not_see_ctrl_c(system: str) -> None:
    """It inherits a mask, or, where there is none, ignores it by itself."""
    before = signal.getsignal(signal.SIGINT)
    numbers = available_signals("SIGINT")
    try:
        with signals_blocked(numbers):
            if system == "posix":
                assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        ignore_interrupts()
        assert signal.getsignal(signal.SIGINT) == (signal.SIG_IGN if system == "windows" else before)
        if system == "windows":
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
