"""The two-way bootstrap, against known standard errors."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis import statistics
from analysis.statistics import safe_divide


def test_the_bootstrap_finds_the_standard_error_of_both_factors() -> None:
    generator = np.random.default_rng(3)
    units = generator.normal(size=40)
    table = units + 0.1 * generator.normal(size=(25, 40))
    interval = statistics.two_way_bootstrap(table, statistics.bootstrap_mean)
    assert interval.value == pytest.approx(table.mean())
    assert interval.low is not None
    assert interval.high is not None
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * units.std() / math.sqrt(40), rel=0.2)
    over_sequences = statistics.two_way_bootstrap(table, statistics.bootstrap_mean, over_units=False)
    assert over_sequences.low is not None
    assert over_sequences.high is not None
    assert over_sequences.high - over_sequences.low < 0.3 * (interval.high - interval.low)


def test_no_interval_from_one_value_and_no_value_from_none() -> None:
    assert statistics.two_way_bootstrap(np.array([[2.0]]), statistics.bootstrap_mean) == statistics.Interval(value=2.0)
    assert statistics.two_way_bootstrap(np.array([[np.nan]]), statistics.bootstrap_mean) == statistics.Interval(
        value=None
    )
    table = np.array([[[1.0, 2.0], [3.0, 2.0]]])
    assert statistics.two_way_bootstrap(table, statistics.ratio_of_sums).value == 1.0
    assert np.isnan(safe_divide(np.array([1.0, 1.0]), np.array([0.0, 2.0]))).tolist() == [True, False]


def test_expanded_percentiles_of_a_normal_bootstrap_are_students_ends() -> None:
    """A bootstrap of five values spreads by sqrt(4 / 5) of their standard error."""
    samples = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000) * math.sqrt(4 / 5)
    low, high = statistics.expanded_percentiles(np.stack([samples, 2 * samples], 1), 5)
    student = stats.t.ppf(0.975, 4)
    np.testing.assert_allclose([low, high], [[-student, -2 * student], [student, 2 * student]], rtol=1e-3)
    low, high = statistics.expanded_percentiles(np.arange(1001.0), 10**9)
    np.testing.assert_allclose([low, high], [25, 975], rtol=1e-6)
