"""Fits of exponential and power laws, against exact laws and known intervals."""

import math

import numpy as np
import pytest

from analysis.measures.decay_fits import NO_FALL, NONE, UNCLEAR, fit_decay
from analysis.measures.decay_laws import EXPONENTIAL, FLOOR, POWER_LAW, TWO_RATES, Profile, fit_laws, lack_of_fit

LAGS = np.arange(400)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def samples(g: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """(2, 16, lags) around g, with one factor for each sequence and lag."""
    return g * np.exp(noise * rng().standard_normal((2, 16, len(g))))


def test_an_exact_exponential_gives_its_half_life():
    fits = fit_decay(samples(3 * 0.5 ** (LAGS / 41)), LAGS, rng())
    assert fits is not None
    assert fits.best.name == EXPONENTIAL
    assert fits.falls
    assert math.log(2) / fits.exponential.rate.value == pytest.approx(41, rel=1e-9)
    assert fits.exponential.r2 == pytest.approx(1, abs=1e-9)
    assert fits.power.r2 < 0.9


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_an_exact_power_law_gives_its_exponent(exponent):
    fits = fit_decay(samples(np.maximum(LAGS, 1.0) ** -exponent), LAGS, rng())
    assert fits is not None
    assert fits.best.name == POWER_LAW
    assert fits.power.rate.value == pytest.approx(exponent, rel=1e-9)
    assert fits.aic_margin > 2


def test_what_is_level_does_not_fall():
    # The noise of a sequence is its own: no lag is favoured.
    fits = fit_decay(samples(np.ones(len(LAGS)), noise=0.3), LAGS, rng())
    assert fits is not None
    assert not fits.falls


def test_what_rises_does_not_fall():
    fits = fit_decay(samples(np.exp(LAGS / 100)), LAGS, rng())
    assert fits is not None
    assert fits.exponential.rate.value == pytest.approx(-0.01, rel=1e-9)
    assert not fits.falls


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Rates differ from sequence to sequence around 0.02, so that residuals at neighbouring lags go together."""
    covered, widths = 0, []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        g = np.exp(-0.02 * LAGS)[None, None] * np.exp(0.001 * LAGS * generator.standard_normal((1, 12, 1)))
        fits = fit_decay(g[..., :100], LAGS[:100], generator)
        assert fits is not None
        law = fits.exponential.rate
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
    law = fits.exponential.rate
    # The deviation of the three is 0.001, and Student's quantile for 2 is 4.303.
    assert (law.high - law.low) / 2 == pytest.approx(4.303 * 0.001 / math.sqrt(3), rel=0.1)


def test_a_fall_that_sequences_do_not_agree_on_is_none():
    rates = np.array([0.010, -0.004, 0.005])
    fits = fit_decay(np.exp(-rates[None, :, None] * LAGS[:100]), LAGS[:100], rng())
    assert fits is not None
    assert fits.best.fall.value > 0.1
    assert fits.best.fall.low < 0
    assert not fits.falls


def test_zeros_beyond_a_reach_and_lost_values_are_left_out():
    g = 0.5 ** (LAGS / 10.0)
    g[100:] = 0.0
    fits = fit_decay(samples(g), LAGS, rng())
    assert fits is not None
    assert fits.largest_lag == 99
    assert math.log(2) / fits.exponential.rate.value == pytest.approx(10, rel=1e-9)


def test_lags_that_some_sequences_lack():
    g = samples(0.5 ** (LAGS / 20.0))
    g[:, 1:, 300:] = np.nan
    fits = fit_decay(g, LAGS, rng())
    assert fits is not None
    assert math.log(2) / fits.exponential.rate.value == pytest.approx(20, rel=1e-6)


def test_too_few_lags_give_no_fit():
    g = np.zeros((2, 4, 400))
    g[..., :4] = 1.0
    assert fit_decay(g, LAGS, rng()) is None
    assert fit_decay(np.zeros((2, 4, 400)), LAGS, rng()) is None


def test_one_sequence_has_no_interval():
    fits = fit_decay(samples(0.5 ** (LAGS / 10.0))[:, :1], LAGS, rng())
    assert fits is not None
    assert math.isnan(fits.exponential.rate.low)
    assert fits.falls


KNOWN = {
    EXPONENTIAL: lambda x, z: -6 / len(x) * np.exp(0.15 * z) * x,
    POWER_LAW: lambda x, z: -np.exp(0.1 * z) * np.log(np.maximum(x, 1)),
    TWO_RATES: lambda x, z: np.logaddexp(
        np.log(0.8) - 25 / len(x) * np.exp(0.1 * z) * x, np.log(0.2) - 2.5 / len(x) * x
    ),
    FLOOR: lambda x, z: np.logaddexp(-20 / len(x) * np.exp(0.1 * z) * x, np.log(0.03) + 0.2 * z),
    NONE: lambda x, z: -(((x / len(x) - 0.3) / 0.2) ** 2) * np.exp(0.1 * z),
    NO_FALL: lambda x, z: 0 * x + 0.1 * z,
}
"""Logarithms of known decays at the lags x, of sequences that differ by a standard normal z."""


def noisy_samples(label, seed, time=64, sequences=24):
    """(2, sequences, time): factors of their own, rates that differ, and noise that goes together at close lags."""
    generator = np.random.default_rng(seed)
    log_g = KNOWN[label](np.arange(time), generator.standard_normal((1, sequences, 1)))
    log_g = log_g + 0.3 * generator.standard_normal((1, sequences, 1))
    noise = generator.standard_normal((2, sequences, time))
    for lag in range(1, time):
        noise[..., lag] = 0.8 * noise[..., lag - 1] + 0.6 * noise[..., lag]
    return np.exp(log_g + 0.25 * noise)


@pytest.mark.parametrize("label", list(KNOWN))
def test_known_decays_are_named_in_nearly_all_cases(label):
    found = []
    for seed in range(8):
        fits = fit_decay(noisy_samples(label, seed), np.arange(64), rng())
        assert fits is not None
        found.append(fits.label)
    # In 20 cases each, 19 or more are named right: six of eight are then far below what chance leaves.
    assert found.count(label) >= 7, found
    assert label == POWER_LAW or POWER_LAW not in found


def test_two_parts_have_their_rates_and_their_share():
    g = 0.7 * np.exp(-0.4 * LAGS) + 0.3 * np.exp(-0.02 * LAGS)
    fits = fit_decay(samples(g[:100], noise=0.01), LAGS[:100], rng())
    assert fits is not None
    assert fits.label == TWO_RATES
    parameters = fits.best.parameters
    assert parameters["rate"].value == pytest.approx(0.4, rel=0.05)
    assert parameters["slow_rate"].value == pytest.approx(0.02, rel=0.05)
    share = 0.3 * math.exp(-0.02) / (0.3 * math.exp(-0.02) + 0.7 * math.exp(-0.4))
    assert parameters["slow_share"].value == pytest.approx(share, rel=0.05)
    assert parameters["slow_share"].low < share < parameters["slow_share"].high


def test_exponentials_that_differ_are_exponential_in_a_typical_sequence_only():
    rates = np.geomspace(0.01, 0.5, 16)
    g = np.exp(-rates[None, :, None] * LAGS[:100])
    typical, of_mean = (fit_decay(g, LAGS[:100], rng(), typical=typical) for typical in (True, False))
    assert typical is not None
    assert of_mean is not None
    assert typical.label == EXPONENTIAL
    assert typical.exponential.rate.value == pytest.approx(rates.mean(), rel=1e-6)
    # The mean of these is the integral of exp(-r x) over log r, close to a power law.
    assert of_mean.exponential.r2 < 0.95
    assert of_mean.label != EXPONENTIAL


def test_the_test_of_fit_rejects_a_true_law_as_rarely_as_it_says():
    """Errors with a covariance between lags; p is uniform if the law is true."""
    x = np.arange(1.0, 21.0)
    root = np.linalg.cholesky(0.8 ** np.abs(x[:, None] - x))
    J = np.stack([np.ones(20), -x], axis=1)
    M = np.eye(20) - J @ np.linalg.pinv(J)
    p_values = []
    for seed in range(400):
        sequences = 1 - 0.1 * x + np.random.default_rng(seed).standard_normal((16, 20)) @ root.T
        profile = Profile(
            x=x, log_x=np.log(x), log_g=sequences.mean(0), covariance=np.cov(sequences, rowvar=False) / 16, clusters=16
        )
        p_values.append(lack_of_fit(M @ profile.log_g, J, profile))
    # Of 400, 20 are due below 0.05, give or take 4.4; the approximation is a little cautious.
    assert 4 <= np.sum(np.array(p_values) < 0.05) <= 33
    assert np.median(p_values) == pytest.approx(0.5, abs=0.1)


def test_what_sequences_do_not_agree_on_is_unclear():
    generator = rng()
    slopes = 0.01 + 0.002 * generator.standard_normal((1, 12, 1))
    g = np.exp(-slopes * LAGS[:60] + 0.9 * generator.standard_normal((2, 12, 60)))
    fits = fit_decay(g, LAGS[:60], rng())
    assert fits is not None
    assert fits.falls
    assert fits.best.r2 < 0.8
    assert fits.label == UNCLEAR
    assert fits.rival is None


def test_laws_that_can_both_be_true_are_rivals():
    # Over lags 10 to 20 an exponential and a power law are nearly the same curve.
    g = samples(np.exp(-0.05 * np.arange(10, 20)), noise=0.05)
    fits = fit_decay(g, np.arange(10, 20), rng())
    assert fits is not None
    assert {fits.label, fits.rival} == {EXPONENTIAL, POWER_LAW}


def test_an_underflow_in_a_few_sequences_does_not_bend_the_rest():
    g = np.exp(-np.linspace(0.4, 0.6, 16)[None, :, None] * LAGS)
    fits = fit_decay(np.where(g < 1e-38, 0, g), LAGS, rng())
    assert fits is not None
    # The fastest are lost first: exp(-0.58 x) falls below 1e-36 at lag 143.
    assert 135 <= fits.largest_lag <= 145
    assert fits.exponential.rate.value == pytest.approx(0.5, rel=0.005)


def test_laws_of_two_parts_need_points():
    x = np.arange(1.0, 6.0)
    profile = Profile(x=x, log_x=np.log(x), log_g=-x, covariance=np.zeros((5, 5)), clusters=4)
    assert [law.name for law in fit_laws(profile)] == [EXPONENTIAL, POWER_LAW]
