"""What is said of several seeds."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.special import ndtri, stdtrit

CONFIDENCE = 0.95
"""Of every interval in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over seeds, and how sure it is."""

    mean: float
    """NaN where there is no value."""
    half: float | None
    """Half the width of the interval; `None` where there is none, for fewer than two values."""
    n: int
    """The number of values in it."""
    excluded: int = 0
    """The number of values left out, as they were no finite numbers."""

    @property
    def low(self) -> float:
        """The lower end of the interval; the mean itself where there is none."""
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        """The upper end of the interval; the mean itself where there is none."""
        return self.mean + (self.half or 0.0)

    def overlaps(self, other: "Mean") -> bool:
        """Whether the two intervals have a point in common."""
        return self.low <= other.high and other.low <= self.high


def mean_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Mean:
    """The mean with Student's t interval: mean ± t(n - 1) s / sqrt(n), s the standard deviation over n - 1.

    Values that are no finite numbers, those of diverged runs, are left out and counted.
    """
    given = np.fromiter(values, dtype=float)
    kept = given[np.isfinite(given)]
    n, excluded = len(kept), len(given) - len(kept)
    if n == 0:
        return Mean(mean=math.nan, half=None, n=0, excluded=excluded)
    half = half_width(kept[:, None], confidence)[0] if n > 1 else None
    return Mean(mean=float(kept.mean()), half=None if half is None else float(half), n=n, excluded=excluded)


def half_width(values: np.ndarray, confidence: float = CONFIDENCE) -> np.ndarray:
    """Half the width of Student's t interval, column by column.

    Args:
        values: (seeds, columns); NaN where a seed has no value.

    Returns:
        (columns,); 0 where there are fewer than two values.
    """
    n = np.isfinite(values).sum(0)
    kept = np.where(np.isfinite(values), values, 0.0)
    centred = np.where(np.isfinite(values), values - kept.sum(0) / np.maximum(n, 1), 0.0)
    freedom = np.maximum(n - 1, 1)
    deviation = np.sqrt((centred**2).sum(0) / freedom)
    quantile = stdtrit(freedom, 0.5 + confidence / 2)
    return np.asarray(np.where(n > 1, quantile * deviation / np.sqrt(np.maximum(n, 1)), 0.0))


def median_reached(steps: Sequence[float | None]) -> float | None:
    """The median over all seeds of the step at which something was reached.

    A seed that never reached it counts as later than all that did; to leave such seeds out would make an architecture
    look the faster the more of its seeds fail. So half of the seeds or more without it give `None`: not reached.
    """
    if not steps:
        return None
    median = float(np.median([math.inf if step is None else step for step in steps]))
    return median if math.isfinite(median) else None


def safe_divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, element by element; NaN where what is below is not positive."""
    found = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=found, where=np.asarray(below) > 0)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The share of right answers in each group, with its interval; each (groups,), NaN where there is no answer."""

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def wilson(share: np.ndarray, count: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a share p out of n independent answers, element by element (Wilson 1927):

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Unlike Student's it stays within 0 .. 1 and has a width where all answers are right.

    Returns:
        Its lower and its upper ends; NaN where n is 0.
    """
    z = float(ndtri(0.5 + confidence / 2))
    n = np.where(np.asarray(count) > 0, count, np.nan)
    centre = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    # Rounding would leave the ends a hair away from 0 and 1 where they are exactly that.
    return np.where(np.asarray(share) == 0, 0.0 * low, low), np.where(np.asarray(share) == 1, 1.0 + 0.0 * high, high)


def clustered_proportions(right: np.ndarray, total: np.ndarray, group: np.ndarray, groups: int) -> Shares:
    """The share of each group, with Wilson's interval at the number of answers that those of its sequences are worth.

    A sequence's answers are right or wrong together more often than chance has it. Its answers count 1 / D each, D the
    design effect: the variance of the sequences' sums over that of as many independent answers (Rao and Scott 1992),
    estimated over all groups together, and at least 1.

    Args:
        right: (sequences,) right answers of a sequence.
        total: (sequences,) its answers, at least 1.
        group: (sequences,) whole numbers below `groups`.
    """
    sums = np.bincount(group, right, groups)
    counts = np.bincount(group, total, groups)
    clusters = np.bincount(group, minlength=groups)
    share = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    several = clusters[group] > 1
    p, members = share[group][several], clusters[group][several]
    found = (((right[several] - total[several] * p) ** 2) * members / np.maximum(members - 1, 1)).sum()
    expected = (total[several] * p * (1 - p)).sum()
    # With a single sequence a group nothing is known of their variance: each then counts as one answer.
    effect = float(found / expected) if expected > 0 else (1.0 if several.any() else float(total.max(initial=1)))
    low, high = wilson(share, counts / max(1.0, effect))
    return Shares(share=share, low=low, high=high)


