"""Whether a unit still writes: the slope of log write on log t."""

import numpy as np
import torch
from torch import Tensor

from analysis.measures.bins import means, spaced
from analysis.measures.divided import divided

FROZEN, LIVE = -2 / 3, -1 / 3
"""Where an interval of the slope has to lie below to be called frozen, above to be called live: a third of the way from
the one known answer, -1 for an average over all steps, and from the other, 0 for a weight that does not fall."""
BINS = 24
FEWEST = 5
"""Bins that a slope needs."""


def write_slopes(log_write: Tensor) -> np.ndarray:
    """The slope of log w_t on log t, t counted from 1, over the last decade of steps.

    An RWA cannot but freeze while its attention is bounded: with |log a| <= A its write is at most
    1 / (1 + (t - 1) e^{-2A}), whose slope goes to -1. The steps from T / 10 (the first step, which is 1 for every
    average, left out) to T are cut into bins of equal logarithmic width, and a line is fitted to their means.

    Args:
        log_write: (batch, time, units); NaN where nothing is written, or beyond a sequence's end.

    Returns:
        (batch, units) slopes; NaN where fewer than `FEWEST` bins have a value.
    """
    time = log_write.shape[1]
    parts = spaced(time, BINS, log=True, start=max(1, time // 10 - 1))
    steps = torch.arange(1, time + 1, dtype=torch.float64).log()
    x = means(steps[None, :, None], parts).numpy()
    y = means(log_write.double().cpu(), parts).numpy()
    known = np.isfinite(y)
    n = known.sum(1)
    x = np.where(known, x, 0.0)
    y = np.where(known, y, 0.0)
    centred = np.where(known, x - (x.sum(1) / np.maximum(n, 1))[:, None], 0.0)
    return np.where(n >= FEWEST, divided((centred * y).sum(1), (centred**2).sum(1)), np.nan)


def diagnosis(low: float, high: float) -> str:
    """`frozen`, `live` or `between`, from the interval of a slope."""
    return "frozen" if high < FROZEN else "live" if low > LIVE else "between"


def frozen_share(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) slopes -> the share of units whose own slope is below `FROZEN`; NaN where none has any."""
    known = np.isfinite(values[..., 0])
    count = known.sum(1)
    frozen = (np.where(known, values[..., 0], 0.0) < FROZEN).sum(1)
    return divided(frozen, count)
