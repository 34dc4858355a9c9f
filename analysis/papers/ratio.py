"""Ratio of two rows' results, with its interval and the p-value of their difference."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparison.losses import MIN_SEEDS
from analysis.comparison.pairs import SIGNIFICANCE, Groups
from analysis.comparison.solve_times import log_rank_p, median_time
from analysis.formatting import ABSENT, format_number
from analysis.papers.order import logs_of, pair_p
from analysis.papers.tables import ComparisonTable, OurResult

LARGEST_RATIO = 100.0
"""Ratios are sought between this and its reciprocal; an end beyond is open."""
GRID = np.exp(np.linspace(-math.log(LARGEST_RATIO), math.log(LARGEST_RATIO), 93))
"""Ratios that are tested first, each 10 % above the one before."""
BISECTIONS = 6
"""How often the gap between two ratios of the grid is halved to find the end of an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A second result divided by a first one, less being better in both."""

    value: float | None
    """`None` if neither half of the first's seeds nor half of the second's have a value."""
    bound: str = ""
    """`> ` if the second, `< ` if the first has no median, so that only a bound is known."""
    low: float | None = None
    """The lower end of the 95 % interval; `None` if it is open, or with fewer than four seeds."""
    high: float | None = None
    """The upper end, likewise."""
    p: float | None = None
    """p-value of the two-sided test that both are equal; `None` with fewer than four seeds."""
    seeds: tuple[int, int] = (0, 0)

    @property
    def interval(self) -> str:
        """The interval as text: `[1.2, 3.4]`, `[1.2, open]`."""
        if self.p is None:
            return ABSENT
        low, high = ("open" if end is None else format_number(end) for end in (self.low, self.high))
        return f"[{low}, {high}]"

    def __str__(self) -> str:
        """Returns the ratio and the p-value, without the interval."""
        if self.value is None:
            return "neither got there"
        p = "" if self.p is None else f" (p {'< 0.001' if self.p < 0.001 else f'= {self.p:.2g}'})"
        return f"{self.bound}{format_number(self.value)} times{p}"


def result_ratio(first: OurResult, second: OurResult, table: ComparisonTable) -> Ratio:
    """Returns the second result divided by the first.

    Steps to a goal: the ratio of the medians; the interval are all r for which the log-rank test does not tell the
    first's steps, times r, from the second's (inversion of the test; seeds without a step are censored). Other metrics:
    the ratio of the geometric means of losses or errors, with Welch's interval of the difference of logarithms.
    """
    seeds = (first.seeds, second.seeds)
    if not min(seeds):
        return Ratio(value=None, seeds=seeds)
    if not table.metric.counts_steps:
        if not (first.complete and second.complete):
            return Ratio(value=None, seeds=seeds)
        return log_ratio(logs_of(first, table), logs_of(second, table))
    medians = [median_time(ours.censored_steps).median for ours in (first, second)]
    value, bound = None, ""
    if medians[0] is not None:
        value, bound = (medians[1] or second.budget) / medians[0], "" if medians[1] is not None else "> "
    elif medians[1] is not None:
        value, bound = medians[1] / first.budget, "< "
    if min(seeds) < MIN_SEEDS:
        return Ratio(value=value, bound=bound, seeds=seeds)
    low, high = invert_test(lambda factor: is_told_apart(first, second, factor))
    return Ratio(value=value, bound=bound, low=low, high=high, p=pair_p(first, second, table), seeds=seeds)


def log_ratio(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Ratio:
    """Returns the ratio of two geometric means from logarithms, (seeds,) each, with Welch's interval."""
    seeds = (len(first), len(second))
    difference = Groups.of([np.asarray(first), np.asarray(second)]).difference(0, 1)
    value = math.exp(min(difference.value, 700.0))
    if min(seeds) < MIN_SEEDS or difference.low is None or difference.high is None:
        return Ratio(value=value, seeds=seeds)
    low, high = (math.exp(min(end, 700.0)) for end in (difference.low, difference.high))
    return Ratio(value=value, low=low, high=high, p=difference.p, seeds=seeds)


def is_told_apart(first: OurResult, second: OurResult, factor: float) -> bool:
    """Returns whether the first's steps, times a factor, are told from the second's by the log-rank test.

    Both are looked at until the earlier end of their budgets, the first's times the factor.
    """
    end = min(first.budget * factor, second.budget)
    scaled = [None if step is None else step * factor for step in first.censored_steps]
    until = [
        [None if step is None or step > end else step for step in steps] for steps in (scaled, second.censored_steps)
    ]
    p = log_rank_p(until[0], until[1], budget=end)
    return p is not None and p <= SIGNIFICANCE


def invert_test(is_rejected: Callable[[float], bool]) -> tuple[float | None, float | None]:
    """Returns the smallest and the largest ratio that a test does not reject; `None` for an end that is open."""
    accepted = [index for index, factor in enumerate(GRID) if not is_rejected(float(factor))]
    if not accepted:
        return None, None
    ends: list[float | None] = []
    for inner, outer in ((accepted[0], accepted[0] - 1), (accepted[-1], accepted[-1] + 1)):
        if not 0 <= outer < len(GRID):
            ends.append(None)
            continue
        inside, outside = math.log(GRID[inner]), math.log(GRID[outer])
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            if is_rejected(math.exp(middle)):
                outside = middle
            else:
                inside = middle
        ends.append(math.exp(inside))
    return ends[0], ends[1]
