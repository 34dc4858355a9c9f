"""Exponential and power laws fitted to a quantity that decays with the lag."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.statistics import BOOTSTRAP_RESAMPLES, CONFIDENCE

EXPONENTIAL, POWER_LAW = "exponential", "power law"
NO_FALL, NEITHER = "no fall", "neither"
"""Labels of a curve that neither law describes."""
NUM_BINS = 40
"""Bins of lags, evenly spaced on a logarithmic axis, that a law is fitted to: each counts the same."""
MIN_BINS = 5
"""Bins that a fit needs: with fewer, two laws of two parameters each cannot be told apart."""
MIN_FALL = 0.1
"""In nats. A curve that falls by less over all its lags is called level, however certain its rate is."""
MIN_R2 = 0.8
"""Share of the variance of log g that a law has to explain to be named."""
SMALLEST = 1e-36
"""Smaller values are left out: single precision, whose smallest normal number is 1.2e-38, has lost their digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayLaw:
    """A law log g = intercept - rate * x, where x is the lag or its logarithm, fitted by least squares."""

    rate: float
    """Nats a step (exponential), or the exponent (power law); positive if g falls."""
    low: float
    """Lower end of the rate's 95 % interval; NaN if there is no interval."""
    high: float
    """Upper end of the rate's 95 % interval; NaN if there is no interval."""
    intercept: float
    fall: float
    """Nats by which the law falls from the first lag of the fit to the last."""
    aic: float
    r2: float
    """Share of the variance of log g that the law explains; NaN if there is no variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayFits:
    """The exponential and the power law, fitted to the same points."""

    exponential: DecayLaw
    power: DecayLaw
    largest_lag: int
    """The largest lag of the fit."""

    @property
    def best_name(self) -> str:
        """The name of the law with the smaller AIC."""
        return EXPONENTIAL if self.exponential.aic <= self.power.aic else POWER_LAW

    @property
    def best(self) -> DecayLaw:
        """The law with the smaller AIC."""
        return self.exponential if self.best_name == EXPONENTIAL else self.power

    @property
    def aic_margin(self) -> float:
        """Difference of the two laws' AIC; below 2, both are about as good."""
        return abs(self.exponential.aic - self.power.aic)

    @property
    def falls(self) -> bool:
        """True if, by the better law, g falls by `MIN_FALL` or more and the interval of the rate lies above 0."""
        return self.best.fall >= MIN_FALL and not self.best.low <= 0

    @property
    def label(self) -> str:
        """The better law's name; `no fall`, or `neither` if even the better law explains too little."""
        if not self.falls:
            return NO_FALL
        return self.best_name if self.best.r2 >= MIN_R2 else NEITHER


def fit_decay(samples: np.ndarray, lags: np.ndarray, generator: np.random.Generator) -> DecayFits | None:
    """Fits both laws to the mean of g over samples.

    The lags from 1 on are cut into bins of equal logarithmic width; log g, lag and log lag are averaged within each
    bin, which leaves both laws exact. Errors at neighbouring lags are correlated, so the interval of the rate is not
    computed from the residuals but by the bootstrap: clusters are resampled with replacement, and within each its
    samples, and the rate is fitted to the mean of those. Student's quantile for the number of clusters corrects for
    how few there are.

    Args:
        samples: (samples, clusters, lags); NaN where a sample has no value. The clusters, such as sequences, are
            independent.
        lags: (lags,), ascending.
        generator: of the bootstrap.

    Returns:
        `None` if fewer than `MIN_BINS` bins are left, as g is zero or lost to single precision.
    """
    draws, clusters, _ = samples.shape
    equal_weights = np.ones((1, draws, clusters))
    mean = weighted_means(samples, equal_weights)[0]
    usable = np.flatnonzero((lags > 0) & np.isfinite(mean) & (mean > SMALLEST))
    lags = lags[usable]
    bins = log_bins(lags)
    if len(bins) < MIN_BINS:
        return None
    weights = np.concatenate([equal_weights, bootstrap_weights(draws, clusters, generator)])
    log_means = np.log(np.maximum(weighted_means(samples[..., usable], weights), SMALLEST))
    log_g = np.stack([log_means[:, places].mean(1) for places in bins], axis=1)
    steps = np.array([lags[places].mean() for places in bins])
    log_steps = np.array([np.log(lags[places]).mean() for places in bins])
    return DecayFits(
        exponential=_fit_law(steps, log_g, clusters),
        power=_fit_law(log_steps, log_g, clusters),
        largest_lag=int(lags[-1]),
    )


def log_bins(lags: np.ndarray) -> list[np.ndarray]:
    """Returns the positions of the lags in each bin of equal logarithmic width, without empty bins."""
    if not len(lags):
        return []
    edges = np.geomspace(lags[0], lags[-1] + 1, NUM_BINS + 1)
    bin_of_lag = np.searchsorted(edges, lags, side="right")
    return [np.flatnonzero(bin_of_lag == number) for number in np.unique(bin_of_lag)]


def bootstrap_weights(draws: int, clusters: int, generator: np.random.Generator) -> np.ndarray:
    """Returns how often each sample occurs in each bootstrap sample, (resamples, samples, clusters)."""
    cluster_counts = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=BOOTSTRAP_RESAMPLES)
    sample_counts = generator.multinomial(draws, np.full(draws, 1 / draws), size=(BOOTSTRAP_RESAMPLES, clusters))
    weights: np.ndarray = (cluster_counts[:, :, None] * sample_counts).swapaxes(1, 2).astype(float)
    return weights


def weighted_means(samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns weighted means over samples and clusters, (resamples, lags); NaN where no sample has a value."""
    flat = samples.reshape(-1, samples.shape[-1]).astype(float)
    known = np.isfinite(flat)
    rows = weights.reshape(len(weights), -1)
    total, count = rows @ np.where(known, flat, 0.0), rows @ known.astype(float)
    means: np.ndarray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return means


def _fit_law(x: np.ndarray, log_g: np.ndarray, clusters: int) -> DecayLaw:
    """Fits a law to the first row of log g, (1 + resamples, bins); the other rows are its bootstrap samples."""
    centred = x - x.mean()
    # A bootstrap sample that has drawn no sequence of sufficient length has NaN, and no slope.
    slopes = log_g[np.isfinite(log_g).all(1)] @ centred / (centred @ centred)
    y, slope = log_g[0], slopes[0]
    residual = y - y.mean() - slope * centred
    residual_sum, total_sum = float(residual @ residual), float(((y - y.mean()) ** 2).sum())
    # A perfect fit has an unbounded likelihood; its residuals are rounding errors.
    aic = len(x) * np.log(max(residual_sum / len(x), 1e-24)) + 2 * 3
    half_width = np.nan
    if clusters > 1:
        # The variance of a bootstrap over n clusters is too small by the factor (n - 1) / n.
        deviation = slopes[1:].std(ddof=1) * np.sqrt(clusters / (clusters - 1))
        half_width = float(stdtrit(clusters - 1, 0.5 + CONFIDENCE / 2) * deviation)
    return DecayLaw(
        rate=float(-slope),
        low=float(-slope - half_width),
        high=float(-slope + half_width),
        intercept=float(y.mean() - slope * x.mean()),
        fall=float(-slope * (x[-1] - x[0])),
        aic=float(aic),
        r2=1 - residual_sum / total_sum if total_sum > 0 else float("nan"),
    )
