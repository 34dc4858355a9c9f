"""The effective receptive field: how far back most of a gradient lies."""

import numpy as np

from analysis.statistics import CONFIDENCE

RESAMPLES = 400
"""Bootstrap samples behind an interval."""


def cumulative(norms: np.ndarray) -> np.ndarray:
    """The share of a sequence's squared gradient that lies within each lag:

        s(k) = sum_{j <= k} g_j^2 / sum_j g_j^2

    (Luo, Li, Urtasun and Zemel 2016, of images). The squares are summed over a sequence's probe vectors before they are
    divided: in expectation, squared Frobenius norms of Jacobians.

    Args:
        norms: (directions, sequences, time) gradient norms by lag; NaN where there is no such lag.

    Returns:
        (sequences kept, time), rising to 1. Sequences without any gradient, or with one that is infinite, are left out.
    """
    norms = np.where(np.isnan(norms), 0.0, norms.astype(float))
    # By the largest of each sequence first: a square may leave the range of numbers where the norm does not.
    largest = norms.max(axis=(0, 2))
    kept = (largest > 0) & np.isfinite(largest)
    rising = ((norms[:, kept] / largest[kept][:, None]) ** 2).sum(0).cumsum(1)
    return np.asarray(rising / rising[:, -1:])


def holding(rising: np.ndarray, share: float) -> np.ndarray:
    """The smallest lag within which a share lies, curve by curve.

    Args:
        rising: (curves, time), each rising to 1.
        share: between 0 and 1.

    Returns:
        (curves,) lags in steps.
    """
    return np.asarray((rising >= share * (1 - 1e-12)).argmax(1))


def resampled(rising: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The mean curve in bootstrap samples of the sequences.

    Args:
        rising: (sequences, time).

    Returns:
        (RESAMPLES, time).
    """
    count = len(rising)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
    return np.asarray(weights @ rising)


def ends(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the percentile interval, column by column, of (samples, ...) bootstrap values."""
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return low, high
