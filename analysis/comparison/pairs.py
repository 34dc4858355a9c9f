"""Tests between rows, pair by pair: Welch's with moderated variances, Holm's correction, and a display by letters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from analysis.comparison.moderation import moderate_variances
from analysis.statistics import CONFIDENCE

SIGNIFICANCE = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of two rows' means on the scale of the comparison."""

    value: float
    low: float | None
    """The lower end of its 95 % interval; `None` if neither row has two seeds."""
    high: float | None
    p: float | None
    """Two-sided p-value of the test, not corrected; `None` likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Means of several rows, and what their differences are measured by."""

    means: np.ndarray
    """(rows,)"""
    counts: np.ndarray
    """(rows,) numbers of seeds."""
    variances: np.ndarray
    """(rows,) moderated variances of a single seed."""
    freedom: np.ndarray
    """(rows,) their degrees of freedom; 0 for rows of one seed."""

    @classmethod
    def of(cls, samples: Sequence[np.ndarray]) -> "Groups":
        """Returns the groups of samples, (seeds,) each, with at least one value in every sample.

        Rows are not paired by seed. At the same seed two architectures see the same batches, but they start from
        unlike weights, and so share little of what makes seeds differ; pairing would halve the degrees of freedom.
        """
        counts = np.array([len(sample) for sample in samples])
        variances = np.array([sample.var(ddof=1) if len(sample) > 1 else 0.0 for sample in samples])
        variances, freedom = moderate_variances(variances, counts - 1)
        means = np.array([sample.mean() for sample in samples])
        return cls(means=means, counts=counts, variances=variances, freedom=freedom)

    def difference(self, first: int, second: int) -> Difference:
        """Returns the mean of the second row less that of the first, with Welch's test and interval (Welch 1947)."""
        from scipy.special import stdtr, stdtrit

        value = float(self.means[second] - self.means[first])
        pair = [first, second]
        if not (self.freedom[pair] > 0).all():
            return Difference(value=value, low=None, high=None, p=None)
        errors = self.variances[pair] / self.counts[pair]
        error = math.sqrt(errors.sum())
        if error == 0:
            return Difference(value=value, low=value, high=value, p=1.0 if value == 0 else 0.0)
        freedom = float(errors.sum() ** 2 / (errors**2 / self.freedom[pair]).sum())
        # Where variances are pooled, both terms have the same degrees of freedom: no more than those are known.
        freedom = min(freedom, float(self.counts.sum() - len(self.counts)))
        half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
        p = float(2 * stdtr(freedom, -abs(value) / error))
        return Difference(value=value, low=value - half, high=value + half, p=p)

    def p_values(self) -> np.ndarray:
        """Returns the p-value of every pair, (rows, rows), not corrected; 1 where there is no test."""
        rows = len(self.means)
        result = np.ones((rows, rows))
        for first in range(rows):
            for second in range(first):
                p = self.difference(first, second).p
                result[first, second] = result[second, first] = 1.0 if p is None else p
        return result


def correct_by_holm(p_values: np.ndarray) -> np.ndarray:
    """Returns the p-values of all pairs, (rows, rows), corrected together by Holm's method (Holm 1979)."""
    rows, columns = np.triu_indices(len(p_values), 1)
    result = np.ones_like(p_values)
    result[rows, columns] = result[columns, rows] = holm(p_values[rows, columns])
    return result


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns p-values, (hypotheses,), corrected together by Holm's method (Holm 1979)."""
    # Not statsmodels' multipletests, which collects garbage at every call: a third of a second in a report's process.
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values)
    corrected = np.empty_like(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected


def fewest_discoveries(p_values: np.ndarray, level: float) -> int:
    """Returns the least number of hypotheses that are false, with an error of at most `level`.

    The bound of closed testing by Simes' test (Goeman and Solari 2011, section 4, by Hommel's shortcut): with m
    hypotheses at most h of them are true, h the largest number i such that the j-th smallest of the i largest p-values
    is above j level / i for every j. It says how many there are, and may count more than can be named.

    Args:
        p_values: (hypotheses,) p-value of each, not corrected.
        level: between 0 and 1.
    """
    ordered = np.sort(p_values)
    for size in range(len(ordered), 0, -1):
        if (ordered[len(ordered) - size :] > level * np.arange(1, size + 1) / size).all():
            return len(ordered) - size
    return len(ordered)


def is_best(p_values: np.ndarray, first: int) -> bool:
    """Returns whether the row with the best mean is told apart from each of the others.

    Each test may be at the full level, without a correction: the claim is only made if all of them agree, and it is
    wrong in at most 5 % of cases even if two rows share the first place (Gutmann and Maymin 1987).
    """
    others = np.delete(p_values[first], first)
    return bool(len(others)) and bool((others <= SIGNIFICANCE).all())


def tell_apart(p_values: np.ndarray, first: int) -> np.ndarray:
    """Returns which pairs are told apart, (rows, rows) of bool.

    Two questions, each with an error of 5 %: whether the first row is the best (`is_best`), which tells it from all
    others; and which of the pairs differ, by Holm's method over all pairs, without the first row's if that is settled.

    Args:
        p_values: (rows, rows) p-value of each pair, not corrected.
        first: the row with the best mean.
    """
    rows = len(p_values)
    apart = np.zeros((rows, rows), dtype=bool)
    rest = np.arange(rows)
    if is_best(p_values, first):
        apart[first], apart[:, first] = True, True
        apart[first, first] = False
        rest = np.delete(rest, first)
    corrected = correct_by_holm(p_values[np.ix_(rest, rest)])
    apart[np.ix_(rest, rest)] = corrected <= SIGNIFICANCE
    np.fill_diagonal(apart, val=False)
    return apart


def display_letters(apart: np.ndarray) -> list[str]:
    """Returns the letters of each row: rows that share a letter are not told apart (Piepho 2004, insert and absorb).

    Args:
        apart: (rows, rows) whether two rows are told apart; rows are in the order of their means.

    Returns:
        (rows,) letters such as `a` or `bc`; the first row has the letter `a`.
    """
    rows = len(apart)
    columns = [frozenset(range(rows))]
    for first in range(rows):
        for second in range(first + 1, rows):
            if not apart[first, second]:
                continue
            split: list[frozenset[int]] = []
            for column in columns:
                split += [column - {first}, column - {second}] if {first, second} <= column else [column]
            # A column within another says nothing that the other does not.
            columns = [
                column
                for index, column in enumerate(split)
                if not any(column < other or (column == other and index > place) for place, other in enumerate(split))
            ]
    columns.sort(key=lambda column: sorted(column))
    return ["".join(letter(place) for place, column in enumerate(columns) if row in column) for row in range(rows)]


def letter(place: int) -> str:
    """Returns the letter of a column: a to z, then a2, b2, ..."""
    turn, index = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[index] + (str(turn + 1) if turn else "")
