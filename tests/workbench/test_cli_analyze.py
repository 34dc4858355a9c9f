"""`workbench analyze`: probes of runs, checkpoints and untrained models, and one-line errors for mistakes."""

import csv
import json
import re
import shutil
import signal
import zipfile
from pathlib import Path

import pytest
import torch

from tests.analysis.report_runs import experiment, write_run
from tests.forked_command import forked_command, run_command
from tests.workbench.experiments import finish, small
from workbench import checkpoints
from workbench.cli.main import main

QUICK = ["--length", "8", "--sequences", "2", "--directions", "2", "--longest", "50", "--workers", "1"]
UNTRAINED = ["--untrained", "gru", "--task", "addition", "--task.addition.length", "8", "--hidden-size", "4"]

BARE = """
import torch
from torch import nn

from architectures import Encoder


class Bare(Encoder):
    \"\"\"One without a trace.

    Args:
        input_size: features a step.
        hidden_size: units.
    \"\"\"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size)
        self.output_size = hidden_size
        self.project = nn.Linear(input_size, hidden_size)

    def encode(self, x, state, lengths):
        if x.shape[1] > 12:
            raise ValueError("it has positions for 12 steps")
        y = self.project(x).cumsum(1)
        return y, None

    def trace(self, x, state=None, lengths=None):
        raise NotImplementedError("it keeps no trace")

    def path_length(self, lag):
        return 1

    def state_size(self, time):
        return 0
"""


