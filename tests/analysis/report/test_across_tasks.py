"""Chapter over all tasks, for runs with known scores."""

from pathlib import Path

from analysis.grouping import build_sections
from analysis.report import across_tasks
from analysis.report.blocks import Figure, Table, Text
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def test_the_architectures_are_in_the_order_of_their_scores(tmp_path: Path) -> None:
    for task in ("addition", "copy"):
        for seed in range(5):
            for name, loss in {"lstm": 0.01, "rwa": 0.0001, "rnn": 1.0}.items():
                write_run(tmp_path, experiment(name, task=task, seed=seed), loss=loss, trivial_loss=1.0)
    (tmp_path / "figures").mkdir()
    chapter = across_tasks.chapter(build_sections(finished_runs(tmp_path)), tmp_path / "figures")
    assert chapter is not None
    summary, figure, table, _ = chapter.blocks
    assert isinstance(summary, Text)
    assert summary.sentences == (
        "Over 2 tasks, rwa has the highest interquartile mean score, 1.00 [1.00, 1.00], above all others.",
    )
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    # Half of the way on a log scale; every run of rwa beats every run of lstm, and none of rnn's does.
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["rwa", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]"],
        ["lstm", "0.50 [0.50, 0.50]", "\u2013"],
        ["rnn", "0.00 [0.00, 0.00]", "0.00 [0.00, 0.00]"],
    ]
    assert (tmp_path / "figures/all-tasks-profiles.svg").exists()


def test_one_task_has_no_chapter(tmp_path: Path) -> None:
    for seed in range(5):
        write_run(tmp_path, experiment("lstm", seed=seed))
    assert across_tasks.chapter(build_sections(finished_runs(tmp_path)), tmp_path) is None
