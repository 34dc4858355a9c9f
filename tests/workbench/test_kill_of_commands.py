"""`analyze` and `report` killed before every single write: the same command then gives the same results.

What a kill leaves behind is never read as a result, and does not pile up.
"""

import shutil
import signal
from pathlib import Path

import pytest

from tests.analysis.report_runs import experiment, write_run
from tests.fault_injection import run_and_die, temporary_files
from tests.forked_command import forked_command
from tests.workbench.experiments import finish, small
from workbench.cli.main import main

QUICK = ["--length", "8", "--sequences", "2", "--directions", "2", "--longest", "50", "--workers", "1", "--device"]
PROBES = [*QUICK, "cpu", "--probes", "gradient_decay,signal_survival"]


def contents(folder: Path) -> dict[str, bytes]:
    """Returns all files of a folder, but for locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def count_changes(arguments: list[str], folder: Path, scratch: Path) -> int:
    """Runs a command to its end, and returns how many changes it made below a folder."""
    scratch.mkdir()
    with forked_command(run_and_die, arguments, str(folder), 0, folder=scratch) as process:
        assert process.wait() == 0, process.errors
        return int(process.output.split()[-1])


def kill_before(fatal: int, arguments: list[str], folder: Path, scratch: Path) -> None:
    """Runs a command, and kills it before its so manieth change below a folder."""
    scratch.mkdir(exist_ok=True)
    with forked_command(run_and_die, arguments, str(folder), fatal, folder=scratch) as process:
        assert process.wait() == -signal.SIGKILL, process.errors


def moments(count: int, request: pytest.FixtureRequest, few: int, many: int) -> list[int]:
    """Returns moments to kill at: many, evenly spaced, in the slow tests, and else a few of the last ones.

    In these, results are put in place.
    """
    if request.node.get_closest_marker("slow"):
        return list(range(1, count + 1, max(1, count // many)))
    return list(range(count - 1, 0, -2))[:few]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    finish(small("gru", steps=3, log_every=2), out)
    return out


def try_kills_of_analyze(trained: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(trained, whole)
    (run,) = whole.glob("runs/*/*/*/seed-0")
    count = count_changes(["analyze", str(run), *PROBES], whole, tmp_path / "count")
    expected = contents(whole)
    assert str((run / "analysis.json").relative_to(whole)) in expected
    # A lock, and a temporary file and a rename for each of the two probes, at least.
    assert count >= 5
    for fatal in moments(count, request, few=2, many=count):
        out = tmp_path / "killed"
        shutil.copytree(trained, out)
        arguments = ["analyze", str(out / run.relative_to(whole)), *PROBES]
        kill_before(fatal, arguments, out, tmp_path / "scratch")
        left = contents(out)
        # Finished or not there, never in between: what is readable is a result.
        assert {name: left[name] for name in left if "analysis" not in name} == contents(trained)
        assert main(arguments) == 0
        assert contents(out) == expected, f"killed before change {fatal}"
        assert temporary_files(out) == [], f"killed before change {fatal}"
        shutil.rmtree(out)


def test_a_kill_of_analyze_costs_nothing_but_time(
    trained: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    try_kills_of_analyze(trained, tmp_path, request)


@pytest.mark.slow
def test_no_kill_of_analyze_costs_anything_but_time(
    trained: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    try_kills_of_analyze(trained, tmp_path, request)


def try_kills_of_report(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Kills pile up in one folder, as there is nothing to begin anew: a report replaces the one before."""
    out = tmp_path / "out"
    for name, loss in (("lstm", 0.01), ("gru", 0.02)):
        write_run(out, experiment(name), loss=loss)
    arguments = ["report", str(out), "--format", "svg"]
    count = count_changes(arguments, out, tmp_path / "count")
    expected = contents(out)
    assert {"report.html", "comparison.csv"} <= set(expected)
    for fatal in moments(count, request, few=1, many=18):
        kill_before(fatal, arguments, out, tmp_path / "scratch")
        left = contents(out)
        # The files of before and of now are the same: whatever is there is whole.
        assert left.items() <= expected.items(), f"killed before change {fatal}"
    assert main(arguments) == 0
    assert contents(out) == expected
    assert temporary_files(out) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_kill_of_report_leaves_half_a_file(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    try_kills_of_report(tmp_path, request)
