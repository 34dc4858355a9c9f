"""Scores over several tasks, against worked examples and the definitions."""

from pathlib import Path

import numpy as np
import pytest

from analysis.comparison.across_tasks import (
    THRESHOLDS,
    Scores,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    scores_of,
)
from analysis.grouping import build_sections
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def scores(*rows: list[list[float]]) -> Scores:
    """Returns scores, for each row a list of seeds for each task."""
    values = tuple(tuple(np.array(seeds) for seeds in tasks) for tasks in rows)
    titles = tuple(f"task {index}" for index in range(len(rows[0])))
    return Scores(labels=tuple("abc"[: len(rows)]), titles=titles, values=values)


def test_the_middle_half_of_all_runs_is_averaged() -> None:
    one = scores([[0.0, 0.1, 0.2, 0.3], [0.4, 0.5, 0.6, 9.0]])
    interval = interquartile_mean(one, 0)
    assert interval.value == pytest.approx(np.mean([0.2, 0.3, 0.4, 0.5]))
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 0.35 < interval.high


def test_the_probability_of_improvement_counts_pairs_of_seeds() -> None:
    two = scores([[1.0, 2.0], [0.0, 0.0]], [[0.5, 1.5], [0.0, 0.0]])
    # Three of four pairs on the first task, four ties on the second.
    assert probability_of_improvement(two, 0, 1).value == pytest.approx((0.75 + 0.5) / 2)
    assert probability_of_improvement(two, 1, 0).value == pytest.approx((0.25 + 0.5) / 2)


def test_a_profile_is_the_share_of_runs_above_each_score() -> None:
    profile = performance_profile(scores([[0.25, 0.75], [0.75, 0.75]]), 0)
    assert profile[THRESHOLDS < 0.25].tolist() == [1.0] * (THRESHOLDS < 0.25).sum()
    middle = (THRESHOLDS > 0.26) & (THRESHOLDS < 0.74)
    assert profile[middle].tolist() == [0.75] * middle.sum()
    assert profile[-1] == 0


def test_scores_are_shares_of_the_way_to_the_best_row(tmp_path: Path) -> None:
    for task in ("addition", "copy"):
        for seed in range(5):
            write_run(tmp_path, experiment("lstm", task=task, seed=seed), loss=0.01, trivial_loss=1.0)
            write_run(tmp_path, experiment("rwa", task=task, seed=seed), loss=1e-4 * 10 ** (seed - 2), trivial_loss=1.0)
            write_run(tmp_path, experiment("rnn", task=task, seed=seed), loss=1.0, trivial_loss=1.0)
    found = scores_of(build_sections(finished_runs(tmp_path)))
    assert found is not None
    values = dict(zip(found.labels, found.values, strict=True))
    assert values["lstm"][0] == pytest.approx([0.5] * 5)
    assert values["rnn"][1] == pytest.approx([0.0] * 5, abs=1e-12)
    assert values["rwa"][0] == pytest.approx([1.5, 1.25, 1.0, 0.75, 0.5])


def test_four_seeds_or_one_task_have_no_scores(tmp_path: Path) -> None:
    for seed in range(5):
        for architecture in ("lstm", "rwa"):
            write_run(tmp_path, experiment(architecture, seed=seed), trivial_loss=1.0)
            if seed < 4:
                write_run(tmp_path, experiment(architecture, task="copy", seed=seed), trivial_loss=1.0)
    sections = build_sections(finished_runs(tmp_path))
    assert scores_of(sections) is None
    assert scores_of(sections[:1]) is None


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_hold_the_true_value_in_95_of_100(seeds: int) -> None:
    generator, hits, trials = np.random.default_rng(seeds), {"mean": 0, "improvement": 0}, 1000
    for _ in range(trials):
        drawn = generator.normal(size=(2, 3, seeds))
        two = scores(*[[list(task) for task in row] for row in drawn])
        mean, improvement = interquartile_mean(two, 0), probability_of_improvement(two, 0, 1)
        assert mean.low is not None
        assert mean.high is not None
        hits["mean"] += mean.low <= 0 <= mean.high
        assert improvement.low is not None
        assert improvement.high is not None
        hits["improvement"] += improvement.low <= 0.5 <= improvement.high
    assert all(0.93 <= count / trials <= 0.97 for count in hits.values()), hits
