"""Workers side by side in processes: replaced when they die, stopped when told."""

import os
import signal
import time
from multiprocessing import Pipe
from multiprocessing.process import BaseProcess
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from sweeps import local_launcher
from sweeps.local_launcher import MAX_FAILED_STARTS, LocalLauncher, TrialConnection, TrialEvent
from sweeps.objective import WorkerUnusableError
from sweeps.worker import TrialWorker, WorkerConfig
from tests.sweeps.failing_start import die_at_start
from workbench import process_pool
from workbench.config import Experiment, Part
from workbench.errors import UserError
from workbench.process_pool import STOP, start_process


@pytest.fixture
def order(tmp_path):
    return WorkerConfig(url="sqlite:///none.db", study_names=(), out=tmp_path)


class Told:
    """Everything that a crew tells."""

    def __init__(self):
        self.events, self.dead = [], []

    def tell(self, place, event):
        self.events.append((place, event.kind))

    def lost(self, study, number, how):
        self.dead.append((study, number, how))


def make(order, monkeypatch, work, workers=2, **more):
    """A crew whose processes do something else."""
    monkeypatch.setattr(local_launcher, "run_worker", work)
    told = Told()
    return LocalLauncher(config=order, workers=workers, on_event=told.tell, on_lost_trial=told.lost, **more), told


def die_once(connection, order):
    """The first of all dies at a trial; the second waits until it is stopped, or until the first was replaced."""
    line = TrialConnection(connection)
    line.send(TrialEvent(kind="ready"))
    first = order.out / "first"
    try:
        first.touch(exist_ok=False)
    except FileExistsError:
        (order.out / f"later-{os.getpid()}").touch()
        while len(list(order.out.glob("later-*"))) < 2:
            time.sleep(0.02)
        line.send(TrialEvent(kind="over"))
        return
    line.send(TrialEvent(kind="begun", study="s", number=7))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_is_replaced_in_its_place_and_its_trial_is_told(order, monkeypatch):
    crew, told = make(order, monkeypatch, die_once)
    crew.run()
    ((study, number, how),) = told.dead
    assert (study, number) == ("s", 7)
    assert "signal 9" in how
    (place,) = [place for place, kind in told.events if kind == "begun"]
    assert [kind for where, kind in told.events if where == place] == ["ready", "begun", "ended", "ready", "over"]
    assert [kind for where, kind in told.events if where != place] == ["ready", "over"]
    assert not crew.stopping


def test_five_that_cannot_start_end_it_with_one_line(monkeypatch):
    crew, told = make(SimpleNamespace(threads=1), monkeypatch, die_at_start, workers=1)
    with pytest.raises(
        UserError, match=f"{MAX_FAILED_STARTS} workers in a row could not start: its process ended with status 3"
    ):
        crew.run()
    assert told.events == told.dead == []


def refused(connection, order):
    TrialConnection(connection).send(TrialEvent(kind="refused", text="the store is gone"))


def test_what_a_worker_refuses_is_the_users(order, monkeypatch):
    crew, _ = make(order, monkeypatch, refused)
    with pytest.raises(UserError, match=r"^the store is gone$"):
        crew.run()


def patient(connection, order):
    """Waits until it is stopped."""
    line = TrialConnection(connection)
    line.send(TrialEvent(kind="ready"))
    while not line.stopped():
        time.sleep(0.02)
    (order.out / f"stopped-{os.getpid()}").touch()


def test_all_are_told_to_stop_and_put_their_trials_down(order, monkeypatch):
    crew, told = make(order, monkeypatch, patient)
    crew.idle = lambda: len(told.events) == 2 and crew.stop()
    crew.run()
    assert crew.stopping
    assert len(list(order.out.glob("stopped-*"))) == 2


def test_one_that_is_only_being_started_is_told_too(order, monkeypatch):
    crew, _ = make(order, monkeypatch, patient, workers=1)

    def interrupted(*given, **told):
        made = start_process(*given, **told)
        crew.stop()
        return made

    monkeypatch.setattr(process_pool, "start_process", interrupted)
    crew.run()
    assert len(list(order.out.glob("stopped-*"))) == 1


def stubborn(connection, order):
    """Is at a trial, and does not listen."""
    TrialConnection(connection).send(TrialEvent(kind="begun", study="s", number=7))
    time.sleep(60)


