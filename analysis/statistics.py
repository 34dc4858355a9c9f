"""What is said of several seeds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

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
