"""Ratios of results, against separations that can be counted by hand."""

import math

import pytest
from scipy import stats

from analysis.papers.ratio import result_ratio
from tests.analysis.papers.known_tables import comparison_table, our_result

STEPS, LOSS = comparison_table(), comparison_table(of="test/loss")


def test_of_three_seeds_each_the_interval_ends_where_they_are_wholly_apart():
    """Three against three are told apart by the log-rank test if, and only if, all of one come before the other."""
    ratio = result_ratio(our_result([100, 110, 120]), our_result([300, 320, 350]), STEPS)
    assert ratio.value == pytest.approx(320 / 110)
    assert ratio.low == pytest.approx(300 / 120, rel=0.01)
    assert ratio.high == pytest.approx(350 / 100, rel=0.01)
    expected = stats.logrank([100, 110, 120], [300, 320, 350]).pvalue
    assert ratio.p == pytest.approx(expected)
    assert str(ratio) == "2.91 times (p = 0.025)"


def test_seeds_that_never_get_there_are_later_than_the_budget():
    ratio = result_ratio(our_result([100, 110, 120]), our_result([], 3), STEPS)
    assert ratio.value == pytest.approx(10_000 / 110)
    assert (ratio.bound, ratio.high) == ("> ", None)
    # By a factor of 10,000 / 120 the slowest seed would be as late as the budget.
    assert ratio.low == pytest.approx(10_000 / 120, rel=0.01)
    turned = result_ratio(our_result([], 3), our_result([100, 110, 120]), STEPS)
    assert turned.value == pytest.approx(110 / 10_000)
    assert (turned.bound, turned.low) == ("< ", None)
    assert result_ratio(our_result([], 3), our_result([], 3), STEPS).value is None


def test_losses_have_welchs_interval_of_their_logarithms():
    first, second = (-1.0, 0.0, 1.0), (1.0, 2.0, 4.0)
    ours = [our_result([math.exp(x) for x in logs]) for logs in (first, second)]
    ratio = result_ratio(ours[0], ours[1], LOSS)
    test = stats.ttest_ind(second, first, equal_var=False)
    ends = test.confidence_interval()
    assert (ratio.value, ratio.low, ratio.high, ratio.p) == pytest.approx(
        (math.exp(7 / 3), math.exp(ends.low), math.exp(ends.high), test.pvalue)
    )


@pytest.mark.parametrize("table", [STEPS, LOSS])
def test_two_seeds_have_a_ratio_and_no_interval(table):
    ratio = result_ratio(our_result([1.0, 1.0]), our_result([2.0, 2.0]), table)
    assert ratio.value == pytest.approx(2)
    assert (ratio.low, ratio.high, ratio.p) == (None, None, None)
    assert ratio.interval == "\u2013"
