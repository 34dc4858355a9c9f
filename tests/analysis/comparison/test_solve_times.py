"""Medians of censored times, their intervals, and the log-rank test, against statsmodels and worked examples."""

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from analysis.comparison.solve_times import log_rank_p, median_time


def test_the_median_is_kaplan_and_meiers() -> None:
    steps = [300, None, 120, 700, 250, None, 410]
    curve = SurvfuncRight([step or 1000 for step in steps], [step is not None for step in steps])
    time = median_time(steps)
    assert time.median == curve.quantile(0.5) == 410
    assert (time.solved, time.seeds) == (5, 7)


def test_where_the_curve_is_one_half_the_median_is_the_middle() -> None:
    assert median_time([100, 200, None, 400]).median == 300
    assert median_time([100, 200, None, None]).median is None


def test_five_seeds_have_the_interval_from_lowest_to_highest() -> None:
    time = median_time([5, 3, 4, 1, 2])
    assert (time.low, time.median, time.high) == (1, 3, 5)
    assert median_time([1, 2, 3, 4]).low is None


def test_ten_seeds_have_an_interval_between_ranks() -> None:
    # From 2nd to 2nd last holds 97.85 %, from 3rd to 3rd last 89.06 %: 0.3238 of the way, weighted as in the source.
    outer, inner = 1 - 2 * 11 / 1024, 1 - 2 * 56 / 1024
    share = (outer - 0.95) / (outer - inner)
    weight = 8 * share / (2 + 6 * share)
    time = median_time([10 * rank for rank in range(1, 11)])
    assert (time.low, time.high) == pytest.approx((20 + 10 * weight, 90 - 10 * weight))


def test_an_end_among_unsolved_seeds_is_not_reached() -> None:
    time = median_time([1, 2, 3, 4, 5, 6, 7, 8, None, None])
    assert time.low is not None
    assert time.high is None
    assert median_time([None] * 6) == median_time([None] * 6)
    assert median_time([None] * 6).median is None
    assert median_time([]).seeds == 0


def test_the_log_rank_test_is_mantels() -> None:
    first, second = [100, 150, 180, None, 220, 300], [400, None, 500, 350, None, 800]
    times = [step or 1000 for step in first + second]
    status = [step is not None for step in first + second]
    _, expected = survdiff(np.array(times), np.array(status), np.array([0] * 6 + [1] * 6))
    # SciPy's statistic has the same variance, with n - 1 in place of n in it.
    assert log_rank_p(first, second, budget=1000) == pytest.approx(expected, rel=1e-6)
    assert log_rank_p([None, None], [None], budget=1000) is None
    assert log_rank_p([50, 50], [50], budget=1000) == 1
