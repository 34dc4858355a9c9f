"""Intervals of losses and of shares, against SciPy and the definitions."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.comparison.intervals import loss_interval, loss_scale, share_interval


def test_losses_have_a_geometric_mean_and_an_interval_of_factors() -> None:
    losses = [0.01, 0.02, 0.04, 0.09]
    interval = loss_interval(losses)
    logs = np.log(losses)
    low, high = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs))
    assert interval.mean == pytest.approx(stats.gmean(losses))
    assert (interval.low, interval.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_a_loss_of_zero_is_the_least_that_counts() -> None:
    assert loss_interval([0.0, 1e-12]).mean == pytest.approx(1e-12)
    assert loss_interval([0.0, 0.0]).mean == 0.0


def test_negative_losses_are_averaged_as_they_are() -> None:
    assert loss_scale([1.0, 2.0]) == "log"
    assert loss_scale([1.0, -2.0]) == "linear"
    assert loss_interval([1.0, -2.0], "linear").mean == -0.5


def test_few_losses_have_no_interval() -> None:
    assert loss_interval([0.5]).low is None
    assert math.isnan(loss_interval([]).mean)


def test_shares_stay_between_zero_and_one() -> None:
    # Student's interval of these two would be 0.2 +- 1.27.
    interval = share_interval([0.1, 0.3], answers=200)
    assert interval.low is not None
    assert interval.high is not None
    assert 0 < interval.low < 0.2 < interval.high < 1
    logits = np.log((np.array([20, 60]) + 0.5) / (200.5 - np.array([20, 60])))
    low, high = stats.t.interval(0.95, 1, loc=logits.mean(), scale=stats.sem(logits))
    assert (interval.low, interval.high) == pytest.approx((1 / (1 + math.exp(-low)), 1 / (1 + math.exp(-high))))


def test_a_test_sets_own_error_is_the_least_an_interval_can_be() -> None:
    interval = share_interval([0.955, 0.955, 0.955], answers=200)
    expected = stats.binomtest(191, 200).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_a_share_of_one_has_an_interval_below_it() -> None:
    interval = share_interval([1.0, 1.0, 1.0, 1.0], answers=100)
    assert (interval.mean, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(stats.binomtest(100, 100).proportion_ci(0.95, method="wilson").low)


def test_one_seed_has_the_interval_of_its_test_set() -> None:
    assert share_interval([0.5]).low is None
    assert share_interval([0.5], answers=100).low == pytest.approx(0.404, abs=5e-4)
