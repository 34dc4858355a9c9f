"""Turns of the processes that write the same report."""

import threading
import time
from pathlib import Path

import pytest

from analysis.report import build
from analysis.report.build import write_report
from analysis.report.turns import has_all_runs, report_turn
from analysis.run_tables import comparison_table
from tests.analysis.report_runs import experiment, write_run
from workbench.config import TUNING_SEED
from workbench.results import finished_runs


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished run, of which a report is as quickly written as its table of runs."""

    def write(folder: Path) -> None:
        comparison_table(list(finished_runs(folder))).to_csv(folder / "comparison.csv", index=False)
        (folder / "report.html").touch()

    monkeypatch.setattr(build, "_write_report", write)
    write_run(tmp_path, experiment("lstm"))
    return tmp_path


def test_a_report_is_of_all_runs_until_another_is_finished(out: Path) -> None:
    assert not has_all_runs(out)
    write_report(out)
    assert has_all_runs(out)
    write_run(out, experiment("lstm", seed=TUNING_SEED))
    assert has_all_runs(out)
    write_run(out, experiment("gru", seed=3))
    assert not has_all_runs(out)
    write_report(out)
    assert has_all_runs(out)
    (out / "comparison.csv").write_text("not a table")
    assert not has_all_runs(out)


@pytest.mark.parametrize(("shared", "runs", "times"), [(True, 1, 1), (True, 2, 2), (False, 1, 2)])
def test_whoever_waits_for_a_report_writes_another_only_if_more_is_known(
    out: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, runs: int, times: int
) -> None:
    count = 0
    write = build._write_report

    def write_and_count(folder: Path) -> None:
        nonlocal count
        count += 1
        write(folder)

    monkeypatch.setattr(build, "_write_report", write_and_count)
    thread = threading.Thread(target=lambda: write_report(out, shared=shared))
    with report_turn(out) as waited:
        assert not waited
        thread.start()
        time.sleep(0.1)
        build._write_report(out)
        if runs == 2:
            write_run(out, experiment("gru"))
    thread.join()
    assert count == times
    assert has_all_runs(out)


def test_whoever_does_not_wait_always_writes(out: Path) -> None:
    """So that the report is made again by the same command, whatever has happened to its figures."""
    write_report(out)
    (out / "report.html").unlink()
    write_report(out, shared=True)
    assert (out / "report.html").exists()
