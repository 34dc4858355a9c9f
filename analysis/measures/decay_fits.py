"""Whether something falls with the lag as an exponential or as a power law, and how fast."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.statistics import CONFIDENCE

EXPONENTIAL, POWER_LAW = "exponential", "power law"
POINTS = 40
"""Bins of lags, evenly spaced on a logarithmic axis, that a law is fitted to: each counts the same."""
FEWEST = 5
"""Bins that a fit needs: two laws of two parameters each cannot be told apart by fewer."""
RESAMPLES = 400
LEVEL = 0.1
"""Nats. What the better law has falling by less than that over all its lags is level, however sure its rate."""
TINY = 1e-36
"""What lies below is lost to single precision, whose smallest normal number is 1.2e-38: it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """log g = intercept - rate * (lag, or log lag), fitted by least squares."""

    rate: float
    """Nats a step (exponential), or the exponent (power law); positive where g falls."""
    low: float
    """The ends of the rate's 95 % interval; NaN where there is none."""
    high: float
    intercept: float
    fall: float
    """Nats by which the law falls from the first lag that took part to the last."""
    aic: float
    r2: float
    """Share of the variance of log g that the law explains; NaN where there is no variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """Both laws, fitted to the same points."""

    exponential: Law
    power: Law
    farthest: int
    """The largest lag that took part."""

    @property
    def better(self) -> str:
        """The name of the law with the smaller AIC."""
        return EXPONENTIAL if self.exponential.aic <= self.power.aic else POWER_LAW

    @property
    def best(self) -> Law:
        """That law."""
        return self.exponential if self.better == EXPONENTIAL else self.power

    @property
    def margin(self) -> float:
        """By how much its AIC is smaller; below 2, the other is about as good."""
        return abs(self.exponential.aic - self.power.aic)

    @property
    def falls(self) -> bool:
        """Whether, by the better law, g falls at all: by `LEVEL` or more, and the rate's interval lies above 0."""
        return self.best.fall >= LEVEL and not self.best.low <= 0


def fit(samples: np.ndarray, lags: np.ndarray, generator: np.random.Generator) -> Fits | None:
    """Fits both laws to the mean of g over samples.

    The lags from 1 on are cut into bins of equal logarithmic width; log g, lag and log lag are averaged within each,
    which leaves both laws exact. As errors at neighbouring lags go together, the rate's interval does not come from the
    residuals but from the bootstrap: clusters are drawn again with replacement, and from each its samples, and the rate
    is fitted to the mean of those; Student's quantile for as many clusters then bridges that they are few.

    Args:
        samples: (samples, clusters, lags); NaN where a sample has none. The clusters are what is independent:
            sequences.
        lags: (lags,), ascending.
        generator: of the bootstrap.

    Returns:
        `None` where fewer than `FEWEST` bins are left: g is zero, or lost to single precision.
    """
    draws, clusters, _ = samples.shape
    once = np.ones((1, draws, clusters))
    mean = weighted(samples, once)[0]
    held = np.flatnonzero((lags > 0) & np.isfinite(mean) & (mean > TINY))
    lags = lags[held]
    bins = binned(lags)
    if len(bins) < FEWEST:
        return None
    every = weighted(samples[..., held], np.concatenate([once, resampled(draws, clusters, generator)]))
    logs = np.log(np.maximum(every, TINY))
    g = np.stack([logs[:, place].mean(1) for place in bins], axis=1)
    steps = np.array([lags[place].mean() for place in bins])
    log_steps = np.array([np.log(lags[place]).mean() for place in bins])
    return Fits(exponential=_law(steps, g, clusters), power=_law(log_steps, g, clusters), farthest=int(lags[-1]))


def binned(lags: np.ndarray) -> list[np.ndarray]:
    """The places of the lags in each bin of equal logarithmic width; no bin is empty."""
    if not len(lags):
        return []
    edges = np.geomspace(lags[0], lags[-1] + 1, POINTS + 1)
    which = np.searchsorted(edges, lags, side="right")
    return [np.flatnonzero(which == number) for number in np.unique(which)]


def resampled(draws: int, clusters: int, generator: np.random.Generator) -> np.ndarray:
    """How often each sample is drawn in each bootstrap sample, (resamples, samples, clusters)."""
    chosen = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)
    within = generator.multinomial(draws, np.full(draws, 1 / draws), size=(RESAMPLES, clusters))
    weights: np.ndarray = (chosen[:, :, None] * within).swapaxes(1, 2).astype(float)
    return weights


def weighted(samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means over samples and clusters, (resamples, lags); NaN where no sample has a value."""
    flat = samples.reshape(-1, samples.shape[-1]).astype(float)
    known = np.isfinite(flat)
    rows = weights.reshape(len(weights), -1)
    total, count = rows @ np.where(known, flat, 0.0), rows @ known.astype(float)
    means: np.ndarray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return means


def _law(x: np.ndarray, g: np.ndarray, clusters: int) -> Law:
    """The law along x, fitted to the first row of g; the other rows are its bootstrap samples."""
    centred = x - x.mean()
    # A bootstrap sample without any of the sequences that are long enough says nothing.
    slopes = g[np.isfinite(g).all(1)] @ centred / (centred @ centred)
    y, slope = g[0], slopes[0]
    residual = y - y.mean() - slope * centred
    squares, spread = float(residual @ residual), float(((y - y.mean()) ** 2).sum())
    # A perfect fit has a likelihood without bound; what is left then is rounding.
    aic = len(x) * np.log(max(squares / len(x), 1e-24)) + 2 * 3
    half = np.nan
    if clusters > 1:
        # The bootstrap's variance is short of one cluster in as many.
        deviation = slopes[1:].std(ddof=1) * np.sqrt(clusters / (clusters - 1))
        half = float(stdtrit(clusters - 1, 0.5 + CONFIDENCE / 2) * deviation)
    return Law(
        rate=float(-slope),
        low=float(-slope - half),
        high=float(-slope + half),
        intercept=float(y.mean() - slope * x.mean()),
        fall=float(-slope * (x[-1] - x[0])),
        aic=float(aic),
        r2=1 - squares / spread if spread > 0 else float("nan"),
    )
