"""The two-way bootstrap, against known standard errors."""

import math

import numpy as np
import pytest

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
