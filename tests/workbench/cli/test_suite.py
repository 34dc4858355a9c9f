"""`workbench suite`: rates are chosen, seeds trained, and the report opens on the square; all of it can be resumed."""

from pathlib import Path

import pytest

from analysis.suites import suite
from tests.analysis.page import Page
from workbench.cli.main import main
from workbench.config import TUNING_SEED
from workbench.files import write_text
from workbench.results import finished_runs

SETTINGS = """
architectures: [rnn, gru]
long: {seeds: 3}
small:
  seeds: 2
  hidden_size: 3
  batch_size: 2
  steps: 2
  log_every: 1
  evaluation_size: 3
  rates: [0.01, 0.1]
"""
QUESTIONS = {
    "hold": "addition: {options: {length: 4}}",
    "track": "parity: {options: {length: 4}}",
    "find": "mqar: {options: {length: 6, pairs: 1, vocabulary: 4}}",
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three suites of a task each that train in a moment; returns an empty folder."""
    write_text(tmp_path / "settings.yaml", SETTINGS)
    (tmp_path / "questions").mkdir()
    for name, text in QUESTIONS.items():
        write_text(tmp_path / "questions" / f"{name}.yaml", text)
    monkeypatch.setattr(suite, "SETTINGS", tmp_path / "settings.yaml")
    monkeypatch.setattr(suite, "FOLDER", tmp_path / "questions")
    return tmp_path


def run(out: Path, *arguments: str) -> int:
    return main(["suite", *arguments, "--workers", "1", "--out", str(out)])


def test_rates_are_chosen_on_seeds_that_no_table_counts(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tiny / "out"
    assert run(out, "hold,find") == 0
    assert capsys.readouterr().out == f"{out / 'report.html'}\n"
    runs = list(finished_runs(out))
    assert len(runs) == 2 * 2 * 2
    assert {each.experiment.seed for each in runs} == {0, 1}
    trials = sorted((out / "runs").glob(f"*/*/*/seed-{TUNING_SEED}"))
    assert len(trials) == 2 * 2 * 2
    rates: dict[tuple[str, str], set[float]] = {}
    for each in runs:
        key = (each.experiment.task.name, each.experiment.architecture.name)
        rates.setdefault(key, set()).add(each.experiment.optimization.learning_rate)
    assert all(len(found) == 1 and found <= {0.01, 0.1} for found in rates.values())
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    square = page.tables["What each architecture can do, by question"]
    assert square[0] == ["architecture", "holdaddition", "findmqar", "param\xadeters", "time / rnn"]
    assert [row[0] for row in square[1:]] == ["rnn", "gru"]
    # Nothing is trained again.
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")}
    assert run(out, "hold,find") == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a suite"),
        ((",",), "name a suite"),
        (("hodl",), "did you mean 'hold'?"),
        (("hold", "--architectures", "lstmm"), "did you mean 'lstm'"),
        (("hold", "--architectures", "lstm,lstm"), "each once"),
        (("hold", "--seeds", "0"), "seeds must be at least 1"),
        (("hold", "--time-limit", "soon"), "--time-limit"),
    ],
)
def test_a_mistake_is_one_line(
    tiny: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(tiny / "out", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tiny / "out").exists()


def test_the_list_names_every_suite_and_its_tasks(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [
        ("hold", "addition"),
        ("track", "parity"),
        ("find", "mqar"),
    ]
