"""Medians of repeated measurements, and how sure they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some values."""

    median: float
    low: float | None
    """The lower end of its interval; `None` where there are too few values for one."""
    high: float | None


def spread(values: Sequence[float], confidence: float = CONFIDENCE) -> Spread:
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


def ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """The ratios within each round: what slows a round down slows both sides, so it leaves them as they are."""
    return spread([value / other for value, other in zip(values, base, strict=True)])
