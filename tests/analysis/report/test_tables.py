"""Cells of the table of results."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.grouping import build_sections
from analysis.report.tables import metric_formatter
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def test_an_accuracy_has_an_interval_within_what_can_be(tmp_path: Path) -> None:
    accuracies = [0.9, 0.96, 0.99, 0.93]
    for seed, accuracy in enumerate(accuracies):
        write_run(tmp_path, experiment(seed=seed), accuracy=accuracy)
    (section,) = build_sections(finished_runs(tmp_path))
    (row,) = section.rows
    n = row.experiment.budget.evaluation_size
    right = np.array(accuracies) * n
    logits = np.log((right + 0.5) / (n - right + 0.5))
    low, high = stats.t.interval(0.95, 3, loc=logits.mean(), scale=stats.sem(logits))
    wilson = stats.binomtest(round(np.mean(accuracies) * n), n).proportion_ci(0.95, method="wilson")
    low, high = min(1 / (1 + math.exp(-low)), wilson.low), max(1 / (1 + math.exp(-high)), wilson.high)
    text = metric_formatter("accuracy")(row)
    assert text == f"{np.mean(accuracies):.4f} [{low:.4f}, {high:.4f}]"
    assert high <= 1


@pytest.mark.parametrize(("accuracies", "text"), [([0.1, 0.3], "0.2000"), ([1.0], "1.0000"), ([None], "\u2013")])
def test_few_seeds_have_none(tmp_path: Path, accuracies: list[float | None], text: str) -> None:
    for seed, accuracy in enumerate(accuracies):
        write_run(tmp_path, experiment(seed=seed), accuracy=accuracy, loss=None if accuracy is None else 0.1)
    (section,) = build_sections(finished_runs(tmp_path))
    assert metric_formatter("accuracy")(section.rows[0]) == text
