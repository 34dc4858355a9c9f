"""Laws fitted to a quantity that decays with the lag: which describes it best, and whether any does.

The laws, the criterion and the test are in `decay_laws`.
"""

from dataclasses import dataclass

import numpy as np

from analysis.measures.decay_laws import DecayLaw, Profile, fit_laws
from analysis.statistics import BOOTSTRAP_RESAMPLES

NO_FALL, NONE, UNCLEAR = "no fall", "none", "unclear"
"""Labels of a curve that does not fall, of one that none of the laws describes, and of one that falls, but about which
the sequences differ too much to tell how."""
NUM_BINS = 40
"""Bins of lags, evenly spaced on a logarithmic axis, that a law is fitted to: each counts the same."""
MIN_BINS = 5
"""Bins that a fit needs: with fewer, two laws of two parameters each cannot be told apart."""
MIN_FALL = 0.1
"""In nats. A curve that falls by less over all its lags is called level, however certain its rate is."""
MIN_R2 = 0.8
"""Share of the variance of log g that a law has to explain to be named: of one that explains less, the test may find
nothing wrong because it sees little."""
MIN_MISFIT = 0.1
"""In nats, root mean square. A law that is nowhere further off, a tenth of g, is named even if the test rejects it:
with enough sequences it rejects every law that is not exactly true."""
REJECTION_LEVEL = 0.01
"""A law whose lack of fit has a smaller p value is ruled out, if its misfit is larger than `MIN_MISFIT`."""
SMALLEST = 1e-36
"""Smaller values are left out: single precision, whose smallest normal number is 1.2e-38, has lost their digits."""
MIN_KNOWN = 0.9
"""Share of the values at a lag that have to be above `SMALLEST` for the mean of their logarithms to count: if only the
largest were left, it would not fall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayFits:
    """The laws, fitted to the same points."""

    laws: tuple[DecayLaw, ...]
    """The exponential, the power law, and those of two parts where the data show two."""
    points: int
    """Points that they were fitted to."""
    largest_lag: int
    """The largest lag of the fit."""

    @property
    def exponential(self) -> DecayLaw:
        """The exponential."""
        return self.laws[0]

    @property
    def power(self) -> DecayLaw:
        """The power law."""
        return self.laws[1]

    @property
    def best(self) -> DecayLaw:
        """The law with the smallest criterion."""
        return min(self.laws, key=lambda law: law.criterion)

    @property
    def better_simple(self) -> DecayLaw:
        """The better of the exponential and the power law, by their residuals: both have two parameters."""
        return min(self.laws[:2], key=lambda law: law.residual_sum)

    @property
    def aic_margin(self) -> float:
        """Difference between the AIC of the exponential and of the power law; below 2, both are about as good."""
        # A perfect fit has an unbounded likelihood; its residuals are rounding errors.
        aics = [self.points * np.log(max(law.residual_sum / self.points, 1e-24)) for law in self.laws[:2]]
        return float(abs(aics[0] - aics[1]))

    @property
    def falls(self) -> bool:
        """True if, by the best law, g falls by `MIN_FALL` or more and the interval of the fall lies above 0."""
        return self.best.fall.value >= MIN_FALL and not self.best.fall.low <= 0

    @property
    def label(self) -> str:
        """The best law's name; `no fall`, `none` if even the best law is ruled out, `unclear` if it explains little."""
        if not self.falls:
            return NO_FALL
        if is_ruled_out(self.best):
            return NONE
        return self.best.name if self.best.r2 >= MIN_R2 else UNCLEAR

    @property
    def rival(self) -> str | None:
        """The name of another law, of two parameters, that is not ruled out either; `None` if there is none."""
        if self.label not in {law.name for law in self.laws}:
            return None
        others = [law for law in self.laws[:2] if law.name != self.best.name and not is_ruled_out(law)]
        others = [law for law in others if law.r2 >= MIN_R2]
        return min(others, key=lambda law: law.criterion).name if others else None


def is_ruled_out(law: DecayLaw) -> bool:
    """Returns whether a law does not describe a curve: the test of its fit rejects it, and it is visibly off."""
    return law.misfit > MIN_MISFIT and law.p_value < REJECTION_LEVEL


def fit_decay(
    samples: np.ndarray, lags: np.ndarray, generator: np.random.Generator, *, typical: bool = True
) -> DecayFits | None:
    """Fits the laws to the mean over samples of log g, or to the logarithm of the mean of g.

    The mean of log g is the decay of a typical sequence. If every sequence falls exponentially, it does too, even if
    their rates differ; the mean of g does not (a mixture of exponentials, which the slowest sequences dominate in the
    end, looks like a power law). So the mean of log g decides on the law.

    The lags from 1 on are cut into bins of equal logarithmic width; log g, lag and log lag are averaged within each
    bin, which leaves the exponential and the power law exact. Errors at neighbouring lags are correlated, so their
    covariance comes from the bootstrap: clusters are resampled with replacement, and within each its samples.
    Student's quantile for the number of clusters corrects for how few there are.

    Args:
        samples: (samples, clusters, lags); NaN where a sample has no value. The clusters, such as sequences, are
            independent.
        lags: (lags,), ascending.
        generator: of the bootstrap.
        typical: whether to fit the mean of log g, or the logarithm of the mean.

    Returns:
        `None` if fewer than `MIN_BINS` bins are left, as g is zero or lost to single precision.
    """
    draws, clusters, _ = samples.shape
    equal_weights = np.ones((1, draws, clusters))
    if typical:
        known = np.isfinite(samples)
        values = np.log(samples, out=np.full(samples.shape, np.nan), where=known & (samples > SMALLEST), dtype=float)
        present = np.isfinite(values).sum((0, 1))
        usable = (present > 0) & (present >= MIN_KNOWN * known.sum((0, 1)))
    else:
        values = samples
        mean = weighted_means(samples, equal_weights)[0]
        usable = np.isfinite(mean) & (mean > SMALLEST)
    places = np.flatnonzero((lags > 0) & usable)
    lags = lags[places]
    bins = log_bins(lags)
    if len(bins) < MIN_BINS:
        return None
    weights = np.concatenate([equal_weights, bootstrap_weights(draws, clusters, generator)])
    # Bin by bin: the means of all lags in every bootstrap sample would be hundreds of times the curve.
    log_g = np.stack([_mean_log(values[..., places[members]], weights, typical) for members in bins], axis=1)
    # A bootstrap sample that has drawn no sequence of sufficient length has NaN.
    resampled = log_g[1:][np.isfinite(log_g[1:]).all(1)]
    covariance = np.full((len(bins), len(bins)), np.nan)
    if clusters > 1 and len(resampled) > 1:
        # The variance of a bootstrap over n clusters is too small by the factor (n - 1) / n.
        covariance = np.cov(resampled, rowvar=False) * clusters / (clusters - 1)
    profile = Profile(
        x=np.array([lags[members].mean() for members in bins]),
        log_x=np.array([np.log(lags[members]).mean() for members in bins]),
        log_g=log_g[0],
        covariance=covariance,
        clusters=clusters,
    )
    return DecayFits(laws=tuple(fit_laws(profile)), points=len(bins), largest_lag=int(lags[-1]))


def _mean_log(values: np.ndarray, weights: np.ndarray, typical: bool) -> np.ndarray:
    """Returns the mean over a bin's lags of the mean of log g, or of the logarithm of the mean of g: (resamples,)."""
    means = weighted_means(values, weights)
    return np.asarray((means if typical else np.log(np.maximum(means, SMALLEST))).mean(1))


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
