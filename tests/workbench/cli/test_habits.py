"""What people type from habit leads to what they mean; and all that is missing is named at once."""

import re

import pytest

import architectures
from tests.workbench.cli.stored_runs import store_run
from tests.workbench.experiments import small
from workbench import tasks
from workbench.cli import compare, train
from workbench.cli.habits import BY_NAME, HABITS
from workbench.cli.main import main
from workbench.cli.sweep import run as sweep_run

COMPARE = ["compare", "--tasks", "addition,digits", "--architectures", "lstm,tcn", "--out", "results"]
TRAIN = ["train", "--task", "copy", "--architecture", "gru", "--out", "results"]
MODULES = {"train": train, "compare": compare, "sweep run": sweep_run}


def error_line(arguments, capsys):
    """Runs a command that must be refused; returns the one line that says why."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("workbench: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TRAIN, "--lr", "0.1"], "unknown option --lr; use --learning-rate"),
        ([*TRAIN, "--lr=0.1"], "unknown option --lr=0.1; use --learning-rate"),
        ([*TRAIN, "-lr", "0.1"], "unknown option -lr; use --learning-rate"),
        ([*COMPARE, "--optimizer.lr", "0.1"], "unknown option --optimizer.lr; use --learning-rate"),
        ([*COMPARE, "--Base_LR", "0.1"], "unknown option --Base_LR; use --learning-rate"),
        ([*COMPARE, "--hidden", "5"], "unknown option --hidden; did you mean '--hidden-size'?"),
        ([*COMPARE, "--hidden_dim", "5"], "unknown option --hidden_dim; use --hidden-size"),
        ([*COMPARE, "--batch", "5"], "unknown option --batch; did you mean '--batch-size'?"),
        ([*COMPARE, "--bs", "5"], "unknown option --bs; use --batch-size"),
        ([*COMPARE, "--grad-clip", "5"], "unknown option --grad-clip; use --clip and --clip-at"),
        ([*COMPARE, "--length", "5"], "unknown option --length; use --task.addition.length"),
        ([*TRAIN, "--seq_len", "5"], "unknown option --seq_len; use --task.copy.length"),
        (["train", "--length", "5"], "unknown option --length; use --task.NAME.length"),
        (
            [*COMPARE, "--n_layers", "2"],
            "unknown option --n_layers; use --architecture.lstm.num_layers and --architecture.tcn.num_layers",
        ),
        ([*COMPARE, "--kernel-size", "2"], "unknown option --kernel-size; use --architecture.tcn.kernel_size"),
        (["compare", "--architectures=own:Cell", "--layers", "2"], "--layers; use --architecture.own:Cell.num_layers"),
        (["sweep", "run", "--epochs", "2"], "unknown option --epochs; use --steps: there are no epochs, as every step"),
        ([*TRAIN, "--model", "gru"], "unknown option --model; use --architecture"),
        ([*COMPARE, "--model", "gru"], "unknown option --model; use --architectures"),
        ([*COMPARE, "--resume"], "unknown option --resume: an interrupted run is resumed by the same command"),
        ([*TRAIN, "--overwrite"], "--overwrite: finished runs are read, not repeated; workbench rm removes them first"),
        ([*COMPARE, "--task.length", "5"], "--task.length lacks a name: --task.NAME.length VALUE"),
        ([*TRAIN, "--task.length=5"], "--task.length lacks a name: --task.NAME.length VALUE"),
        ([*TRAIN, "--task.copy", "5"], "--task.copy lacks an option: --task.copy.OPTION VALUE (workbench list copy"),
        (["compare", "--architecture.own:Cell", "5"], "--architecture.own:Cell lacks an option"),
        (["export", "results", "--epochs", "2"], "unknown option --epochs; known: --help, --to, --checkpoints"),
    ],
)
def test_an_option_from_habit_leads_to_the_right_one(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_line(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 0.1", "unknown key 'lr'; use learning_rate"),
        ("epochs: 3", "unknown key 'epochs'; use steps: there are no epochs"),
        ("length: 3", "unknown key 'length'; use task: {addition: {length: VALUE}}"),
    ],
)
def test_so_does_a_key_of_a_file(text, message, capsys, tmp_path):
    path = tmp_path / "comparison.yaml"
    path.write_text(f"{text}\n")
    assert error_line([*COMPARE, "--config", path], capsys).startswith(message)


def test_every_habit_leads_to_something_that_is_there():
    options = {name: module.build_parser()._option_string_actions for name, module in MODULES.items()}
    with_length = [name for name in tasks.names() if "length" in tasks.options(name)]
    assert with_length
    for habit in HABITS:
        for option in {*habit.options} - {"--time-limit"}:
            assert any(option in known for known in options.values()), option
        if habit.kind == "architecture":
            assert any(habit.option in architectures.options(name) for name in architectures.names())
        if habit.kind == "task":
            assert any(habit.option in tasks.options(name) for name in tasks.names())
    names = " ".join(habit.names for habit in HABITS).split()
    assert len(names) == len(BY_NAME), "a name has two meanings"
    assert all(name == name.lower() and "_" not in name for name in names)


@pytest.mark.parametrize("arguments", [["train", "data.csv"], ["train", "--task", "data.csv"], ["compare", "x.npy"]])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_in_place_of_a_task_is_told_how_it_becomes_one(arguments, exists, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("a file of that name changes nothing")
    if exists:
        (tmp_path / arguments[-1]).write_text("1,2")
    kind = "task" if arguments[0] == "train" else "tasks"
    needed = ["--architecture", "gru", "--out", "results"] if "--task" in arguments else []
    line = error_line([*arguments, *needed], capsys)
    name = arguments[-1]
    start = f"file:{name} reads sequences from it" if name == "data.csv" else f"text --task.text.file {name} "
    assert line.startswith(f"'{name}' is a file, and not the name of a task: --{kind} {start}")
    assert f"--{kind} text --task.text.file {name} " in line
    assert (f"--{kind} package.module:Class" in line) == (name != "data.csv")
    assert "docs/data.md" in line
    mistyped = ["train", "--task", "digits", "--architecture", "gruu", "--out", "results"]
    assert "unknown architecture 'gruu'" in error_line(mistyped, capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train"],
            "name the task, the architecture and a folder for the results: --task NAME --architecture NAME --out ",
        ),
        (
            ["train", "--task", "copy"],
            "name the architecture and a folder for the results: --architecture NAME --out DIR",
        ),
        (["train", *TRAIN[3:]], "name the task: --task NAME (workbench list shows the names)"),
        (TRAIN[:-2], "name a folder for the results: --out DIR"),
        (["compare", "--out", "x"], "name at least one task and at least one architecture: --tasks NAME,NAME --archit"),
        (["sweep", "run"], "name at least one task, at least one architecture and a folder for the results: --tasks "),
        (
            ["analyze", "--untrained", "gru"],
            "name the task that untrained models would be trained on and a folder for the",
        ),
        (
            ["analyze", "--untrained", ","],
            "name at least one architecture, the task that untrained models would be trained on and a",
        ),
    ],
)
def test_all_that_is_missing_is_named_at_once(arguments, message, capsys):
    assert error_line(arguments, capsys).startswith(message)


def test_what_is_in_a_file_is_not_missing(capsys, tmp_path):
    path = tmp_path / "comparison.yaml"
    path.write_text("tasks: [copy]\nout: x\n")
    assert error_line(["compare", "--config", path], capsys).startswith("name at least one architecture: ")


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (command, place)
        for command in ("report", "analyze", "view", "sync", "dashboard build", "sweep status", "rm")
        for place in ("report.html", "runs", "RUN", "figures/a.svg")
        # A run's folder is what it probes, too.
        if (command, place) != ("analyze", "RUN")
    ],
)
def test_what_lies_in_a_folder_of_results_leads_to_it(command, place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/figures").mkdir(parents=True)
    for name in ("report.html", "figures/a.svg"):
        (tmp_path / "results" / name).write_text("")
    run = store_run(tmp_path / "results", small("gru")).relative_to(tmp_path)
    path = str(run) if place == "RUN" else f"results/{place}"
    line = error_line([*command.split(), path, *(["--all"] if command == "rm" else [])], capsys)
    assert line == f"{path} lies in the folder of results results; name that one"


@pytest.mark.parametrize("command", [TRAIN[:-1], COMPARE[:-1], ["import", "x.tar.gz", "--out"]])
def test_and_so_does_an_out_in_one(command, capsys, tmp_path):
    run = store_run(tmp_path, small("gru"))
    line = error_line([*command, run.parent], capsys)
    assert line == f"{run.parent} lies in the folder of results {tmp_path}; name that one"
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_a_folder_called_runs_may_hold_folders_of_results(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store_run(tmp_path / "runs/first", small("gru"))
    (tmp_path / "runs/second").mkdir()
    assert re.match("there are no runs in runs/second", error_line(["rm", "runs/second", "--all"], capsys))
    assert main(["rm", "runs/first", "--all", "--dry-run"]) == 0