def run(arguments, capsys):
    status = main(["analyze", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


def error_line(arguments, capsys):
    status, out, err = run(arguments, capsys)
    assert (status, out) == (2, "")
    (line,) = err
    return line


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    finish(small("gru", steps=3, log_every=2), out)
    finish(small("rda-exp-tanh", steps=3, log_every=2), out)
    return out


@pytest.fixture
def results(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "results"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to probe: a folder of results, a run's folder, a checkpoint, or --untrained NAME"),
        (["absent"], "there is no folder absent"),
        (["."], r"there are no finished runs in \.; name the folder given as --out"),
        ([".", "--probes", "memory_lenght"], "unknown probe 'memory_lenght'; did you mean 'memory_length'"),
        ([".", "--probes", ","], "name at least one probe: --probes memory_length,"),
        ([".", "--length", "1"], "length must be at least 2, not 1"),
        ([".", "--length", "abc"], "--length: expected int"),
        ([".", "--sequences", "0"], "sequences must be at least 1"),
        ([".", "--workers", "0"], "workers must be at least 1"),
        ([".", "--device", "cdua"], "--device 'cdua' is unknown; known: auto, cpu, cuda"),
        ([".", "--threads", "0"], "threads must be at least 1"),
        ([".", "--lenght", "5"], "unknown option --lenght; did you mean '--length'"),
        ([".", "--threads", "100000"], "threads must be at most 1024"),
        ([".", "--seq", "5"], "unknown option --seq; did you mean '--sequences'"),
        ([*UNTRAINED, "--out", "/proc/there"], "cannot write to /proc/there: "),
        (["--untrained", ",", "--task", "copy", "--out", "there"], "name at least one architecture: --untrained"),
        ([".", "--out", "there"], "name DIR to probe what is there, or --untrained"),
        ([".", *UNTRAINED, "--out", "there"], "name DIR to probe what is there, or --untrained"),
        ([".", "--task.addition.length", "5"], "name DIR to probe what is there, or --untrained"),
        (["--untrained", "gru", "--out", "there"], "name the task that untrained models would be trained on: --task"),
        (["--untrained", "gru", "--task", "addition"], "name a folder for the results: --out DIR"),
        (["--untrained", "gruu", "--task", "addition", "--out", "there"], "unknown architecture 'gruu'.*'gru'"),
        (["--untrained", "gru", "--task", "adition", "--out", "there"], "unknown task 'adition'.*'addition'"),
        ([*UNTRAINED, "--task.addition.lenght", "5", "--out", "there"], "no option 'lenght'; did you mean 'length'"),
        ([*UNTRAINED, "--seeds", "0", "--out", "there"], "seeds must be at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, error_line(arguments, capsys))
    assert list(tmp_path.iterdir()) == []


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["analyze", "--help"])
    assert raised.value.code == 0
    output = capsys.readouterr().out
    assert "workbench analyze results" in output.split("examples:")[1]
    for option in ("--length", "--probes", "--device", "--again", "--untrained", "--workers"):
        assert option in output


def test_a_comparison_is_probed_then_read_and_the_report_made_again(results, capsys):
    command = [results, "--probes", "memory_length,gradient-decay", *QUICK]
    status, out, err = run(command, capsys)
    assert status == 0
    *_, last = out.splitlines()
    assert last == str(results / "report.html")
    assert [line.split("  ")[0] for line in out.splitlines()[2:-1]] == [
        "addition gru seed 0",
        "addition rda-exp-tanh seed 0",
    ]
    assert re.match(r"\[1/4\] addition gru seed 0, memory_length: \S+ s", err[0])
    analyses = {path: json.loads(path.read_text()) for path in sorted(results.rglob("analysis.json"))}
    assert [list(analysis["probes"]) for analysis in analyses.values()] == [["memory_length", "gradient_decay"]] * 2
    rows = list(csv.DictReader((results / "analysis.csv").read_text().splitlines()))
    assert {(row["architecture"], row["probe"]) for row in rows} == {
        (name, probe) for name in ("gru", "rda-exp-tanh") for probe in ("memory_length", "gradient_decay")
    }
    page = (results / "report.html").read_text()
    for anchor in ("ranking", "memory-length", "gradient-decay"):
        assert re.search(f'<section [^>]*id="{anchor}"', page), anchor
    assert re.search(r"Probed on.*c\w+ \(2 models\)\.", page)
    times = {path: path.stat().st_mtime_ns for path in analyses}
    status, again, err = run(command, capsys)
    assert (status, again) == (0, out)
    assert err == ["4 of 4 probes known already"]
    assert {path: path.stat().st_mtime_ns for path in analyses} == times
    status, again, err = run([*command, "--again"], capsys)
    assert (status, again) == (0, out)
    assert {path: json.loads(path.read_text()) for path in analyses} == analyses


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")
def test_a_gpu_that_is_not_there_is_a_line(results, capsys):
    line = error_line([results, *QUICK, "--device", "cuda"], capsys)
    assert line == "workbench: --device cuda: PyTorch finds no CUDA device here; use --device cpu"
    assert not list(results.rglob("analysis.json"))


def test_one_run_and_one_checkpoint(results, capsys):
    (folder,) = results.glob("runs/addition/gru/*/seed-0")
    for path in (folder, folder / "last.ckpt"):
        status, out, err = run([path, "--probes", "memory_length", *QUICK], capsys)
        assert status == 0
        assert "addition gru seed 0" in out
        assert "report.html" not in out
    assert err == ["1 of 1 probe known already"]
    assert [path.parent for path in results.rglob("analysis.json")] == [folder]


def test_a_checkpoint_in_parts_is_put_together(results, capsys):
    (folder,) = results.glob("runs/addition/gru/*/seed-0")
    before = (folder / "last.ckpt").read_bytes()
    checkpoints.split_file(folder / "last.ckpt", 1000)
    assert not (folder / "last.ckpt").exists()
    assert run([folder / "last.ckpt", "--probes", "memory_length", *QUICK], capsys)[0] == 0
    assert (folder / "last.ckpt").read_bytes() == before
    checkpoints.split_file(folder / "last.ckpt", 1000)
    next(folder.glob("last.ckpt.*1*")).write_bytes(b"")
    assert "is in parts, of which one is missing or damaged" in error_line([folder / "last.ckpt", *QUICK], capsys)


def test_what_is_no_checkpoint_is_a_line(results, capsys):
    (folder,) = results.glob("runs/addition/gru/*/seed-0")
    (other,) = results.glob("runs/addition/rda-exp-tanh/*/seed-0")
    shutil.copy(other / "last.ckpt", folder / "theirs.ckpt")
    with zipfile.ZipFile(folder / "damaged.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(1000))
        start = len(archive.filelist[0].FileHeader())
    content = bytearray((folder / "damaged.ckpt").read_bytes())
    content[start] ^= 0xFF
    (folder / "damaged.ckpt").write_bytes(content)
    names = {"config.yaml": "is damaged, or no", "damaged.ckpt": "is damaged, or no", "theirs.ckpt": "belongs to"}
    for name, why in names.items():
        line = error_line([folder / name, *QUICK], capsys)
        assert line.startswith(f"workbench: {folder / name} {why}")
    (folder / "last.ckpt").write_bytes(b"")
    (folder / "previous.ckpt").unlink(missing_ok=True)
    line = error_line([folder / "last.ckpt", *QUICK], capsys)
    assert line.startswith(f"workbench: {folder / 'last.ckpt'} is damaged")
    assert (
        error_line([folder, *QUICK], capsys)
        == f"workbench: {folder} has no checkpoint that can be read; train it again"
    )
    assert not list(results.rglob("analysis.json"))


def test_a_report_says_where_models_were_probed_otherwise(results, capsys):
    command = ["--probes", "memory_length", *QUICK]
    assert run([results, *command], capsys)[0] == 0
    assert "probed alike" not in (results / "report.html").read_text()
    (folder,) = results.glob("runs/addition/gru/*/seed-0")
    assert run([folder, *command, "--length", "6"], capsys)[0] == 0
    assert main(["report", str(results)]) == 0
    page = (results / "report.html").read_text()
    assert "Not all models were probed alike: length 6 (1 model), 8 (1 model). <code>workbench analyze</code>" in page
    assert run([results, *command], capsys)[0] == 0
    assert "probed alike" not in (results / "report.html").read_text()


def test_untrained_architectures(tmp_path, capsys):
    command = ["--untrained", "gru,tcn", "--task", "copy", "--task.copy.length", "5", "--hidden-size", "4", *QUICK]
    status, out, _ = run([*command, "--seeds", "2", "--probes", "memory_length", "--out", tmp_path / "there"], capsys)
    assert status == 0
    assert [line.split("  ")[0] for line in out.splitlines()[2:]] == [
        f"copy {name} seed {seed}" for seed in (0, 1) for name in ("gru", "tcn")
    ]
    assert len(list(tmp_path.glob("there/untrained/copy/*/*/seed-?/analysis.json"))) == 4
    assert len(list(tmp_path.glob("there/untrained/copy/*/*/seed-?/config.yaml"))) == 4
    (tmp_path / "file").write_text("mine")
    assert run([*command, "--out", tmp_path / "file"], capsys)[0] == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_what_diverged_is_a_line_and_the_others_go_on(results, capsys):
    diverged = write_run(results, experiment("lstm"), loss=None, losses=(0.5,), diverged_at=7)
    status, out, err = run([results, "--probes", "memory_length", *QUICK], capsys)
    assert status == 0
    assert err[0] == f"workbench: {diverged} diverged at step 7: it has no model to probe"
    assert "addition lstm" not in out
    shutil.rmtree(results / "runs/addition/gru")
    shutil.rmtree(results / "runs/addition/rda-exp-tanh")
    assert "diverged at step 7" in error_line([results, *QUICK], capsys)
    assert "diverged at step 7" in error_line([diverged, "--probes", "memory_length"], capsys)


def test_a_foreign_architecture_without_a_trace(tmp_path, capsys, monkeypatch):
    (tmp_path / "bare_once.py").write_text(BARE)
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "results"
    finish(small("bare_once:Bare", steps=3), out)
    finish(small("gru", steps=3), out)
    probes = ["--probes", "memory_length,discount_dynamics"]
    status, output, err = run([out, *probes, *QUICK], capsys)
    assert status == 0
    (line,) = [line for line in err if "discount_dynamics is not available" in line]
    assert "addition bare_once:Bare seed 0: " in line
    assert (out / "report.html").exists()
    assert len(output.splitlines()) == 5
    # Longer than it can take: a line, and the others go on.
    status, _, err = run([out, *probes, *QUICK, "--length", "20"], capsys)
    assert status == 0
    assert any("is not available for addition bare_once:Bare seed 0" in line for line in err)
    assert not any("gru" in line for line in err if "not available for" in line)


def test_a_half_written_file_of_findings_is_a_line_and_stays(results, capsys):
    (folder,) = results.glob("runs/addition/gru/*/seed-0")
    (folder / "analysis.json").write_text('{"schema": 1, "pro')
    _, _, err = run([folder, "--probes", "memory_length", *QUICK], capsys)
    assert err[-1].endswith("; move it away and analyze again")
    assert (folder / "analysis.json").read_text() == '{"schema": 1, "pro'


def test_only_what_is_not_available_is_nothing_done(results, capsys):
    status, out, err = run([results, "--probes", "alternation", *QUICK], capsys)
    assert (status, out) == (2, "")
    (line,) = [line for line in err if line.startswith("workbench: ")]
    assert "alternation is not available for any of the 2 models: " in line


def test_ctrl_c_leaves_what_is_done(results, tmp_path):
    command = ["analyze", str(results), "--probes", "memory_length,signal_survival"]
    command += ["--length", "8", "--sequences", "2", "--directions", "2", "--longest", "10000000", "--workers", "2"]
    with forked_command(run_command, command, folder=tmp_path) as process:
        process.wait_until(lambda: len(list(results.rglob("analysis.json"))) == 2)
        process.signal_group(signal.SIGINT)
        assert process.wait() == 130, process.errors
    assert process.errors.splitlines()[-1] == "workbench: interrupted"
    assert "Traceback" not in process.errors
    analyses = [json.loads(path.read_text())["probes"] for path in results.rglob("analysis.json")]
    assert [list(analysis) for analysis in analyses] == [["memory_length"]] * 2
    assert not list(results.rglob("*.tmp"))


def test_code_that_only_the_folder_names_is_imported_only_if_the_user_says_so(tmp_path, monkeypatch, capsys):
    import sys

    (tmp_path / "their_code.py").write_text("from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    finished = finish(small("their_code:Mine", steps=2), tmp_path / "results")
    for where in (tmp_path / "results", finished.folder / "last.ckpt"):
        sys.modules.pop("their_code", None)
        line = error_line([where, "--probes", "discount_dynamics"], capsys)
        assert "their_code:Mine is code that the results name and that is not installed" in line
        assert "their_code" not in sys.modules
    status, _, err = run([tmp_path / "results", *QUICK, "--probes", "discount_dynamics", "--allow-code"], capsys)
    assert status == 0, err
    sys.modules.pop("their_code", None)
