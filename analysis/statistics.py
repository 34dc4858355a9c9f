"""Statistics over seeds, sequences and rounds: means, medians and proportions, with their intervals."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np

CONFIDENCE = 0.95
"""Confidence level of every interval in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over seeds, with its interval."""

    mean: float
    """NaN if there are no values."""
    half_width: float | None
    """Half the width of the interval; `None` for fewer than two values."""
    n: int
    """The number of values."""
    excluded: int = 0
    """The number of values that were left out because they were not finite."""

    @property
    def low(self) -> float:
        """The lower end of the interval; the mean itself if there is no interval."""
        return self.mean - (self.half_width or 0.0)

    @property
    def high(self) -> float:
        """The upper end of the interval; the mean itself if there is no interval."""
        return self.mean + (self.half_width or 0.0)


def mean_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Mean:
    """Returns the mean with Student's t interval: mean ± t(n - 1) s / sqrt(n), s the standard deviation over n - 1.

    Values that are not finite, such as those of diverged runs, are left out and counted.
    """
    array = np.fromiter(values, dtype=float)
    finite = array[np.isfinite(array)]
    n, excluded = len(finite), len(array) - len(finite)
    if n == 0:
        return Mean(mean=math.nan, half_width=None, n=0, excluded=excluded)
    half = float(half_width(finite[:, None], confidence)[0]) if n > 1 else None
    return Mean(mean=float(finite.mean()), half_width=half, n=n, excluded=excluded)


def half_width(values: np.ndarray, confidence: float = CONFIDENCE) -> np.ndarray:
    """Returns half the width of Student's t interval, column by column.

    Args:
        values: (seeds, columns); NaN where a seed has no value.
        confidence: confidence level of the interval.

    Returns:
        (columns,); 0 for columns with fewer than two values.
    """
    # Imported here, as help texts, which import the results of probes, must stay fast.
    from scipy.special import stdtrit

    is_finite = np.isfinite(values)
    n = is_finite.sum(0)
    total = np.where(is_finite, values, 0.0).sum(0)
    centered = np.where(is_finite, values - total / np.maximum(n, 1), 0.0)
    freedom = np.maximum(n - 1, 1)
    deviation = np.sqrt((centered**2).sum(0) / freedom)
    quantile = stdtrit(freedom, 0.5 + confidence / 2)
    return np.asarray(np.where(n > 1, quantile * deviation / np.sqrt(np.maximum(n, 1)), 0.0))


def safe_divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns numerator / denominator, element by element; NaN where the denominator is not positive."""
    quotient = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) > 0)
    return quotient


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportions:
    """The share of correct answers in each group, with its interval; each (groups,), NaN for groups without answers."""

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def wilson_interval(
    share: np.ndarray, count: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Returns Wilson's score interval of a share p of n independent answers, element by element (Wilson 1927).

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Unlike Student's interval it stays within 0 .. 1, and has a width even if all answers are correct.

    Args:
        share: the shares p.
        count: the numbers of answers n, which need not be whole.
        confidence: confidence level of the interval.

    Returns:
        Its lower and its upper ends; NaN where n is 0.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    n = np.where(np.asarray(count) > 0, count, np.nan)
    center = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (center - half) / (1 + z**2 / n), (center + half) / (1 + z**2 / n)
    # Rounding would leave the ends slightly off where they are exactly 0 or 1.
    return np.where(np.asarray(share) == 0, 0.0 * low, low), np.where(np.asarray(share) == 1, 1.0 + 0.0 * high, high)


def clustered_proportions(correct: np.ndarray, total: np.ndarray, group: np.ndarray, groups: int) -> Proportions:
    """Returns the share of correct answers of each group, with Wilson's interval at the effective number of answers.

    The answers of one sequence are correct or wrong together more often than by chance. Each counts as 1 / D
    independent answers, D the design effect: the variance of the sequences' sums over that of as many independent
    answers (Rao and Scott 1992), estimated over all groups together, and at least 1.

    Args:
        correct: (sequences,) number of correct answers of each sequence.
        total: (sequences,) number of its answers, at least 1.
        group: (sequences,) the group of each sequence, a whole number below `groups`.
        groups: number of groups.
    """
    sums = np.bincount(group, correct, groups)
    counts = np.bincount(group, total, groups)
    clusters = np.bincount(group, minlength=groups)
    share = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    several = clusters[group] > 1
    p, members = share[group][several], clusters[group][several]
    observed = (((correct[several] - total[several] * p) ** 2) * members / np.maximum(members - 1, 1)).sum()
    expected = (total[several] * p * (1 - p)).sum()
    # The variance of a single sequence is unknown: if every group has just one, a sequence counts as one answer.
    effect = float(observed / expected) if expected > 0 else (1.0 if several.any() else float(total.max(initial=1)))
    low, high = wilson_interval(share, counts / max(1.0, effect))
    return Proportions(share=share, low=low, high=high)


BOOTSTRAP_RESAMPLES = 400
"""Number of bootstrap samples behind an interval."""
BOOTSTRAP_SEED = 0
"""Seed of the resampling: the same values always give the same interval."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""Maps means over sequences, (samples, units, quantities), to one value per sample, (samples,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A statistic and its 95 % interval; `None` for values that do not exist."""

    value: float | None
    low: float | None = None
    high: float | None = None


def expanded_percentiles(samples: np.ndarray, count: int, freedom: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns both ends of a bootstrap's 95 % interval by expanded percentiles (Hesterberg 2015, section 5.2).

    Plain percentiles are too narrow by sqrt((n - 1) / n) and by the normal quantile in place of Student's: with five
    values they hold a mean in 84 of 100 cases.

    Args:
        samples: (samples, ...) the statistic of each bootstrap sample.
        count: n, the number of values that were drawn from, at least two; of several groups or factors the smallest.
        freedom: degrees of freedom, by default n - 1.

    Returns:
        Two arrays, (...).
    """
    # Only here, as importing it takes most of a second and every command imports this module.
    from scipy.special import ndtr, stdtrit

    quantile = stdtrit(count - 1 if freedom is None else freedom, 0.5 - CONFIDENCE / 2)
    tail = float(ndtr(np.sqrt(count / (count - 1)) * quantile))
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return low, high


def two_way_bootstrap(values: np.ndarray, statistic: Statistic, over_units: bool = True) -> Interval:
    """Returns a statistic of the means over sequences, with its interval by a bootstrap.

    Every bootstrap sample draws sequences and, independently of them, units (or heads) with replacement. Percentiles
    are expanded as the smaller of the two numbers asks for.

    Args:
        values: (sequences, units) or (sequences, units, quantities); NaN where there is no value.
        statistic: maps (samples, units, quantities) to (samples,).
        over_units: whether units are resampled too, or sequences only.
    """
    table = np.asarray(values, dtype=float)
    table = table[..., None] if table.ndim == 2 else table
    sequences, units, quantities = table.shape
    resample_units = over_units and units > 1
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    # The first row is the sample itself: its statistic is the value.
    weights = np.ones((1, sequences))
    if sequences > 1:
        weights = np.concatenate(
            [weights, generator.multinomial(sequences, np.full(sequences, 1 / sequences), BOOTSTRAP_RESAMPLES)]
        )
    else:
        weights = np.ones((BOOTSTRAP_RESAMPLES + 1, 1))
    flat = table.reshape(sequences, -1)
    is_finite = np.isfinite(flat)
    count = weights @ is_finite.astype(float)
    total = weights @ np.where(is_finite, flat, 0.0)
    means = safe_divide(total, count).reshape(-1, units, quantities)
    if resample_units:
        indices = generator.integers(units, size=(BOOTSTRAP_RESAMPLES, units))
        means[1:] = np.take_along_axis(means[1:], indices[:, :, None], axis=1)
    results = statistic(means)
    value = float(results[0])
    if not math.isfinite(value):
        return Interval(value=None)
    samples = results[1:][np.isfinite(results[1:])]
    if len(samples) < BOOTSTRAP_RESAMPLES // 2 or (sequences == 1 and not resample_units):
        return Interval(value=value)
    factors = [size for size, resampled in ((sequences, True), (units, resample_units)) if resampled and size > 1]
    low, high = expanded_percentiles(samples, min(factors))
    return Interval(value=value, low=float(low), high=float(high))


def bootstrap_mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean over units of the first quantity, without NaN; a `Statistic`."""
    is_finite = np.isfinite(values[..., 0])
    total = np.where(is_finite, values[..., 0], 0.0).sum(1)
    return safe_divide(total, is_finite.sum(1))


def ratio_of_sums(values: np.ndarray) -> np.ndarray:
    """Returns the sum over units of the first quantity, divided by that of the second; a `Statistic`."""
    numerator, denominator = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return safe_divide(numerator, denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianInterval:
    """A median, with its interval."""

    median: float
    low: float | None
    """The lower end of the interval; `None` if there are too few values for one."""
    high: float | None
    """The upper end, likewise."""


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> MedianInterval:
    """Returns the median with its interval from order statistics, which holds for any distribution.

    Of n values in order, the ends are the k-th and the k-th last, k the largest with 2 P(Bin(n, 1/2) < k) <= 1 -
    confidence. For 95 % it takes at least six values.
    """
    ends = _median_interval_ranks(len(values), confidence)
    low, high = (None, None) if ends is None else (float(sorted(values)[rank]) for rank in ends)
    return MedianInterval(median=median(values), low=low, high=high)


@cache
def _median_interval_ranks(n: int, confidence: float) -> tuple[int, int] | None:
    """Returns the ranks from 0 of the ends of the median's interval; `None` if n values are too few for one.

    They depend on nothing but n, and SciPy takes milliseconds to find them.
    """
    # Only here, as importing it takes most of a second and every command imports this module.
    from scipy.stats import quantile_test

    low, high = quantile_test(range(n)).confidence_interval(confidence)
    return None if math.isnan(low) or math.isnan(high) else (int(low), int(high))


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> MedianInterval:
    """Returns the median of the ratios within each round: what slows down a whole round leaves its ratio unchanged."""
    return median_interval([value / other for value, other in zip(values, base, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A metric of a row: the mean over its seeds with Student's interval; for one seed the probe's own interval."""

    value: float
    """NaN if no seed has the metric."""
    low: float
    """NaN if there is no interval."""
    high: float
    """Infinite if the measurement could not look further."""
    unit: str
    seeds: int
    """The number of seeds in the mean."""
    censored: bool = False
    """True if the value of some seed is only a lower bound, as its measurement could not look further."""
    seeds_missing: int = 0
    """The number of seeds that were probed and do not have the metric; the mean is that of the others."""

    @property
    def has_interval(self) -> bool:
        """True if there is an interval, possibly with an infinite upper end."""
        return math.isfinite(self.low) and not math.isnan(self.high)

    def overlaps(self, other: "Estimate") -> bool:
        """Returns whether the two intervals have a point in common."""
        return self.low <= other.high and other.low <= self.high
