"""Fits of exponential and power laws, against exact laws and known intervals."""

import math

import numpy as np
import pytest

from analysis.measures.decay_fits import EXPONENTIAL, POWER_LAW, fit_decay

LAGS = np.arange(400)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def samples(g: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """(2, 16, lags) around g, with one factor for each sequence and lag."""
    return g * np.exp(noise * rng().standard_normal((2, 16, len(g))))


def test_an_exact_exponential_gives_its_half_life():
    fits = fit_decay(samples(3 * 0.5 ** (LAGS / 41)), LAGS, rng())
    assert fits is not None
    assert fits.best_name == EXPONENTIAL
    assert fits.falls
    assert math.log(2) / fits.exponential.rate == pytest.approx(41, rel=1e-9)
    assert fits.exponential.r2 == pytest.approx(1, abs=1e-9)
    assert fits.power.r2 < 0.9


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_an_exact_power_law_gives_its_exponent(exponent):
    fits = fit_decay(samples(np.maximum(LAGS, 1.0) ** -exponent), LAGS, rng())
    assert fits is not None
    assert fits.best_name == POWER_LAW
    assert fits.power.rate == pytest.approx(exponent, rel=1e-9)
    assert fits.aic_margin > 2


def test_what_is_level_does_not_fall():
    # The noise of a sequence is its own: no lag is favoured.
    fits = fit_decay(samples(np.ones(len(LAGS)), noise=0.3), LAGS, rng())
    assert fits is not None
    assert not fits.falls


def test_what_rises_does_not_fall():
    fits = fit_decay(samples(np.exp(LAGS / 100)), LAGS, rng())
    assert fits is not None
    assert fits.exponential.rate == pytest.approx(-0.01, rel=1e-9)
    assert not fits.falls


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Rates differ from sequence to sequence around 0.02, so that residuals at neighbouring lags go together."""
    covered, widths = 0, []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        g = np.exp(-0.02 * LAGS)[None, None] * np.exp(0.001 * LAGS * generator.standard_normal((1, 12, 1)))
        fits = fit_decay(g[..., :100], LAGS[:100], generator)
        assert fits is not None
        law = fits.exponential
        covered += law.low <= 0.02 <= law.high
        widths.append(law.high - law.low)
    # 95 of 100 are due; below 88 or above 99 has a probability under 1 %.
    assert 88 <= covered <= 99
    # The standard error of the mean rate is about 0.001 / sqrt(12), and Student's quantile for 11 is 2.2.
    assert np.mean(widths) == pytest.approx(2 * 2.2 * 0.001 / math.sqrt(12), rel=0.2)


def test_few_sequences_are_bridged():
    rates = 0.02 + 0.001 * np.array([-1.0, 0.0, 1.0])
    fits = fit_decay(np.exp(-rates[None, :, None] * LAGS[:60]), LAGS[:60], rng())
    assert fits is not None
    law = fits.exponential
    # The deviation of the three is 0.001, and Student's quantile for 2 is 4.303.
    assert (law.high - law.low) / 2 == pytest.approx(4.303 * 0.001 / math.sqrt(3), rel=0.1)


def test_a_fall_that_sequences_do_not_agree_on_is_none():
    rates = np.array([0.010, -0.004, 0.005])
    fits = fit_decay(np.exp(-rates[None, :, None] * LAGS[:100]), LAGS[:100], rng())
    assert fits is not None
    assert fits.best.fall > 0.1
    assert fits.best.low < 0
    assert not fits.falls


def test_zeros_beyond_a_reach_and_lost_values_are_left_out():
    g = 0.5 ** (LAGS / 10.0)
    g[100:] = 0.0
    fits = fit_decay(samples(g), LAGS, rng())
    assert fits is not None
    assert fits.largest_lag == 99
    assert math.log(2) / fits.exponential.rate == pytest.approx(10, rel=1e-9)


def test_lags_that_some_sequences_lack():
    g = samples(0.5 ** (LAGS / 20.0))
    g[:, 1:, 300:] = np.nan
    fits = fit_decay(g, LAGS, rng())
    assert fits is not None
    assert math.log(2) / fits.exponential.rate == pytest.approx(20, rel=1e-6)


def test_too_few_lags_give_no_fit():
    g = np.zeros((2, 4, 400))
    g[..., :4] = 1.0
    assert fit_decay(g, LAGS, rng()) is None
    assert fit_decay(np.zeros((2, 4, 400)), LAGS, rng()) is None


def test_one_sequence_has_no_interval():
    fits = fit_decay(samples(0.5 ** (LAGS / 10.0))[:, :1], LAGS, rng())
    assert fits is not None
    assert math.isnan(fits.exponential.low)
    assert fits.falls
