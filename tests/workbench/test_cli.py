"""The command line: training, comparing, listing and help, and one-line errors for mistakes."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

from tests.forked_command import forked_command, run_command
from workbench.cli.main import main
from workbench.files import read_json, write_json
from workbench.training import SequenceModule

QUICK = ["--steps", "4", "--batch-size", "3", "--log-every", "2", "--evaluation-size", "5", "--hidden-size", "4"]
COMPARE = ["compare", "--tasks", "addition", "--architectures", "gru", "--task.addition.length", "6", "--wandb", "off"]
WORKBENCH = Path(sys.executable).with_name("workbench")


def error_line(arguments, capsys):
    """Runs a command that must be refused; returns the one line that says why."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "unknown command 'lst'; did you mean 'list'?"),
        (
            ["compare", "--tasks", "addtion", "--architectures", "gru"],
            "unknown task 'addtion'.*did you mean 'addition'",
        ),
        (["compare", "--tasks", "addition", "--architectures", "lstn"], "unknown architecture 'lstn'.*mean 'lstm'"),
        (["compare", "--tasks", "addition"], "name at least one architecture: --architectures"),
        ([*COMPARE, "--stps", "3"], "unknown option --stps; did you mean '--steps'"),
        ([*COMPARE, "--task", "copy"], "--task goes with an option.*did you mean '--tasks'"),
        ([*COMPARE, "--arch", "gru"], r"unknown option --arch; did you mean '--architectures'\?$"),
        ([*COMPARE, "--steps", "abc"], "--steps: expected int, got abc"),
        ([*COMPARE, "--steps", "0"], "steps must be at least 1, not 0"),
        ([*COMPARE, "--seeds", "-1"], "seeds must be at least 1, not -1"),
        ([*COMPARE, "--batch-size", "0"], "batch_size must be at least 1"),
        ([*COMPARE, "--workers", "0"], "workers must be at least 1"),
        ([*COMPARE, "--clip", "vlue"], "--clip 'vlue' is unknown; known: value, norm, none"),
        ([*COMPARE, "--device", "tpu"], "--device 'tpu' is unknown; known: auto, cpu, cuda"),
        ([*COMPARE, "--task.addition.lenght", "3"], "addition has no option 'lenght'; did you mean 'length'"),
        ([*COMPARE, "--task.addition.length", "abc"], "length must be a whole number, not 'abc'"),
        ([*COMPARE, "--task.addition.length", "1"], "length must be at least 2, not 1"),
        ([*COMPARE, "--task.addition.length"], "--task.addition.length needs a value"),
        ([*COMPARE, "--task.copy.length", "3"], "options are given for task 'copy', which is not compared"),
        ([*COMPARE, "--architecture.gru.hidden_sze", "3"], "no option 'hidden_sze'; did you mean 'hidden_size'"),
        ([*COMPARE, "--architecture.gru.hidden_size", "0"], "hidden_size must be at least 1, not 0"),
        ([*COMPARE, "--architecture.gru.dropout", "1"], r"dropout must lie in \[0, 1\)"),
        ([*COMPARE, "--steps", "-x"], "--steps needs a value; one that begins with a dash is given as --steps=VALUE"),
        ([*COMPARE, "--config", "absent.yaml"], "--config: File does not exist"),
        (["compare", "--tasks", "addition", "--architectures", "absent.module:Class"], "no module 'absent.module'"),
        (
            ["compare", "--tasks", "addition", "--architectures", "torch.nn:LSTM"],
            "is not a subclass of architectures.Encoder",
        ),
        (
            ["compare", "--tasks", "json:JSONDecoder", "--architectures", "gru"],
            "is not a subclass of workbench.tasks.Task",
        ),
        (
            ["compare", "--tasks", "copy", "--architectures", "gru", "--embedding-size", "0"],
            "embedding_size must be at least",
        ),
        ([*COMPARE, "--task.addition.length", "{a: 1, a: 2}"], "is not a readable value: the key 'a' is there twice"),
        ([*COMPARE, "--task.addition.length", "2020-13-45"], "length must be a whole number"),
        ([*COMPARE, "--task.addition.length", "\udcff"], "is not a readable value: unacceptable character"),
        ([*COMPARE, "--embedding-size", "1" + "0" * 24], "^workbench: [^\n]{,200}$"),
        (["train", "--task", "addition"], "name the architecture: --architecture NAME"),
        (["train", "--task", "addition", "--architecture", "gru", "--seed", "-1"], "seed must be at least 0"),
        ([*COMPARE, "--task.addition.length", "2020-01-01"], "length must be a whole number"),
        ([*COMPARE, "--hidden-size", "10000000000"], "hidden_size must be at most 1048576"),
        ([*COMPARE, "--device", "cuda"], "PyTorch finds no CUDA device"),
        (["list", "addtion"], "unknown name 'addtion'; did you mean 'addition'"),
        (["list", "lstn"], "unknown name 'lstn'; did you mean 'lstm'"),
        (["report", "absent"], "there is no folder absent"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if arguments[0] in ("compare", "train"):
        arguments = [*arguments, "--out", "results"]
    assert re.search(message, error_line(arguments, capsys))
    assert list(tmp_path.iterdir()) == []


def test_out_has_to_be_a_folder_that_can_be_written(capsys, tmp_path):
    assert "--out DIR" in error_line([*COMPARE], capsys)
    file = tmp_path / "file"
    file.write_text("mine")
    assert "is a file" in error_line([*COMPARE, "--out", file], capsys)
    assert file.read_text() == "mine"
    assert "cannot write to" in error_line([*COMPARE, "--out", "/proc/results"], capsys)
    assert "cannot write to" in error_line([*COMPARE, "--out", "a" * 300], capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: [addition]\narchitectures: gru\nlerning_rate: 3\n", "unknown key 'lerning_rate'; did you mean 'learn"),
        ("tasks: [addition]\narchitectures: gru\nsteps: many\n", "--steps: expected int, got many"),
        ("tasks: [addition]\narchitectures: gru\nwandb: off\n", "'False' is unknown; known: off, .* .in quotes."),
        (
            "tasks: [addition]\n  architectures: - gru\n",
            "comparison.yaml, given as --config, is not readable YAML: .* line 2",
        ),
        ("tasks: [addition]\narchitectures: gru\nsteps: 3\nsteps: 4\n", "'steps' is there twice, in lines 3 and 4"),
        ("tasks: addition\narchitectures: gru\ntask: {addition: {length: 9, length: 8}}\n", "'length' .* in line 3"),
        ("tasks: addition\narchitectures: gru\nbatch-size: 3\nbatch_size: 4\n", "twice: batch-size and batch_size"),
        ("tasks: addition\narchitectures: gru\ntask: {}\ntask.addition.length: 5\n", "twice: task and task.addition"),
        ("tasks: addition\narchitectures: gru\nseeds: !!int x\n", "not of the type that it seems to be"),
        (
            "tasks: addition\narchitectures: gru\ntask: &a {addition: *a}\n",
            "an alias refers to a value that contains it",
        ),
        (
            "tasks: addition\narchitectures: {gru: 1}\n",
            "--architectures: expected text, or a list of it, got {'gru': 1}$",
        ),
        ("", "must hold options, each with its value: steps: 1000$"),
        ("tasks: !!python/object/apply:os.getcwd []\narchitectures: gru\n", "could not determine a constructor"),
        ("tasks: 3\narchitectures: gru\n", "tasks"),
        ("- tasks\n", "."),
        ("tasks: addition\narchitectures: gru\ntask: {addition: 5}\n", "the file must have options by name"),
        ("tasks: addition\narchitectures: gru\ntask: {3: {}}\n", "the file must have options by name"),
    ],
)
def test_a_wrong_file_is_refused(text, message, capsys, tmp_path):
    path = tmp_path / "comparison.yaml"
    path.write_text(text)
    assert re.search(message, error_line(["compare", "--config", path, "--out", tmp_path / "results"], capsys))
    assert list(tmp_path.iterdir()) == [path]


