"""Means, intervals and medians, against SciPy and worked examples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.comparison.solve_times import median_time
from analysis.statistics import Mean, half_width, mean_interval

values = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=2, max_size=12)


@given(values)
def test_the_interval_is_students(numbers: list[float]) -> None:
    mean = mean_interval(numbers)
    assert mean.mean == pytest.approx(np.mean(numbers), abs=1e-9)
    assert mean.n == len(numbers)
    if np.ptp(numbers) > 0:
        low, high = stats.t.interval(0.95, len(numbers) - 1, loc=np.mean(numbers), scale=stats.sem(numbers))
        assert (mean.low, mean.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


def test_a_worked_example() -> None:
    # t(0.975; 2) = 4.302653, s = 1, n = 3.
    mean = mean_interval([1.0, 2.0, 3.0])
    assert mean.mean == 2
    assert mean.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_value_has_no_interval() -> None:
    assert mean_interval([0.5]) == Mean(mean=0.5, half_width=None, n=1)


def test_what_is_no_number_is_left_out_and_counted() -> None:
    mean = mean_interval([1.0, math.nan, 3.0, math.inf])
    assert (mean.mean, mean.n, mean.excluded) == (2.0, 2, 2)
    assert mean.half_width == mean_interval([1.0, 3.0]).half_width


def test_no_value_at_all() -> None:
    mean = mean_interval([math.nan])
    assert math.isnan(mean.mean)
    assert (mean.half_width, mean.n, mean.excluded) == (None, 0, 1)


def test_columns_have_the_intervals_of_their_own_values() -> None:
    table = np.array([[1.0, 5.0, 2.0], [2.0, np.nan, np.nan], [4.0, 7.0, np.nan]])
    expected = [mean_interval(column).half_width or 0.0 for column in table.T]
    assert half_width(table) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("steps", "median"),
    [
        ([300, 100, 200], 200),
        ([100, 200], 150),
        ([100, None, 200], 200),
        ([100, None, None], None),
        ([100, None], None),
        ([None], None),
        ([], None),
    ],
)
def test_a_seed_that_never_gets_there_counts_as_later(steps: list[float | None], median: float | None) -> None:
    assert median_time(steps).median == median