BOOTSTRAP_RESAMPLES = 400
"""Bootstrap samples behind an interval."""
BOOTSTRAP_SEED = 0
"""Of the resampling: the same table gives the same interval."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""(samples, units, quantities), means over sequences -> (samples,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A statistic and its 95 % percentile interval; `None` where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def two_way_bootstrap(values: np.ndarray, statistic: Statistic, over_units: bool = True) -> Interval:
    """The statistic of the means over sequences, and its percentile interval in bootstrap samples that draw sequences
    and, independently, units (or heads) again with replacement.

    Args:
        values: (sequences, units) or (sequences, units, quantities); NaN where there is none.
        statistic: of (samples, units, quantities) to (samples,).
        over_units: whether units are drawn again too, or sequences alone.
    """
    table = np.asarray(values, dtype=float)
    table = table[..., None] if table.ndim == 2 else table
    sequences, units, kinds = table.shape
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    weights = np.ones((1, sequences))
    if sequences > 1:
        weights = np.concatenate(
            [weights, generator.multinomial(sequences, np.full(sequences, 1 / sequences), BOOTSTRAP_RESAMPLES)]
        )
    else:
        weights = np.ones((BOOTSTRAP_RESAMPLES + 1, 1))
    flat = table.reshape(sequences, -1)
    known = np.isfinite(flat)
    count = weights @ known.astype(float)
    total = weights @ np.where(known, flat, 0.0)
    means = safe_divide(total, count).reshape(-1, units, kinds)
    if over_units and units > 1:
        drawn = generator.integers(units, size=(BOOTSTRAP_RESAMPLES, units))
        means[1:] = np.take_along_axis(means[1:], drawn[:, :, None], axis=1)
    results = statistic(means)
    value = float(results[0])
    if not math.isfinite(value):
        return Interval(value=None)
    samples = results[1:][np.isfinite(results[1:])]
    if len(samples) < BOOTSTRAP_RESAMPLES // 2 or (sequences == 1 and not (over_units and units > 1)):
        return Interval(value=value)
    low, high = np.quantile(samples, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Interval(value=value, low=float(low), high=float(high))


def bootstrap_mean(values: np.ndarray) -> np.ndarray:
    """The mean over units of the first quantity; NaN among them is left out."""
    known = np.isfinite(values[..., 0])
    count = known.sum(1)
    total = np.where(known, values[..., 0], 0.0).sum(1)
    return safe_divide(total, count)


def ratio_of_sums(values: np.ndarray) -> np.ndarray:
    """The sum over units of the first quantity, divided by that of the second."""
    above, below = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return safe_divide(above, below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some values."""

    median: float
    low: float | None
    """The lower end of its interval; `None` where there are too few values for one."""
    high: float | None


def median_spread(values: Sequence[float], confidence: float = CONFIDENCE) -> Spread:
    """The median with its interval from order statistics, which holds whatever the values' distribution: of n values
    in order, the k-th and the k-th last, where k is the largest with 2 P(Bin(n, 1/2) < k) <= 1 - confidence. For 95 %
    it takes six values.
    """
    ordered, n = sorted(values), len(values)
    k, outside = 0, 0.0
    while (outside := outside + 2 * math.comb(n, k) / 2**n) <= 1 - confidence:
        k += 1
    ends = (ordered[k - 1], ordered[n - k]) if k else (None, None)
    return Spread(median=median(ordered), low=ends[0], high=ends[1])


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """The ratios within each round: what slows a round down slows both sides, so it leaves them as they are."""
    return median_spread([value / other for value, other in zip(values, base, strict=True)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number of a row: the mean over its seeds with Student's interval; for one seed the probe's own interval."""

    value: float
    """NaN where no seed has it."""
    low: float
    """NaN where there is no interval."""
    high: float
    """Infinite where the measurement ended there."""
    unit: str
    seeds: int
    censored: bool = False
    """Whether for some seed the measurement ended there."""
    seeds_missing: int = 0
    """Seeds that were probed and do not have the number: it is the mean of the others."""

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and not math.isnan(self.high)

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the intervals have a point in common."""
        return self.low <= other.high and other.low <= self.high