def test_a_comparison_from_end_to_end_then_again_without_training(tmp_path, capsys, monkeypatch):
    out = tmp_path / "results"
    command = ["compare", "--tasks", "addition,copy", "--architectures", "gru,tcn", "--seeds", "2", *QUICK]
    options = ["--task.addition.length", "6", "--task.copy.length", "5", "--architecture.tcn.kernel_size", "3"]
    assert main([*command, *options, "--workers", "2", "--wandb", "off", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out / 'report.html'}\n"
    assert "[8/8]" in captured.err
    results = sorted(out.glob("runs/*/*/*/*/result.json"))
    assert len(results) == 8
    assert (out / "comparison.csv").read_text().count("\n") == 9
    assert "tcn" in (out / "report.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/**/*")}
    monkeypatch.setattr(SequenceModule, "__init__", lambda *a: pytest.fail("trained again"))
    assert main(["compare", "--config", str(out / "comparison.yaml"), "--wandb", "off", "--out", str(out)]) == 0
    assert "8 of 8 runs are finished already" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/**/*")} == before


def test_flags_override_the_file_and_what_was_resolved_is_written(tmp_path):
    path = tmp_path / "comparison.yaml"
    path.write_text(
        "tasks: [addition]\narchitectures: [gru]\nseeds: 1\nsteps: 3\nbatch_size: 2\nevaluation_size: 3\n"
        "hidden_size: 3\ntask: {addition: {length: 9}}\narchitecture: {gru: {num_layers: 2, dropout: 0.5}}\n"
    )
    out = tmp_path / "results"
    flags = ["--steps", "2", "--task.addition.length", "5", "--architecture.gru.dropout", "0", "--wandb", "off"]
    assert main(["compare", "--config", str(path), *flags, "--out", str(out)]) == 0
    written = yaml.safe_load((out / "comparison.yaml").read_text())
    assert (written["steps"], written["batch_size"]) == (2, 2)
    assert written["task"] == {"addition": {"length": 5}}
    assert written["architecture"] == {"gru": {"num_layers": 2, "dropout": 0}}
    (config,) = out.glob("runs/*/*/*/*/config.yaml")
    resolved = yaml.safe_load(config.read_text())
    assert resolved["task"]["options"] == {"length": 5}
    assert resolved["architecture"]["options"]["num_layers"] == 2
    assert resolved["budget"]["steps"] == 2


