"""Moderated variances, against their defining equations."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from analysis.comparison.moderation import are_alike, inverse_trigamma, moderate_variances


@pytest.mark.parametrize("value", [1e-3, 0.2, 1.0, 7.5, 300.0])
def test_trigamma_is_inverted(value: float) -> None:
    assert inverse_trigamma(value) == pytest.approx(brentq(lambda x: polygamma(1, x) - value, 1e-3, 1e6), rel=1e-6)


def test_variances_that_are_alike_are_pooled() -> None:
    variances, freedom = moderate_variances(np.array([1.0, 1.1, 0.9, 1.2]), np.array([4, 4, 4, 8]))
    assert variances == pytest.approx([(4 * 1.0 + 4 * 1.1 + 4 * 0.9 + 8 * 1.2) / 20] * 4)
    assert freedom == pytest.approx([20] * 4)


def test_variances_that_differ_are_drawn_together_as_far_as_the_prior_says() -> None:
    sample, d = np.array([0.01, 0.2, 1.0, 40.0, 3.0]), 4.0
    variances, freedom = moderate_variances(sample, np.full(5, d))
    # The prior's two numbers solve: mean and variance of log F with d and d0 degrees of freedom are those of the logs.
    logs = np.log(sample)
    half = brentq(lambda x: polygamma(1, d / 2) + polygamma(1, x) - logs.var(ddof=1), 1e-3, 1e3)
    prior = np.exp(logs.mean() - (digamma(d / 2) - np.log(d / 2)) + (digamma(half) - np.log(half)))
    moderated = (2 * half * prior + d * sample) / (2 * half + d)
    # They are not alike, so that none is made smaller than its own.
    assert variances == pytest.approx(np.maximum(sample, moderated), rel=1e-6)
    assert freedom == pytest.approx(np.where(sample > moderated, d, 2 * half + d), rel=1e-6)
    assert (sample > moderated).any()
    assert (sample < moderated).any()


def test_alike_is_what_bartletts_test_says() -> None:
    generator = np.random.default_rng(0)
    for spread in (0.0, 0.4, 0.8):
        samples = [np.exp(spread * index) * generator.normal(size=4 + index) for index in range(5)]
        variances, freedom = (
            np.array(values) for values in zip(*((x.var(ddof=1), len(x) - 1.0) for x in samples), strict=True)
        )
        assert are_alike(variances, freedom) == (stats.bartlett(*samples).pvalue > 0.15)


def test_few_groups_keep_their_own() -> None:
    variances, freedom = moderate_variances(np.array([1.0, 9.0, 4.0]), np.array([4, 4, 4]))
    assert variances.tolist() == [1.0, 9.0, 4.0]
    assert freedom.tolist() == [4.0, 4.0, 4.0]


def test_groups_of_one_or_of_equal_values_take_no_part_in_the_prior() -> None:
    sample, own = np.array([1.0, 1.1, 0.9, 1.2, 0.0, 0.0]), np.array([4, 4, 4, 4, 0, 4])
    variances, freedom = moderate_variances(sample, own)
    assert variances[[0, 4, 5]] == pytest.approx([1.05, 0.0, 1.05])
    assert freedom.tolist() == [16, 16, 16, 16, 0, 16]
