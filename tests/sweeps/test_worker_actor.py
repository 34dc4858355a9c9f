"""The actor that holds a worker on a Ray cluster; here it runs in the test's process."""

import os
import sys
from pathlib import Path

import pytest

from sweeps import ray_cluster
from sweeps.objective import WorkerUnusableError
from sweeps.ray_cluster import DONE, STOPPED, UNUSABLE, WorkerActor
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

CONFIG = WorkerConfig(url="sqlite:////tmp/none/sweep.db", study_names=("addition/rnn",), out=Path("/tmp/none"))


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    monkeypatch.setattr(ray_cluster, "keep_memory", lambda: None)
    monkeypatch.setattr(ray_cluster, "LOG_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(sys, "path", list(sys.path))


def make_actor(monkeypatch, run):
    """Returns an actor whose worker runs this function."""

    class FakeWorker:
        def __init__(self, config, listener):
            self.config, self.listener = config, listener

        def run(self):
            run(self)

    monkeypatch.setattr(ray_cluster, "TrialWorker", FakeWorker)
    return WorkerActor(CONFIG, (), {})


def test_finds_the_users_modules_and_variables_but_keeps_its_own(monkeypatch):
    monkeypatch.setenv("PGUSER", "mine")
    # Set first, so that what the test sets is undone.
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.delenv("PGPASSWORD")
    # Whatever else has been imported may have put a folder there twice.
    monkeypatch.setattr(sys, "path", list(dict.fromkeys(sys.path)))
    first = sys.path[0]
    WorkerActor(CONFIG, ("/users/modules", first), {"PGUSER": "theirs", "PGPASSWORD": "secret"})
    assert sys.path[-1] == "/users/modules"
    assert sys.path.count(first) == 1
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("mine", "secret")


def test_returns_its_log_lines_and_that_it_is_done(monkeypatch):
    def run(worker):
        worker.listener.log("a")
        worker.listener.log("b")

    actor = make_actor(monkeypatch, run)
    assert actor.run() == DONE
    assert actor.log_lines() == ["a", "b"]
    assert actor.log_lines() == []


def test_stops_when_asked(monkeypatch):
    actor = make_actor(monkeypatch, lambda worker: None)
    actor.stop()
    assert actor.run() == STOPPED


def test_reports_that_another_process_has_to_take_over(monkeypatch):
    def run(worker):
        raise WorkerUnusableError

    assert make_actor(monkeypatch, run).run() == UNUSABLE


def test_passes_the_request_to_stop_on(monkeypatch):
    seen = []

    def run(worker):
        seen.append(worker.listener.stop())
        actor.stop()
        seen.append(worker.listener.stop())

    actor = make_actor(monkeypatch, run)
    actor.run()
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("the store is gone"), "the store is gone"),
        (OSError("disk full"), "disk full; fix this, then run the same command again"),
        (KeyError("x"), "a worker failed: KeyError: 'x'"),
    ],
)
def test_returns_errors_as_one_line(monkeypatch, error, message):
    def run(worker):
        raise error

    assert make_actor(monkeypatch, run).run() == message