def test_train_and_compare_share_their_results(tmp_path, capsys):
    out = ["--wandb", "off", "--out", str(tmp_path)]
    train = ["train", "--task", "addition", "--task.addition.length", "6", "--architecture", "gru"]
    assert main([*train, "--seed", "1", *QUICK, *out]) == 0
    assert main([*COMPARE, "--seeds", "2", *QUICK, *out]) == 0
    assert "1 of 2 runs are finished already" in capsys.readouterr().err


def test_a_refused_run_stops_the_comparison_and_keeps_the_rest(tmp_path, capsys):
    assert main([*COMPARE, *QUICK, "--seeds", "1", "--out", str(tmp_path)]) == 0
    (config,) = tmp_path.glob("runs/*/*/*/*/config.yaml")
    result = config.with_name("result.json")
    result_values = read_json(result)
    result.write_text("{ half")
    capsys.readouterr()
    line = error_line([*COMPARE, *QUICK, "--seeds", "1", "--out", tmp_path], capsys)
    assert "result.json is not readable JSON" in line
    assert line.endswith("; move its folder away and run again")
    write_json(result, result_values)
    config.write_text(config.read_text().replace("learning_rate: 0.001", "learning_rate: 0.5"))
    assert "was changed" in error_line([*COMPARE, *QUICK, "--seeds", "1", "--out", tmp_path], capsys)
    assert read_json(result) == result_values


def test_a_depth_that_does_not_reach_is_warned_of(tmp_path, capsys):
    blind = ["--architecture.tcn.num_layers", "1", "--architecture.tcn.kernel_size", "2"]
    train = ["train", "--task", "addition", "--architecture", "tcn", *blind, *QUICK, "--wandb", "off"]
    assert main([*train, "--out", str(tmp_path)]) == 0
    assert "warning: tcn sees 3 steps back, but sequences of addition have 100" in capsys.readouterr().err


