"""Ratios of results, against separations that can be counted by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.papers.ratio import result_ratio
from tests.analysis.papers.known_tables import comparison_table, our_result

STEPS, LOSS = comparison_table(), comparison_table(of="test/loss")


def test_an_interval_holds_the_ratios_that_the_log_rank_test_does_not_reject():
    first, second = [100, 108, 110, 120], [300, 320, 330, 350]
    ratio = result_ratio(our_result(first), our_result(second), STEPS)
    assert ratio.value == pytest.approx(325 / 109)
    kept = [
        factor
        for factor in np.exp(np.linspace(0, math.log(10), 800))
        if stats.logrank([factor * step for step in first], second).pvalue > 0.05
    ]
    assert ratio.low == pytest.approx(min(kept), rel=0.02)
    assert ratio.high == pytest.approx(max(kept), rel=0.02)
    # No two orders of four and four are rarer than 2 of 70.
    assert ratio.p == pytest.approx(max(2 / 70, stats.logrank(first, second).pvalue))
    assert str(ratio) == "2.98 times (p = 0.029)"


@pytest.mark.parametrize("table", [STEPS, LOSS])
def test_of_three_seeds_nothing_is_tested(table):
    ratio = result_ratio(our_result([100, 110, 120]), our_result([300, 320, 350, 310]), table)
    assert ratio.value is not None
    assert (ratio.low, ratio.high, ratio.p) == (None, None, None)


def test_seeds_that_never_get_there_are_later_than_the_budget():
    ratio = result_ratio(our_result([100, 110, 115, 120]), our_result([], 4), STEPS)
    assert ratio.value == pytest.approx(10_000 / 112.5)
    assert (ratio.bound, ratio.high) == ("> ", None)
    turned = result_ratio(our_result([], 4), our_result([100, 110, 115, 120]), STEPS)
    assert turned.value == pytest.approx(112.5 / 10_000)
    assert (turned.bound, turned.low) == ("< ", None)
    assert result_ratio(our_result([], 3), our_result([], 3), STEPS).value is None


def test_losses_have_welchs_interval_of_their_logarithms():
    first, second = (-1.0, 0.0, 1.0, 0.0), (1.0, 2.0, 4.0, 3.0)
    ours = [our_result([math.exp(x) for x in logs]) for logs in (first, second)]
    ratio = result_ratio(ours[0], ours[1], LOSS)
    test = stats.ttest_ind(second, first, equal_var=False)
    ends = test.confidence_interval()
    assert (ratio.value, ratio.low, ratio.high, ratio.p) == pytest.approx(
        (math.exp(2.5), math.exp(ends.low), math.exp(ends.high), test.pvalue)
    )


@pytest.mark.parametrize("table", [STEPS, LOSS])
def test_two_seeds_have_a_ratio_and_no_interval(table):
    ratio = result_ratio(our_result([1.0, 1.0]), our_result([2.0, 2.0]), table)
    assert ratio.value == pytest.approx(2)
    assert (ratio.low, ratio.high, ratio.p) == (None, None, None)
    assert ratio.interval == "\u2013"


def test_no_error_is_less_than_half_an_answer():
    """None wrong of 500, and ten: 0.001 and 0.02."""
    right, wrong = (replace(our_result([share] * 4), resolution=1 / 500) for share in (1.0, 0.98))
    table = comparison_table(of="test/accuracy")
    assert result_ratio(right, wrong, table).value == pytest.approx(20)
