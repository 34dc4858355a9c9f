"""Intervals of a mean over seeds that respect what the numbers can be: losses are positive, shares between 0 and 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.statistics import CONFIDENCE, half_width, mean_interval, wilson_interval

Scale = Literal["log", "linear"]
"""Scale on which a loss is averaged and compared: `log` unless some loss is negative."""
LEAST_LOSS = 1e-12
"""Smaller losses count as this one: in single precision they differ by rounding only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanInterval:
    """A mean over seeds with its 95 % interval."""

    mean: float
    """NaN if there are no values."""
    low: float | None
    """The lower end; `None` for fewer than two values."""
    high: float | None
    """The upper end, likewise."""
    n: int
    """The number of values."""


def loss_scale(losses: Sequence[float]) -> Scale:
    """Returns the scale on which these losses are compared: `linear` if one of them is negative, as a density's can."""
    return "linear" if any(loss < 0 for loss in losses) else "log"


def to_scale(losses: Sequence[float], scale: Scale) -> np.ndarray:
    """Returns losses on a scale, (seeds,)."""
    values = np.asarray(losses, dtype=float)
    return np.log(np.maximum(values, LEAST_LOSS)) if scale == "log" else values


def from_scale(value: float, scale: Scale) -> float:
    """Returns the loss at a point of a scale."""
    return math.exp(value) if scale == "log" else value


def loss_interval(losses: Sequence[float], scale: Scale = "log") -> MeanInterval:
    """Returns the mean of positive losses on a log scale, which is their geometric mean, with Student's interval there.

    Seeds that learn differ in how far: their losses spread by factors, and are often skewed. On the log scale the
    interval is that of a factor, and never reaches below 0.

    Args:
        losses: the finite loss of each seed.
        scale: `linear` gives the arithmetic mean.
    """
    if not losses:
        return MeanInterval(mean=math.nan, low=None, high=None, n=0)
    values = to_scale(losses, scale)
    center = float(values.mean())
    if len(set(losses)) == 1 < len(losses):
        # Exactly equal: neither the logarithm's rounding nor its least value is theirs.
        return MeanInterval(mean=losses[0], low=losses[0], high=losses[0], n=len(losses))
    mean = losses[0] if len(losses) == 1 else from_scale(center, scale)
    if len(values) < 2:
        return MeanInterval(mean=mean, low=None, high=None, n=1)
    half = float(half_width(values[:, None])[0])
    low, high = from_scale(center - half, scale), from_scale(center + half, scale)
    return MeanInterval(mean=mean, low=min(low, mean), high=max(high, mean), n=len(values))


def share_interval(shares: Sequence[float], answers: int | None = None) -> MeanInterval:
    """Returns the mean of shares of correct answers, with an interval within 0 .. 1.

    Student's interval of the logits log((p n + 1/2) / (n - p n + 1/2)), which are finite even at 0 and 1 (Haldane 1955,
    Anscombe 1956). All seeds answer the same test set, so that its sampling error does not average out over seeds: the
    interval reaches at least as far as Wilson's for the mean share of n answers.

    Args:
        shares: the share of each seed.
        answers: the number n of answers in the test set; if unknown, the interval is Student's of the shares
            themselves, cut off at 0 and 1.
    """
    if not shares:
        return MeanInterval(mean=math.nan, low=None, high=None, n=0)
    if not answers:
        # Without the resolution of the shares their logits mean nothing near 0 and 1.
        plain = mean_interval(shares)
        if plain.half_width is None:
            return MeanInterval(mean=plain.mean, low=None, high=None, n=plain.n)
        return MeanInterval(mean=plain.mean, low=max(0.0, plain.low), high=min(1.0, plain.high), n=plain.n)
    values = np.clip(np.asarray(shares, dtype=float), 0, 1)
    mean = float(values.mean())
    n = answers
    logits = np.log((values * n + 0.5) / (n - values * n + 0.5))
    low = high = None
    if len(values) > 1:
        center, half = float(logits.mean()), float(half_width(logits[:, None])[0])
        low, high = (1 / (1 + math.exp(-end)) for end in (center - half, center + half))
    floor, ceiling = (float(end) for end in wilson_interval(np.array(mean), np.array(answers), CONFIDENCE))
    low, high = (floor, ceiling) if low is None or high is None else (min(low, floor), max(high, ceiling))
    return MeanInterval(mean=mean, low=min(low, mean), high=max(high, mean), n=len(values))