@pytest.mark.slow
def test_what_lies_in_the_users_folder_is_not_taken_for_the_bench(tmp_path):
    """Neither in this process nor in one that trains; a custom architecture there is still found."""
    for name in ("architectures", "analysis", "workbench"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "own.py").write_text("from architectures.gru import GRU\nclass Own(GRU): pass\n")
    command = [str(WORKBENCH), "compare", "--tasks", "addition", "--architectures", "own:Own", *QUICK]
    done = subprocess.run([*command, "--seeds", "1", "--wandb", "off", "--out", "sweeps"], cwd=tmp_path,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "sweeps/report.html\n"), done.stderr


def test_a_script_beside_a_file_of_that_name_is_told_so(tmp_path):
    """Python looks beside the script first: the other packages work, and the error names the one that is hidden."""
    (tmp_path / "analysis.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text("import architectures\nprint('rda' in architectures.names())\nimport analysis.statistics\n")
    result = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "True\n")
    assert result.stderr.endswith("No module named 'analysis.statistics'; 'analysis' is not a package\n")


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; from workbench.cli.main import main; main(['--help']); print(sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "lightning", "wandb", "optuna", "seaborn", "pandas", "numpy", "jsonargparse", "yaml"}
    assert "compare" in output
    assert not heavy & set(re.findall(r"'(\w+)'", output))


def test_what_is_only_needed_for_work_is_not_imported_to_explain_it():
    """Nor is it imported for a mistake, which is answered as fast."""
    code = """if True:
        import contextlib, io, sys
        from workbench.cli.main import COMMANDS, main
        for command in (*([name] for name in COMMANDS), ["sweep", "run"]):
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
                main([*command, "--help"])
        print(sorted(sys.modules))"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"lightning", "wandb", "seaborn", "scipy", "sklearn", "matplotlib"} & set(re.findall(r"'(\w+)'", output))


def test_the_version_is_that_of_the_installed_package(capsys, monkeypatch):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"workbench {version('sequence-workbench')}\n"
    assert main(["--help"]) == 0
    assert "--version" in capsys.readouterr().out

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", not_installed)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "workbench (version unknown: the package is not installed)\n"


@pytest.mark.parametrize("command", ["list", "train", "compare", "report"])
def test_every_command_explains_itself_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as raised:
        main([command, "--help"])
    assert raised.value.code == 0
    output = capsys.readouterr().out
    assert f"workbench {command}" in output.split("examples:")[1]


def test_list_shows_every_name_and_every_option(capsys):
    from architectures import names, options
    from workbench import tasks

    assert main(["list"]) == 0
    everything = capsys.readouterr().out
    for name in (*names(), *tasks.names()):
        assert f"  {name} " in everything
        assert main(["list", name]) == 0
        description = capsys.readouterr().out
        kind, known_options = (
            ("task", tasks.options(name)) if name in tasks.names() else ("architecture", options(name))
        )
        for option in known_options:
            line = next(line for line in description.splitlines() if f"--{kind}.{name}.{option} " in line)
            assert re.search(r"--\S+ +\w", line), f"{name}.{option} is not described"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0])
def test_ctrl_c_while_workers_start_is_as_clean(tmp_path, seconds):
    command = [str(WORKBENCH), *COMPARE, "--steps", "1000000", "--workers", "2", "--out", str(tmp_path / "results")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "results/comparison.yaml").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "failed" not in errors


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGUSR1)),
    ],
    ids=lambda number: number.name,
)
def test_a_signal_to_the_group_stops_cleanly_and_the_same_command_goes_on(tmp_path, number):
    out = tmp_path / "results"
    command = [*COMPARE, "--seeds", "2", "--workers", "2", "--batch-size", "3", "--hidden-size", "4"]
    command += ["--steps", "1200", "--log-every", "20", "--evaluation-size", "5", "--out", str(out)]
    with forked_command(run_command, command, folder=tmp_path) as process:
        process.wait_until(lambda: list(out.glob("runs/*/*/*/*/metrics.csv")))
        process.signal_group(number)
        assert process.wait() == 130, process.errors
    assert "run the same command again to resume" in process.errors
    assert "Traceback" not in process.errors
    assert list(out.glob("runs/*/*/*/*/last.ckpt"))
    assert len(list(out.glob("runs/*/*/*/*/result.json"))) < 2
    assert main(command) == 0
    assert len(list(out.glob("runs/*/*/*/*/result.json"))) == 2
