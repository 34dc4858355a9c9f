"""Recall: accuracy against the lag, and the horizon, the largest lag up to which it holds."""

from dataclasses import dataclass

import numpy as np

from analysis.statistics import Proportions, clustered_proportions

MAX_BINS = 25
"""Bins of lags, at most."""
ANSWERS_PER_BIN = 40
"""Answers in a bin, about. With fewer, even the interval of a perfect accuracy would reach down to the threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallCurve:
    """Accuracy against lag, bin by bin."""

    lag: np.ndarray
    """(bins,) mean lag of the answers in a bin, in steps."""
    shares: Proportions
    """Shares of right answers, each (bins,)."""
    smallest_lag: int
    """The smallest lag of any answer, in steps."""
    largest_lag: int
    """The largest lag of any answer, in steps."""


def recall_curve(lag: np.ndarray, right: np.ndarray, sequence: np.ndarray, bins: int = MAX_BINS) -> RecallCurve:
    """Returns accuracy against lag, with neighbouring lags in one bin.

    Args:
        lag: (answers,) whole steps from the input of a symbol to its recall; at least one answer.
        right: (answers,) whether the answer was right.
        sequence: (answers,) number of the sequence of each answer: answers of one sequence are not independent.
        bins: at most so many, of about equally many answers; all answers of one lag are in one bin.
    """
    bins = max(1, min(bins, len(lag) // ANSWERS_PER_BIN))
    lags, place, counts = np.unique(lag, return_inverse=True, return_counts=True)
    # The bin of a lag is that of the middle one of its answers, with all answers in order of their lag.
    middle = (counts.cumsum() - counts / 2) / counts.sum()
    _, bin_of_lag = np.unique((middle * bins).astype(int), return_inverse=True)
    bin_of_answer = bin_of_lag[place]
    centres = np.bincount(bin_of_answer, lag) / np.bincount(bin_of_answer)
    clusters, cluster = np.unique(np.stack([bin_of_answer, sequence]), axis=1, return_inverse=True)
    cluster = cluster.reshape(-1)
    shares = clustered_proportions(
        np.bincount(cluster, right), np.bincount(cluster).astype(float), clusters[0].astype(int), len(centres)
    )
    return RecallCurve(lag=centres, shares=shares, smallest_lag=int(lags[0]), largest_lag=int(lags[-1]))


def accuracy_threshold(chance: float) -> float:
    """Returns the accuracy half way from chance to 1."""
    return chance + (1 - chance) / 2


def horizon(curve: RecallCurve, accuracy: np.ndarray, threshold: float) -> float | None:
    """Returns the largest lag up to which an accuracy stays above a threshold, interpolated between the bins.

    A step from 1 to chance anywhere inside a bin is located to a tenth of the bin's width.

    Args:
        curve: for its lags.
        accuracy: (bins,) the shares, or one end of their intervals.
        threshold: as in `accuracy_threshold`.

    Returns:
        Steps; 0 if the accuracy is not above the threshold even at the smallest lags, `None` if it never falls.
    """
    below = np.flatnonzero(~(accuracy > threshold))
    if not len(below):
        return None
    after = int(below[0])
    if after == 0:
        return 0.0
    (x0, x1), (y0, y1) = curve.lag[after - 1 : after + 1], accuracy[after - 1 : after + 1]
    return float(x0 + (x1 - x0) * (y0 - threshold) / (y0 - y1))
