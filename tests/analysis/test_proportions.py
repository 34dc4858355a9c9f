"""Intervals of shares, against scipy's, and their coverage for clustered answers."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import clustered_proportions, wilson_interval


@pytest.mark.parametrize(("right", "count"), [(0, 5), (5, 5), (3, 10), (61, 64), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(right: int, count: int) -> None:
    low, high = wilson_interval(np.array(right / count), np.array(count))
    expected = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_answers_have_no_interval() -> None:
    assert np.isnan(wilson_interval(np.array([math.nan]), np.array([0]))).all()


def test_independent_answers_have_wilsons_interval() -> None:
    """With one answer a sequence, a sequence's answers cannot be alike."""
    right = np.array([1.0] * 30 + [0.0] * 10)
    proportions = clustered_proportions(right, np.ones(40), np.zeros(40, dtype=int), 1)
    # The variance is that over n - 1, which makes the design effect 40 / 39.
    low, high = wilson_interval(np.array(0.75), np.array(39))
    assert (proportions.low[0], proportions.high[0]) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_answers_that_are_all_alike_count_as_one() -> None:
    """Sequences of 10 answers, all right or all wrong: as many answers as sequences."""
    right = 10.0 * (np.arange(40) < 30)
    proportions = clustered_proportions(right, np.full(40, 10.0), np.zeros(40, dtype=int), 1)
    low, high = wilson_interval(np.array(0.75), np.array(39))
    assert proportions.share[0] == 0.75
    assert (proportions.low[0], proportions.high[0]) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_the_interval_of_clustered_answers_covers() -> None:
    """About 95 of 100 intervals hold the true share, where sequences differ; those of independent answers would not."""
    generator = np.random.default_rng(0)
    covered = naive = 0
    for _ in range(400):
        p = generator.beta(1.0, 1.0, size=50)  # of mean 1/2
        right = generator.binomial(20, p).astype(float)
        proportions = clustered_proportions(right, np.full(50, 20.0), np.zeros(50, dtype=int), 1)
        covered += bool(proportions.low[0] <= 0.5 <= proportions.high[0])
        low, high = wilson_interval(proportions.share, np.array([1000]))
        naive += bool(low[0] <= 0.5 <= high[0])
    assert 0.92 * 400 <= covered <= 0.98 * 400
    assert naive < 0.7 * 400
