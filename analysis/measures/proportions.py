"""Shares of right answers, and how sure they are."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from analysis.statistics import CONFIDENCE


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


def clustered(right: np.ndarray, total: np.ndarray, group: np.ndarray, groups: int) -> Shares:
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
