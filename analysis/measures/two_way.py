"""A statistic of a table of sequences by units, with an interval that is resampled over both."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.measures.divided import divided
from analysis.statistics import CONFIDENCE

RESAMPLES = 400
"""Bootstrap samples behind an interval."""
SEED = 0
"""Of the resampling: the same table gives the same interval."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""(samples, units, quantities), means over sequences -> (samples,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A statistic and its 95 % percentile interval; `None` where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def two_way(values: np.ndarray, statistic: Statistic, over_units: bool = True) -> Interval:
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
    generator = np.random.default_rng(SEED)
    weights = np.ones((1, sequences))
    if sequences > 1:
        weights = np.concatenate(
            [weights, generator.multinomial(sequences, np.full(sequences, 1 / sequences), RESAMPLES)]
        )
    else:
        weights = np.ones((RESAMPLES + 1, 1))
    flat = table.reshape(sequences, -1)
    known = np.isfinite(flat)
    count = weights @ known.astype(float)
    total = weights @ np.where(known, flat, 0.0)
    means = divided(total, count).reshape(-1, units, kinds)
    if over_units and units > 1:
        drawn = generator.integers(units, size=(RESAMPLES, units))
        means[1:] = np.take_along_axis(means[1:], drawn[:, :, None], axis=1)
    results = statistic(means)
    value = float(results[0])
    if not math.isfinite(value):
        return Interval(value=None)
    samples = results[1:][np.isfinite(results[1:])]
    if len(samples) < RESAMPLES // 2 or (sequences == 1 and not (over_units and units > 1)):
        return Interval(value=value)
    low, high = np.quantile(samples, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Interval(value=value, low=float(low), high=float(high))


def mean(values: np.ndarray) -> np.ndarray:
    """The mean over units of the first quantity; NaN among them is left out."""
    known = np.isfinite(values[..., 0])
    count = known.sum(1)
    total = np.where(known, values[..., 0], 0.0).sum(1)
    return divided(total, count)


def ratio(values: np.ndarray) -> np.ndarray:
    """The sum over units of the first quantity, divided by that of the second."""
    above, below = np.nansum(values[..., 0], axis=1), np.nansum(values[..., 1], axis=1)
    return divided(above, below)
