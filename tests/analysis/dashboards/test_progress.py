"""Progress of runs, read from their files alone."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.dashboards.server.progress import FolderWatcher, TimeLeft
from analysis.dashboards.server.run_status import RunStatus, last_row
from analysis.formatting import format_time_left
from tests.analysis.dashboards.server_runs import write_comparison, write_unfinished_run
from tests.analysis.report_runs import experiment, write_run
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.files import read_yaml, write_json, write_yaml
from workbench.run_folder import run_folder, run_lock
from workbench.study_files import Study, Trial


def test_every_state_is_told(tmp_path):
    first, second, third, fourth = write_comparison(tmp_path)
    write_unfinished_run(tmp_path, first, [0.3, 0.25, 0.2])
    failed = write_unfinished_run(tmp_path, second, [0.3])
    (failed / "error.log").write_text("Traceback (most recent call last):\n  here\nValueError: it <broke>\n\n")
    write_run(tmp_path, third, steps=1000)
    other = experiment("rnn", task_options={"length": 10}, steps=500)
    write_run(tmp_path, other, loss=None, diverged_at=120, steps=120)
    statuses = {(status.architecture, status.seed): status for status in FolderWatcher(tmp_path).current().runs}
    assert {key: status.state for key, status in statuses.items()} == {
        ("lstm", 0): "interrupted",
        ("gru", 0): "failed",
        ("lstm", 1): "finished",
        ("gru", 1): "waiting",
        ("rnn", 0): "diverged",
    }
    assert (statuses["lstm", 0].steps, statuses["lstm", 0].total_steps) == (300, 1000)
    assert statuses["lstm", 0].metrics == {"step": 300, "train/loss": 0.4, "val/loss": 0.2, "learning_rate": 0.001}
    assert statuses["gru", 0].message == "ValueError: it <broke>"
    assert {key for key, status in statuses.items() if status.planned} == set(statuses) - {("rnn", 0)}
    assert fourth.seed == 1
    # 300 and 100 of 1,000 steps; a finished run, and all of the 500 that a diverged one no longer needs.
    assert FolderWatcher(tmp_path).current().share == pytest.approx((300 + 100 + 1000 + 500) / 4500)


def test_a_slow_reading_serves_a_whole_page(tmp_path, monkeypatch):
    """A page asks for the progress several times."""
    seconds, reads = [0.0], []

    def read(watcher):
        seconds[0] += 5
        reads.append(seconds[0])
        return "progress"

    monkeypatch.setattr("analysis.dashboards.server.progress.time.monotonic", lambda: seconds[0])
    monkeypatch.setattr(FolderWatcher, "_read", read)
    watcher = FolderWatcher(tmp_path)
    assert [str(watcher.current()) for _ in range(3)] == 3 * ["progress"]
    assert reads == [5.0]
    seconds[0] += 1.5
    watcher.current()
    assert reads == [5.0, 11.5]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.yaml", "[1", "config.yaml is not readable YAML"),
        ("config.yaml", "a: " + "[" * 5000, "config.yaml|RecursionError"),
        ("config.yaml", "\x00", "config.yaml is not readable YAML"),
        ("metrics.csv", "a,b\n1,2\n", "it has no column step"),
        ("metrics.csv", "step,val/loss\nmany,2\n", "its last step is 'many'"),
        ("metrics.csv", "step,val/loss\n-5,2\n", "its last step is '-5'"),
        ("metrics.csv", "step,val/loss\n1e400,2\n", "its last step is '1e400'"),
        ("metrics.csv", "", "it has no column step"),
        ("result.json", "{", "result.json is not readable JSON"),
        ("result.json", '{"status": "finished"}', "result.json was not written by this bench"),
    ],
)
def test_a_damaged_file_is_a_line_and_hides_no_other_run(tmp_path, name, text, message):
    damaged, intact, *_ = write_comparison(tmp_path)
    (write_unfinished_run(tmp_path, damaged, [0.3]) / name).write_text(text)
    write_unfinished_run(tmp_path, intact, [0.3])
    statuses = {status.architecture: status for status in FolderWatcher(tmp_path).current().runs if status.folder}
    assert statuses["lstm"].state == "unreadable"
    assert "\n" not in statuses["lstm"].message
    assert any(part in statuses["lstm"].message for part in message.split("|")), statuses["lstm"].message
    assert str(tmp_path) not in statuses["lstm"].message
    assert statuses["gru"].state == "interrupted"


def test_a_changed_configuration_is_told(tmp_path):
    folder = write_unfinished_run(tmp_path, write_comparison(tmp_path)[0], [0.3])
    values = read_yaml(folder / "config.yaml")
    values["architecture"]["name"] = "<script>alert(1)</script>"
    write_yaml(folder / "config.yaml", values)
    (status,) = (status for status in FolderWatcher(tmp_path).current().runs if status.folder)
    assert status.state == "unreadable"
    assert "config.yaml was changed" in status.message


@pytest.mark.parametrize(
    "text", ["tasks: 3", "[", "tasks: [nosuch]\narchitectures: [lstm]\nmatch: x", "x: !!python/none 1"]
)
def test_a_damaged_comparison_is_a_line(tmp_path, text):
    write_unfinished_run(tmp_path, experiment("lstm"), [0.3])
    (tmp_path / "comparison.yaml").write_text(text)
    progress = FolderWatcher(tmp_path).current()
    (problem,) = progress.problems
    assert problem.startswith("comparison.yaml cannot be read: ")
    assert [status.state for status in progress.runs] == ["interrupted"]


def test_a_name_that_is_not_in_the_catalogue_may_be_a_class_of_a_notebook_and_waits(tmp_path):
    (tmp_path / "comparison.yaml").write_text("tasks: [addition]\narchitectures: [Leaky]\nseeds: 1")
    progress = FolderWatcher(tmp_path).current()
    assert not progress.problems
    assert [(status.architecture, status.state) for status in progress.runs] == [("Leaky", "waiting")]


def test_more_runs_than_a_page_holds_are_a_line(tmp_path):
    (tmp_path / "comparison.yaml").write_text("tasks: [addition]\narchitectures: [lstm]\nseeds: 999999")
    (problem,) = FolderWatcher(tmp_path).current().problems
    assert "999,999 runs" in problem


def test_code_that_a_file_names_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "comparison.yaml").write_text(
        "tasks: [addition]\narchitectures: ['trap:X', lstm]\nseeds: 2\nsteps: 2000\n"
        "task: {addition: {length: 100}}\narchitecture: {'trap:X': {rate: 1e-3}}\n"
    )
    write_run(tmp_path, experiment("trap:X", options={"rate": 0.001}))
    write_run(tmp_path, experiment("trap:X", options={"rate": 0.5}, seed=1))
    progress = FolderWatcher(tmp_path).current()
    assert progress.problems == ()
    assert "trap" not in sys.modules
    planned = {(status.architecture, status.seed): status.state for status in progress.runs if status.planned}
    assert planned == {
        ("trap:X", 0): "finished",
        ("trap:X", 1): "waiting",
        ("lstm", 0): "waiting",
        ("lstm", 1): "waiting",
    }
    (other,) = (status for status in progress.runs if not status.planned)
    assert (other.architecture, other.seed, other.state) == ("trap:X", 1, "finished")


def test_one_run_in_two_folders_counts_once(tmp_path):
    run_config = experiment("lstm")
    write_unfinished_run(tmp_path, run_config, [0.3])
    twin = tmp_path / "runs" / "addition" / "again" / run_config.identity / "seed-0"
    twin.parent.mkdir(parents=True)
    run_folder(tmp_path, run_config).rename(twin)
    write_unfinished_run(tmp_path, run_config, [0.3])
    statuses = sorted(FolderWatcher(tmp_path).current().runs, key=lambda status: status.state)
    assert [status.state for status in statuses] == ["interrupted", "unreadable"]
    assert "holds the same run as" in statuses[1].message


def test_links_out_of_the_folder_are_no_runs(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run_config = experiment("lstm")
    outside = write_unfinished_run(elsewhere, run_config, [0.3])
    inside = run_folder(out, run_config)
    inside.mkdir(parents=True)
    for name in ("config.yaml", "metrics.csv"):
        (inside / name).symlink_to(outside / name)
    assert FolderWatcher(out).current().runs == ()


def test_a_pipe_is_not_waited_for(tmp_path):
    folder = write_unfinished_run(tmp_path, experiment("lstm"), [0.3])
    (folder / "metrics.csv").unlink()
    os.mkfifo(folder / "metrics.csv")
    (status,) = FolderWatcher(tmp_path).current().runs
    assert (status.state, status.steps) == ("interrupted", 0)


def test_trials_under_way_are_listed_separately_and_studies_are_read(tmp_path):
    run_config = replace(experiment("lstm"), seed=TUNING_SEED)
    write_unfinished_run(tmp_path, run_config, [0.3])
    trial = Trial(number=0, place=0, state="complete", params={}, values=(0.25,))
    finished_study = Study(
        name="addition/lstm", task="addition", task_options={}, architecture="lstm", asked=4, objectives=("loss",),
        settings={}, space={}, trials=(trial,), winner=0,
    )  # fmt: skip
    study_files.write_study(tmp_path, finished_study)
    progress = FolderWatcher(tmp_path).current()
    assert progress.runs == progress.tuning == ()
    assert progress.studies == (finished_study,)
    with run_lock(run_folder(tmp_path, run_config)):
        (status,) = FolderWatcher(tmp_path).current().tuning
    assert (status.state, status.steps) == ("running", 100)
    write_json(tmp_path / "sweep" / "more.json", {"trials": 3})
    (problem,) = FolderWatcher(tmp_path).current().problems
    assert "the studies cannot be read" in problem


def test_the_last_row_is_found_in_a_long_file(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,val/loss,val/x\n" + "".join(f"{step},{1 / step},\n" for step in range(1, 20_000)))
    assert path.stat().st_size > 200_000
    assert last_row(path) == {"step": 19_999, "val/loss": 1 / 19_999}
    path.write_bytes(b"step,val/loss\n5,\xff\n")
    with pytest.raises(UserError, match="not a readable table"):
        last_row(path)


def run_status(state, steps, *, at=0.0, seed=0, name="lstm", seconds=None):
    run_config = experiment(name, steps=1000, seed=seed)
    return RunStatus(
        task="addition", architecture=name, seed=seed, state=state, identity=run_config.identity, experiment=run_config,
        folder=run_folder(Path("out"), run_config), total_steps=1000, steps=steps,
        metrics_stamp=(int(at * 1e9), 1, 1), planned=True, seconds=seconds,
    )  # fmt: skip


def test_time_left_is_what_the_pace_makes_of_the_steps_left():
    time_left = TimeLeft()
    before = [run_status("running", 100, at=50.0), run_status("waiting", 0, seed=1)]
    time_left.observe(before)
    assert time_left.estimate(before) is None
    now = [run_status("running", 200, at=70.0), run_status("waiting", 0, seed=1)]
    time_left.observe(now)
    # 20 s for 100 steps; 800 and 1,000 are left, one after the other.
    assert time_left.estimate(now) == pytest.approx(0.2 * 1800)
    # Nobody knows how fast another architecture is, until one of it has finished.
    assert time_left.estimate([*now, run_status("waiting", 0, name="tcn")]) is None
    done = run_status("finished", 1000, name="tcn", seconds=500.0)
    assert time_left.estimate([*now, run_status("waiting", 0, name="tcn", seed=1), done]) == pytest.approx(
        0.2 * 1800 + 0.5 * 1000
    )
    # Two side by side: half the time, but no less than the longest run alone takes.
    more = [*now, run_status("running", 1000, seed=2)]
    assert time_left.estimate([*more, run_status("waiting", 0, seed=3)]) == pytest.approx(0.2 * 2800 / 2)
    assert time_left.estimate(more) == pytest.approx(0.2 * 1000)
    assert time_left.estimate([run_status("interrupted", 200)]) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "less than a minute"), (250, "about 4 min"), (7500, "about 2 h"), (300_000, "about 3 days")],
)
def test_times_are_told_roughly(seconds, text):
    assert format_time_left(seconds) == text