def test_a_process_that_is_killed_once_all_were_told_to_stop_was_not_lost(order, monkeypatch):
    crew, told = make(order, monkeypatch, stubborn, workers=1)

    def idle():
        if told.events:
            crew.stop()
            crew.kill()

    crew.idle = idle
    crew.run()
    assert told.dead == []
    assert told.events == [(0, "begun")]


def test_no_process_outlives_a_crew_that_ends_by_an_error(order, monkeypatch):
    crew, told = make(order, monkeypatch, patient)
    processes: list[BaseProcess] = []

    def idle():
        if len(told.events) == 2:
            processes.extend(worker.process for worker in crew.processes)
            raise RuntimeError("in the parent")

    crew.idle = idle
    with pytest.raises(RuntimeError, match="in the parent"):
        crew.run()
    assert [process.exitcode for process in processes] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("no store"), ("refused", "no store")),
        (OSError(28, "No space"), ("refused", "[Errno 28] No space; fix this, then run the same command again")),
        (KeyError("x\ny"), ("refused", "a worker failed: KeyError: 'x\\ny'")),
        (None, ("over", "")),
    ],
)
def test_however_a_worker_ends_it_says_so_in_a_line(order, monkeypatch, error, told):
    def run(self):
        if error is not None:
            raise error

    monkeypatch.setattr(TrialWorker, "run", run)
    monkeypatch.setattr(local_launcher, "end_with_parent", lambda: None)
    monkeypatch.setattr(local_launcher, "keep_memory", lambda: None)
    ours, theirs = Pipe()
    local_launcher.run_worker(theirs, order)
    events = [ours.recv() for _ in range(2)]
    assert [events[0].kind, (events[1].kind, events[1].text)] == ["ready", told]
    assert "\n" not in events[1].text


def spent(connection, order):
    """The first of all ends after a trial; the one that replaces it finds nothing left to do."""
    try:
        (order.out / "first").touch(exist_ok=False)
    except FileExistsError:
        TrialConnection(connection).send(TrialEvent(kind="over"))
        return
    with patch.object(local_launcher, "TrialWorker", Spent):
        local_launcher.run_worker(connection, order)


class Spent:
    """A worker whose trial fails on a GPU."""

    def __init__(self, config, listener):
        self.listener = listener

    def run(self):
        self.listener.on_begin("s", 7, Experiment(task=Part(name="t"), architecture=Part(name="a")))
        self.listener.on_end()
        raise WorkerUnusableError


def test_a_process_that_is_of_no_more_use_is_replaced_and_nothing_is_lost(order, monkeypatch):
    crew, told = make(order, monkeypatch, spent, workers=1)
    crew.run()
    assert told.dead == []
    assert [kind for _, kind in told.events] == ["ready", "begun", "ended", "over"]


def test_a_worker_that_is_stopped_does_not_say_that_nothing_is_left(order, monkeypatch):
    monkeypatch.setattr(TrialWorker, "run", lambda self: None)
    monkeypatch.setattr(local_launcher, "end_with_parent", lambda: None)
    monkeypatch.setattr(local_launcher, "keep_memory", lambda: None)
    ours, theirs = Pipe()
    ours.send(STOP)
    local_launcher.run_worker(theirs, order)
    theirs.close()
    assert ours.recv().kind == "ready"
    with pytest.raises(EOFError):
        ours.recv()


def test_a_worker_whose_parent_is_gone_puts_its_trial_down_and_says_nothing():
    ours, theirs = Pipe()
    line = TrialConnection(theirs)
    assert not line.stopped()
    ours.close()
    line._polled = 0.0
    assert line.stopped()
    line.begun("s", 1, Experiment(task=Part(name="t"), architecture=Part(name="a")))
    line.progress(3)


def test_progress_is_told_now_and_then_and_a_stop_is_looked_up_as_often():
    ours, theirs = Pipe()
    line = TrialConnection(theirs)
    line._reported = line._polled = time.monotonic() + 3600
    for step in range(10):
        line.progress(step)
    ours.send(STOP)
    assert not ours.poll()
    assert not line.stopped()
    line._reported = line._polled = 0.0
    line.progress(7)
    assert ours.recv() == TrialEvent(kind="step", steps=7)
    assert line.stopped()
