"""A clock that is set back, and files whose times lie ahead of it, change nothing of a run."""

import itertools
import os
import time

from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same, stop_after
from workbench.results import finished_runs
from workbench.run import run


def test_a_run_does_not_depend_on_the_clock(tmp_path, monkeypatch):
    experiment = small("gru")
    whole = finish(experiment, tmp_path / "whole")
    # Every look at the clock is an hour before the last one; what takes time is measured by another clock.
    hours = itertools.count(time.time(), -3600.0)
    monkeypatch.setattr(time, "time", lambda: next(hours))
    assert run(experiment, tmp_path / "parts", stop=stop_after(5)) is None
    for path in (tmp_path / "parts").rglob("*"):
        os.utime(path, times=(4e9, 4e9))
    parts = finish(experiment, tmp_path / "parts")
    assert_same(whole.folder, parts.folder)
    assert parts.timing["seconds"] > 0
    # A finished result from tomorrow is a finished result.
    for path in (tmp_path / "parts").rglob("*"):
        os.utime(path, times=(4e9, 4e9))
    assert [found.folder for found in finished_runs(tmp_path / "parts")] == [parts.folder]
    before = (parts.folder / "result.json").stat().st_mtime_ns
    finish(experiment, tmp_path / "parts")
    assert (parts.folder / "result.json").stat().st_mtime_ns == before
