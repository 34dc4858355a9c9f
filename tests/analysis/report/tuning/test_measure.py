"""The tuning chapter of a sweep that was judged by the accuracy: names, directions and scales."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.report.blocks import Figure, Table
from analysis.report.tuning.chapter import chapter, summary
from analysis.report.tuning.fairness import check_tuning_fairness
from analysis.report.tuning.optimization_history import draw_history
from analysis.report.tuning.rank_changes import rank_changes
from analysis.report.tuning.slice_plot import draw_slices
from analysis.report.tuning.tables import MINUS_SIGN, trials_table
from analysis.report.tuning.tuned_tasks import best_so_far
from analysis.report.tuning.tuned_vs_default import draw_tuned_vs_default
from tests.analysis.tuning_studies import read_results, study, trial, write_tuned_runs
from workbench.files import read_json, write_json
from workbench.study_files import read_studies

ACCURACIES = {"lstm": (0.60, 0.70), "gru": (0.65, 0.97), "rda": (0.9, 0.95)}
"""Mean test accuracy of each architecture's default and winner; losses say the opposite."""


@pytest.fixture(scope="module")
def by_accuracy(tmp_path_factory):
    """A sweep that was judged by the accuracy; the file of results and its task."""
    out = tmp_path_factory.mktemp("accuracy")
    for name, (default, tuned) in ACCURACIES.items():
        trials = [
            trial(0, default - 0.01, default=True, params={"learning_rate": 1e-3}),
            trial(1, tuned - 0.02, params={"learning_rate": 2e-3}, enqueued=name == "gru"),
            trial(2, tuned, params={"learning_rate": 4e-3}),
            trial(3, state="diverged", params={"learning_rate": 9e-3}),
            trial(4, 0.1, state="pruned", params={"learning_rate": 8e-3}),
        ]
        judged = study(name, trials, objectives=("accuracy",), direction="maximize", winner=2)
        losses = {default: 0.01, tuned: 0.5}
        written, *_ = write_tuned_runs(out, judged, *([losses[mean]] * 4 for mean in (default, tuned)))
        for identity, mean in ((written.default_identity, default), (written.winner_identity, tuned)):
            for seed, deviation in enumerate((-0.006, -0.002, 0.002, 0.006)):
                path = out / "runs" / "addition" / name / identity / f"seed-{seed}" / "result.json"
                result = read_json(path)
                result["test"]["accuracy"] = mean + deviation
                write_json(path, result)
    return out, read_results(out)[1]


def test_ranks_and_gains_of_an_accuracy_go_by_its_direction(by_accuracy):
    _, task = by_accuracy
    rankings = rank_changes(task)
    assert rankings is not None
    by_name = {change.architecture.name: change for change in rankings.changes}
    assert {name: (change.before, change.after) for name, change in by_name.items()} == {
        "lstm": (3, 3),
        "gru": (2, 1),
        "rda": (1, 2),
    }
    assert by_name["gru"].gain.scale == "linear"
    assert by_name["gru"].gain.size == pytest.approx(0.32)
    assert all(change.is_gain and change.is_certain for change in rankings.changes)
    shown = task.measure.restore(by_name["gru"].tuned)
    assert shown.center == pytest.approx(0.97)
    assert shown.low < 0.97 < shown.high
    text = " ".join(summary(task))
    assert "Tuning changes the order of the architectures by mean test accuracy: gru gains 1 place (2 to 1)" in text
    assert "gru gains most: its test accuracy rises by 0.32" in text
    assert "3 of 3 have a higher mean accuracy than untuned, 3 of them told apart" in text
    assert "Enqueued by the user, and counted among the trials: gru trial 1." in text


def test_tables_figures_and_captions_of_an_accuracy_name_it_and_are_linear(by_accuracy, tmp_path):
    _, task = by_accuracy
    made = chapter(task, tmp_path)
    table = next(block for block in made.blocks if isinstance(block, Table))
    assert {column.group for column in table.columns} >= {"test accuracy", "validation accuracy"}
    rows = {row[0].text: [cell.text for cell in row] for row in table.rows}
    headings = [column.heading.replace("\n", " ") for column in table.columns]
    assert rows["gru"][headings.index("best trial")] == "0.970"
    assert f"tuned {MINUS_SIGN} default" in headings
    texts = " ".join(block.caption + str(block.svg) for block in made.blocks if isinstance(block, Figure))
    assert "validation loss" not in texts
    assert "test loss" not in texts.lower()
    assert "The highest validation accuracy of the complete trials so far" in texts
    assert "the darker, the higher its accuracy" in texts
    drawings = (
        draw_history(task),
        draw_tuned_vs_default(task),
        draw_slices(task.architectures[0]),
    )
    for drawing in drawings:
        assert drawing is not None
        for axes in drawing.axes:
            assert axes.get_yscale() == "linear"
            assert "loss" not in axes.get_ylabel() + axes.get_xlabel()
    curve = best_so_far(task.architectures[0].study)
    assert np.array_equal(curve, np.maximum.accumulate(curve))


def test_the_fairness_line_tells_the_metric_and_what_the_user_enqueued(by_accuracy):
    out, task = by_accuracy
    fair, sentences = check_tuning_fairness(task.section)
    assert not fair
    assert "trials enqueued by the user: lstm 0, gru 1, rda 0" in " ".join(sentences)
    alike = [
        replace(each, trials=tuple(replace(trial, enqueued=False) for trial in each.trials))
        for each in read_studies(out)
    ]
    _, sentences = check_tuning_fairness(replace(task.section, studies=tuple(alike)))
    assert "by the accuracy on the validation set only, of which more is better." in sentences[0]
    table = trials_table(read_studies(out))
    assert table["enqueued"].sum() == 1
    assert table.loc[table.state == "pruned", "last/accuracy"].tolist() == [0.1] * 3
