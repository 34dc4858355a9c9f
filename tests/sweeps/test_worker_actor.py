"""What a worker's process on a cluster does; here in this one."""

import os
import sys
from pathlib import Path

import pytest

from sweeps import ray_cluster
from sweeps.objective import WorkerUnusableError
from sweeps.ray_cluster import OVER, SPENT, STOPPED, WorkerActor
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

ORDER = WorkerConfig(url="sqlite:////tmp/none/sweep.db", names=("addition/rnn",), out=Path("/tmp/none"))


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    monkeypatch.setattr(ray_cluster, "keep_memory", lambda: None)
    monkeypatch.setattr(ray_cluster, "POLL_EVENTS_SECONDS", 0.05)
    monkeypatch.setattr(sys, "path", list(sys.path))


def working(monkeypatch, run):
    class Worker:
        def __init__(self, order, listener):
            self.order, self.listener = order, listener

        def run(self):
            run(self)

    monkeypatch.setattr(ray_cluster, "TrialWorker", Worker)
    return WorkerActor(ORDER, (), {})


def test_finds_the_users_modules_and_variables_but_keeps_its_own(monkeypatch):
    monkeypatch.setenv("PGUSER", "mine")
    # Set first, so that what the test sets is undone.
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.delenv("PGPASSWORD")
    # Whatever else has been imported may have put a folder there twice.
    monkeypatch.setattr(sys, "path", list(dict.fromkeys(sys.path)))
    first = sys.path[0]
    WorkerActor(ORDER, ("/users/modules", first), {"PGUSER": "theirs", "PGPASSWORD": "secret"})
    assert sys.path[-1] == "/users/modules"
    assert sys.path.count(first) == 1
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("mine", "secret")


def test_tells_its_notes_and_that_it_is_over(monkeypatch):
    def run(worker):
        worker.listener.note("a")
        worker.listener.note("b")

    at = working(monkeypatch, run)
    assert at.work() == OVER
    assert at.news() == ["a", "b"]
    assert at.news() == []


def test_stops_when_asked(monkeypatch):
    at = working(monkeypatch, lambda worker: None)
    at.stop()
    assert at.work() == STOPPED


def test_says_that_another_process_is_to_go_on(monkeypatch):
    def run(worker):
        raise WorkerUnusableError

    assert working(monkeypatch, run).work() == SPENT


def test_hands_the_question_whether_to_stop_on(monkeypatch):
    seen = []

    def run(worker):
        seen.append(worker.listener.stop())
        at.stop()
        seen.append(worker.listener.stop())

    at = working(monkeypatch, run)
    at.work()
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("the store is gone"), "the store is gone"),
        (OSError("disk full"), "disk full; free the way, then run the same command again"),
        (KeyError("x"), "a worker failed: KeyError: 'x'"),
    ],
)
def test_says_in_a_line_what_is_wrong(monkeypatch, error, said):
    def run(worker):
        raise error

    assert working(monkeypatch, run).work() == said
