"""The plan of a comparison before it trains, and the time that is left once its first run has ended."""

from dataclasses import replace

import pytest

from tests.workbench.cli.stored_runs import store_run
from tests.workbench.experiments import small
from tests.workbench.test_cli_output import frames, use_terminal
from workbench import execution, progress
from workbench.cli.execution import execute
from workbench.cli.options import RunOptions
from workbench.progress import RunProgress
from workbench.run_queue import RunEvent


class Pool:
    """Runs nothing: every run ends at once, as finished by another process."""

    def __init__(self, *, out, **options):
        self.out, self.stopping = out, False

    def run(self, experiments, listen):
        for index, experiment in enumerate(experiments):
            store_run(self.out, experiment)
            listen(index, RunEvent(kind="finished"))

    def stop(self):
        self.stopping = True


@pytest.mark.parametrize(
    ("finished", "line"),
    [
        (0, "6 runs: all of them; none is finished yet; 4 at a time on cpu"),
        (4, "6 runs: all of them; 4 of 6 runs are finished already and are read; 2 at a time on cpu"),
        (6, "6 runs: all of them; 6 of 6 runs are finished already and are read"),
    ],
)
def test_the_plan_is_printed_before_anything_is_trained(finished, line, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(execution, "RunPool", Pool)
    monkeypatch.setattr(execution, "build_native_kernels", lambda log: None)
    experiments = [replace(small("rnn"), seed=seed) for seed in range(6)]
    for experiment in experiments[:finished]:
        store_run(tmp_path, experiment)
    options = RunOptions(out=str(tmp_path), device="cpu", workers=4, wandb="off")
    runs, status = execute(experiments, options, plan="6 runs: all of them")
    lines = capsys.readouterr().err.splitlines()
    assert (len(runs), status) == (6, 0)
    assert lines[0] == line
    assert len(lines) == 1 + 6 - finished
    assert all(text.startswith("[") for text in lines[1:])


def test_the_plan_of_a_comparison_counts_its_runs(monkeypatch, tmp_path):
    from workbench.cli import compare

    plans = []

    def keep_plan(experiments, options, *, plan, **others):
        plans.append(plan)
        return [], 0

    monkeypatch.setattr(compare, "execute", keep_plan)
    names = ["--tasks", "addition,copy", "--architectures", "gru,rnn,lstm", "--seeds", "1"]
    assert compare.main([*names, "--out", str(tmp_path)]) == 0
    assert plans == ["6 runs: 3 architectures x 2 tasks x 1 seed"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    time = [100.0]
    monkeypatch.setattr(progress, "time", type("Time", (), {"monotonic": staticmethod(lambda: time[0])}))
    return time


def progress_of(experiments, **options):
    return RunProgress(experiments, [f"run {index}" for index in range(len(experiments))], **options)


def test_the_time_left_is_told_once_after_the_first_run(clock, capsys):
    # Of 400 steps, 60 were made before: resumed ones took no time now, and say nothing of the speed.
    with progress_of([small("gru", steps=100)] * 4, tell_time=True) as bar:
        bar.on_step(0, 60)
        clock[0] += 3
        bar.on_step(1, 20)
        clock[0] += 5
        bar.on_end(0, "test loss 1")
        clock[0] += 500
        bar.on_end(1, "test loss 2")
    # 40 steps were timed, in 8 seconds, and 280 are left: 56 seconds.
    assert capsys.readouterr().err.splitlines() == [
        "[1/4] run 0: test loss 1",
        "about 00:56 left for 3 more, at the speed so far",
        "[2/4] run 1: test loss 2",
    ]


def test_it_is_not_told_before_anything_was_timed_nor_at_the_end(clock, capsys):
    with progress_of([small("gru", steps=10)] * 2, tell_time=True) as bar:
        bar.on_end(0, "failed")
        clock[0] += 5
        bar.on_step(1, 5)
        clock[0] += 5
        bar.on_end(1, "test loss 2")
    assert capsys.readouterr().err.splitlines() == ["[1/2] run 0: failed", "[2/2] run 1: test loss 2"]


def test_on_a_terminal_the_line_lives(monkeypatch, clock):
    terminal = use_terminal(monkeypatch)
    with progress_of([small("gru", steps=100)] * 3, tell_time=True) as bar:
        bar.on_step(0, 60)
        bar.on_step(1, 20)
        clock[0] += 8
        bar.on_end(0, "test loss 1")
        bar.on_step(1, 20)
        assert "120/300 steps" in frames(terminal)[-1]
        assert frames(terminal)[-1].rstrip().endswith("1/3 runs, 1 under way; run 1")
    assert "at the speed so far" not in terminal.getvalue()
