"""`workbench rm`: what it selects, what it leaves alone, and what is left of a run that it removes."""

import os
import platform
import re
import shutil
import sys
from dataclasses import replace

import pytest

from analysis.dashboards.mirror.state import Destination, SyncState, write_state
from tests.workbench.cli.stored_runs import read_files, start_run, store_results, store_run
from tests.workbench.experiments import small
from workbench import run_removal
from workbench.cli.main import main
from workbench.config import TUNING_SEED
from workbench.results import finished_runs
from workbench.run_folder import run_lock


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "results"
    return folder, store_results(folder)


@pytest.fixture
def runs(out, stored):
    folder, runs = stored
    shutil.copytree(folder, out)
    return {name: out / run.relative_to(folder) for name, run in runs.items()}


def removed(runs):
    return {name for name, folder in runs.items() if not folder.exists()}


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (["--task", "copy"], {"rnn 0"}),
        (["--task", "addition", "--architecture", "gru"], {"gru 0", "gru 1"}),
        (["--architecture", "gru,rnn", "--seed", "0"], {"gru 0", "rnn 0"}),
        (["--identity", "{gru 1}"], {"gru 0", "gru 1"}),
        (["--identity", "{rnn 0},{interrupted}"], {"rnn 0", "diverged", "interrupted"}),
        (["--status", "diverged"], {"diverged"}),
        (["--status", "unfinished"], {"interrupted"}),
        (["--status", "interrupted,diverged", "--seed", "3"], {"interrupted"}),
        (["--all"], {"gru 0", "gru 1", "rnn 0", "diverged", "interrupted"}),
    ],
)
def test_runs_are_selected_by_all_of_the_options(selection, names, out, runs, capsys):
    selection = [re.sub(r"\{(.*?)\}", lambda match: runs[match[1]].parent.name[:11], text) for text in selection]
    assert main(["rm", str(out), *selection, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[:-1]} == {str(runs[name]) for name in names}
    assert lines[-1].startswith(f"{len(names)} of 5 runs, ")
    assert removed(runs) == set()
    assert main(["rm", str(out), *selection, "--yes"]) == 0
    assert removed(runs) == names


def test_the_size_is_that_of_the_files(out, capsys):
    folder = store_run(out, small("gru"))
    (folder / "previous.ckpt").write_bytes(bytes(2_000_000 - run_removal.folder_bytes(folder)))
    assert main(["rm", str(out), "--all", "--dry-run"]) == 0
    run, total = capsys.readouterr().out.splitlines()
    assert run == f"{folder}  finished  2.00 MB"
    assert total == "1 of 1 runs, 2.00 MB: nothing is removed in a dry run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "select what to remove: --task, .* --all removes every run"),
        (["--all", "--seed", "1"], "--all removes every run"),
        (["--task", "adition"], "no run of task 'adition'; did you mean 'addition'?"),
        (["--task", "copy,digits"], "no run of task 'digits'; known: addition, copy$"),
        (["--identity", "x"], "no run of identity 'x'; known: "),
        (["--seed", "7"], "no run of seed '7'; known: 0, 1, 2, 3"),
        (["--status", "divergd"], "unknown status 'divergd'; did you mean 'diverged'?"),
        (["--task", ","], "--task names nothing"),
        (
            ["--task", "copy", "--seed", "1"],
            "no run is all of that; there are the tasks addition, copy; the architectures gru, rnn; the seeds "
            "0, 1, 2, 3; and by status 1 diverged, 3 finished, 1 interrupted$",
        ),
        (["--task", "copy"], "no terminal to ask on; --yes removes without a question"),
    ],
)
def test_a_mistake_is_one_line_and_removes_nothing(arguments, message, out, runs, capsys):
    before = read_files(out)
    assert main(["rm", str(out), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert read_files(out) == before


@pytest.mark.parametrize(("answer", "names"), [("y\n", {"rnn 0"}), ("\n", set()), ("no\n", set()), ("", set())])
def test_it_asks(answer, names, out, runs, capsys, monkeypatch):
    stdin = type("Terminal", (), {"isatty": lambda self: True, "readline": lambda self: answer})()
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["rm", str(out), "--task", "copy"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("remove 1 of 5 runs, ")
    assert ("nothing was removed" in captured.out) == (not names)
    assert removed(runs) == names


def test_folders_that_are_empty_then_go_too(out, runs):
    assert main(["rm", str(out), "--task", "addition", "--yes"]) == 0
    assert [path.name for path in (out / "runs").iterdir()] == ["copy"]
    assert main(["rm", str(out), "--all", "--yes"]) == 0
    assert list((out / "runs").iterdir()) == []


def test_a_run_that_is_being_trained_is_left_alone(out, runs, capsys):
    with run_lock(runs["interrupted"]):
        assert main(["rm", str(out), "--architecture", "rnn", "--yes"]) == 1
    captured = capsys.readouterr()
    assert f"{runs['interrupted']}  running" in captured.out
    assert captured.err == (
        f"workbench: another process is at work on {runs['interrupted']} (process {os.getpid()} on {platform.node()}); "
        "wait until it has ended, or stop it\n"
    )
    assert removed(runs) == {"rnn 0", "diverged"}


def test_nothing_behind_a_link_is_touched(out, runs, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    moved = store_run(elsewhere, small("lstm"))
    (out / "runs/addition/lstm").symlink_to(moved.parent.parent)
    (out / "runs/linked").symlink_to(elsewhere / "runs/addition")
    (runs["gru 0"] / "notes").symlink_to(elsewhere)
    before = read_files(elsewhere)
    assert main(["rm", str(out), "--all", "--yes"]) == 0
    assert removed(runs) == {*runs}
    assert read_files(elsewhere) == before
    errors = capsys.readouterr().err
    assert f"{out / 'runs/linked'} is a link: what it leads to is left alone" in errors
    assert f"{out / 'runs/addition/lstm'} is a link" in errors


def test_what_a_killed_removal_leaves_is_no_run_and_goes_with_the_next(out, runs, monkeypatch):
    def fail(path):
        raise OSError(28, "killed") if path.exists() else FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        assert main(["rm", str(out), "--architecture", "gru", "--seed", "0", "--yes"]) == 1
    assert not runs["gru 0"].exists()
    assert {run.folder for run in finished_runs(out)} == {runs["gru 1"], runs["rnn 0"], runs["diverged"]}
    assert len(list(out.rglob("*.removed"))) == 1
    assert main(["rm", str(out), "--seed", "1", "--yes"]) == 0
    assert not runs["gru 0"].parent.exists()


def test_trials_of_a_sweep_stay_unless_they_are_named(out, runs, capsys):
    trial = start_run(out, replace(small("gru"), seed=TUNING_SEED))
    assert main(["rm", str(out), "--all", "--yes"]) == 0
    assert removed(runs) == {*runs}
    assert trial.exists()
    assert main(["rm", str(out), "--all"]) == 2
    assert "no runs in" in (line := capsys.readouterr().err)
    assert line.endswith("but 1 that a sweep tuned with; --trials takes them too\n")
    assert main(["rm", str(out), "--all", "--trials", "--yes"]) == 0
    assert not trial.exists()


def test_its_record_for_wandb_goes_with_a_run(out, runs):
    for name in ("gru 0", "gru 1"):
        record = out / f"wandb/offline-run-20260101_000000-{name[-1]}"
        record.mkdir(parents=True)
        place = Destination(project="p")
        folder = record.relative_to(out).as_posix()
        write_state(runs[name] / "wandb.json", SyncState(id=name, place=place, folder=folder, content="", at=""))
    assert main(["rm", str(out), "--architecture", "gru", "--seed", "0", "--yes"]) == 0
    assert [path.name for path in (out / "wandb").glob("offline-*")] == ["offline-run-20260101_000000-1"]


def test_it_says_what_still_shows_the_run(out, runs, capsys):
    (out / "report.html").write_text("")
    assert main(["rm", str(out), "--seed", "1", "--yes"]) == 0
    assert capsys.readouterr().out.endswith(f"1 of 5 runs removed; workbench report {out} makes the report again\n")
    assert main(["rm", str(out), "--all", "--yes"]) == 0
    assert capsys.readouterr().out.endswith(
        f"4 of 4 runs removed; the report in {out} still shows them, and may be deleted\n"
    )
