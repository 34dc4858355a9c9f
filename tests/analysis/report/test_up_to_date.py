"""Whether a report is the one that would be written now."""

import contextvars
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import palettes, style
from analysis.report import build, up_to_date
from analysis.report.build import LOCK_FILE, write_report
from analysis.report.up_to_date import is_up_to_date, made_from, read_mark
from tests.analysis.report_runs import experiment, write_run
from workbench.config import TUNING_SEED
from workbench.locks import file_lock


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with a finished run."""
    write_run(tmp_path, experiment("lstm"))
    return tmp_path


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The marks of the reports that are written, each of which is quickly done."""
    marks = []

    def write(folder: Path, mark: str) -> None:
        marks.append(mark)
        for name, file in (("figures", "a.svg"), ("tables", "a.tex")):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / file).touch()
            (folder / name / ".made-by-report").write_text(f"{file}\n")
        for name in ("comparison.csv", "curves.csv", "analysis.csv"):
            (folder / name).touch()
        (folder / "report.html").write_text(f'<html><meta name="made-from" content="{mark}">')

    monkeypatch.setattr(build, "_write_report", write)
    return marks


def test_a_page_says_what_it_was_made_from(out: Path) -> None:
    mark = made_from(out)
    page = write_report(out)
    assert read_mark(page) == mark == made_from(out)
    assert is_up_to_date(out, mark)
    before = page.stat()
    write_report(out, shared=True)
    assert page.stat().st_mtime_ns == before.st_mtime_ns
    write_report(out)
    assert page.stat().st_mtime_ns > before.st_mtime_ns


def link_a_run(out: Path) -> None:
    folder = write_run(out / "scratch", experiment("gru", task="copy"))
    (out / "runs" / "copy").symlink_to(folder.parents[2])


def change_a_result(out: Path) -> None:
    path = next(out.glob("runs/*/*/*/*/result.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"time": 1}))


def change_a_curve(out: Path) -> None:
    path = next(out.glob("runs/*/*/*/*/metrics.csv"))
    path.write_text(path.read_text().replace("1", "2", 1))


def add_a_study(out: Path) -> None:
    (out / "sweep" / "copy").mkdir(parents=True)
    (out / "sweep" / "copy" / "lstm.json").write_text("{}")


def probe_and_remove_the_table(out: Path) -> None:
    next(out.glob("runs/*/*/*/*/result.json")).with_name("analysis.json").write_text("{}")
    write_report(out, shared=True)
    (out / "analysis.csv").unlink()


CHANGES: dict[str, tuple[Callable[[Path], object], int]] = {
    "nothing": (lambda out: None, 1),
    "another run": (lambda out: write_run(out, experiment("gru", seed=3)), 2),
    "a run behind a link": (lambda out: link_a_run(out), 2),
    "a trial, which a report leaves out": (lambda out: write_run(out, experiment("lstm", seed=TUNING_SEED)), 2),
    "an unfinished run": (lambda out: (write_run(out, experiment("gru")) / "result.json").unlink(), 1),
    "a result": (change_a_result, 2),
    "a curve": (change_a_curve, 2),
    "a study": (add_a_study, 2),
    "its table is gone": (lambda out: (out / "comparison.csv").unlink(), 2),
    "its page is gone": (lambda out: (out / "report.html").unlink(), 2),
    "its page is another": (lambda out: (out / "report.html").write_text("mine"), 2),
    "a figure is gone": (lambda out: (out / "figures" / "a.svg").unlink(), 2),
    "all figures are gone": (lambda out: shutil.rmtree(out / "figures"), 2),
    "its table of probes is gone": (probe_and_remove_the_table, 3),
    "a store, which it does not read": (lambda out: (out / "sweep.db").touch(), 1),
    "a file of somebody": (lambda out: (out / "notes.txt").touch(), 1),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_report_is_written_again_where_something_has_changed(
    out: Path, written: list[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    change, times = CHANGES[case]
    monkeypatch.setattr(build, "check_reportable", lambda folder: None)
    write_report(out, shared=True)
    change(out)
    write_report(out, shared=True)
    assert len(written) == times


def test_a_report_is_written_again_by_other_code_with_other_looks_or_elsewhere(
    out: Path, written: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_report(out, shared=True)
    with palettes.use_palette("grey"):
        write_report(out, shared=True)
    with style.use_formats(("pdf",)):
        write_report(out, shared=True)
    monkeypatch.setattr(up_to_date, "code_hash", lambda: "other code")
    write_report(out, shared=True)
    monkeypatch.chdir(tmp_path)
    write_report(Path(), shared=True)
    assert len(written) == len(set(written)) == 5


@pytest.mark.parametrize(("shared", "runs", "times"), [(True, 1, 1), (True, 2, 2), (False, 1, 2)])
def test_whoever_waits_for_a_report_writes_another_only_if_more_is_known(
    out: Path, written: list[str], shared: bool, runs: int, times: int
) -> None:
    # With the formats of this thread, which the tests have made fewer.
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(write_report, out, shared=shared))
    with file_lock(out / LOCK_FILE):
        thread.start()
        time.sleep(0.1)
        build._write_report(out, made_from(out))
        if runs == 2:
            write_run(out, experiment("gru"))
    thread.join()
    assert len(written) == times
    assert is_up_to_date(out, made_from(out))
