"""Steps until a task is solved, as censored times: medians with intervals, and a test between two rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from analysis.grouping import Row
from analysis.statistics import CONFIDENCE

MIN_SEEDS_FOR_INTERVAL = 5
"""Fewest seeds with an interval of the median: of five, lowest and highest hold it in 94 % of cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveTime:
    """The step by which half of a row's seeds have solved the task."""

    median: float | None
    """`None` if half of the seeds or more have not solved it."""
    low: float | None
    """The lower end of the 95 % interval; `None` for fewer than five seeds, or if it too was not reached."""
    high: float | None
    """The upper end; `None` likewise."""
    solved: int
    """The number of seeds that solved it."""
    seeds: int


def solve_time(row: Row, key: str = "solved_at_mean50") -> SolveTime | None:
    """Returns the median step at which a row's seeds solved the task; `None` if the task has no criterion.

    Args:
        row: a row of a section.
        key: entry of `result.json`: `solved_at_mean50`, by the mean over 50 training batches, or `solved_at`, by the
            first batch that met the criterion, which is a matter of luck in part.
    """
    if all(run.result["criterion"] is None for run in row.runs):
        return None
    return median_time([run.result[key] for run in row.runs])


def median_time(steps: Sequence[float | None]) -> SolveTime:
    """Returns the median of censored times with its interval.

    A seed that has not solved the task is censored at the end of its budget, which all seeds of a row share. It then
    counts as later than every seed that solved it, and the Kaplan-Meier median is the median of the times in order,
    the middle of the step at which the curve is one half (Kaplan and Meier 1958; Brookmeyer and Crowley 1982). The
    interval is that of order statistics, interpolated between ranks (Hettmansperger and Sheather 1986, section 2).

    Args:
        steps: the step of each seed; `None` if it has not solved the task, or diverged.
    """
    times = sorted(math.inf if step is None else float(step) for step in steps)
    solved = sum(math.isfinite(time) for time in times)
    if not times:
        return SolveTime(median=None, low=None, high=None, solved=0, seeds=0)
    middle = float(np.median(times))
    low, high = _median_ends(times)
    return SolveTime(
        median=middle if math.isfinite(middle) else None,
        low=low if low is not None and math.isfinite(low) else None,
        high=high if high is not None and math.isfinite(high) else None,
        solved=solved,
        seeds=len(times),
    )


def _median_ends(times: Sequence[float]) -> tuple[float | None, float | None]:
    """Returns the ends of the interval of the median of times in order, infinite if not reached."""
    n = len(times)
    if n < MIN_SEEDS_FOR_INTERVAL:
        return None, None
    ranks, coverage = range(1, n // 2 + 1), _rank_coverage(n)
    k = max((rank for rank, held in zip(ranks, coverage, strict=True) if held >= CONFIDENCE), default=1)
    weight = 0.0
    if k < len(coverage) and coverage[k - 1] > CONFIDENCE:
        outer, inner = coverage[k - 1], coverage[k]
        share = (outer - CONFIDENCE) / (outer - inner)
        weight = (n - k) * share / (k + (n - 2 * k) * share)
    return _between(times[k - 1], times[k], weight), _between(times[n - k], times[n - k - 1], weight)


@cache
def _rank_coverage(n: int) -> list[float]:
    """Returns how probably the k-th and the k-th last of n times hold the median, k from 1 to n / 2."""
    from scipy.stats import binom

    # 1 - 2 P(Bin(n, 1/2) < k)
    return [1 - 2 * float(binom.cdf(k - 1, n, 0.5)) for k in range(1, n // 2 + 1)]


def _between(outer: float, inner: float, weight: float) -> float:
    """Returns the point a share of the way from one time to the next; infinite if the outer one is, unless at 1."""
    if not math.isfinite(outer) or not weight:
        return outer
    return (1 - weight) * outer + weight * inner


def log_rank_p(first: Sequence[float | None], second: Sequence[float | None], budget: float) -> float | None:
    """Returns the p-value of the log-rank test between two rows' times (Mantel 1966); `None` without any solved seed.

    Args:
        first: the step of each seed of a row; `None` if it has not solved the task by the end of its budget.
        second: those of the other.
        budget: the step at which unsolved seeds are censored.
    """
    from scipy.stats import CensoredData, logrank

    if not first or not second or all(step is None for step in [*first, *second]):
        return None
    if len(set(first) | set(second)) == 1:
        # All at one step: SciPy would divide by a variance of 0.
        return 1.0
    # A seed that was solved later, in runs with another budget, was at risk until then, and so were the others.
    budget = max([budget, *(step for step in [*first, *second] if step is not None)])
    data = [
        CensoredData.right_censored(
            [budget if step is None else step for step in steps], [step is None for step in steps]
        )
        for steps in (first, second)
    ]
    p = float(logrank(*data).pvalue)
    # The test's normal distribution is too narrow for few seeds: no two orders of them are rarer than this.
    least = 2 / math.comb(len(first) + len(second), len(first))
    return max(p, least) if math.isfinite(p) else None
