"""Agreement of one of our figures with a published one: within a stated factor, apart, left open, or too few seeds."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.comparison.intervals import share_interval
from analysis.comparison.losses import MIN_SEEDS
from analysis.comparison.solve_times import median_time
from analysis.formatting import ABSENT, format_count, format_number, pluralize
from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.published_figures import PublishedFigure
from analysis.statistics import half_width

Outcome = Literal[
    "agrees", "apart", "left open", "too few seeds to say", "too few steps to tell", "not run", "nothing published"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Whether a figure agrees."""

    outcome: Outcome
    detail: str = ""
    """What was measured, in a few words."""

    def __str__(self) -> str:
        """Returns both, as a cell of a table."""
        if self.outcome == "nothing published":
            return ABSENT
        return f"{self.outcome}: {self.detail}" if self.detail else self.outcome


def judge_figure(row: TableRow, table: ComparisonTable) -> Agreement:
    """Returns whether our figure agrees with the published one, which is a single run.

    It agrees if the 95 % interval of the ratio of our mean to theirs lies within the table's factor, on either side of
    1 (equivalence by two one-sided tests; Schuirmann 1987). It is apart if not even the interval of one more run of
    ours has a ratio within the factor, and left open if only the whole interval of our mean lies outside: theirs may be
    such a run. Else there are too few seeds. The interval of a share is no narrower than that of its test set. Ratios
    are of losses, steps and errors, on a log scale, and may be off by what rounding and the rows of metrics hide.

    Args:
        row: the architecture's results.
        table: the table, with its metric and factor.
    """
    ours, published = row.ours, row.published
    if published is None:
        return Agreement(outcome="nothing published")
    if not ours.seeds:
        return Agreement(outcome="not run")
    if published.bound != "exact":
        return judge_bound(ours, published, table)
    if not ours.complete:
        return judge_incomplete(ours, published, table)
    floor = published.rounding + ours.resolution / 2
    values = [as_loss(value, table, floor) for value in ours.values]
    theirs = as_loss(published.value, table, floor)
    if theirs <= 0 or min(values) <= 0:
        return Agreement(outcome="too few seeds to say", detail=f"{format_number(float(np.mean(values)))} against 0")
    logs = np.log(values) - math.log(theirs)
    # As both are rounded, the ratio may be this much larger or smaller.
    slack = math.log1p(published.rounding / theirs) + math.log1p(ours.resolution / min(values))
    center = float(logs.mean())
    ratio = f"{format_number(math.exp(center))} times their {'error' if is_share(table) else 'figure'}"
    if ours.seeds < MIN_SEEDS:
        return Agreement(outcome="too few seeds to say", detail=ratio)
    half, limit = float(half_width(logs[:, None])[0]), math.log(table.factor) + slack
    low, high = center - half, center + half
    if is_share(table) and ours.answers is not None:
        # All seeds answer the same test set, whose sampling error no number of seeds removes.
        shares = share_interval(ours.values, ours.answers)
        assert shares.low is not None
        assert shares.high is not None
        low = min(low, math.log(as_loss(shares.high, table, floor) / theirs))
        high = max(high, math.log(as_loss(shares.low, table, floor) / theirs))
    detail = f"{ratio} [{format_number(math.exp(low))}, {format_number(math.exp(high))}]"
    if -limit <= low and high <= limit:
        return Agreement(outcome="agrees", detail=detail)
    if -limit <= high and low <= limit:
        return Agreement(outcome="too few seeds to say", detail=detail)
    if abs(center) - half * math.sqrt(ours.seeds + 1) > limit:
        return Agreement(outcome="apart", detail=detail)
    # What is uncertain is the one run that the source has.
    return Agreement(outcome="left open", detail=f"{detail}, but a single run may be within the factor")


def is_share(table: ComparisonTable) -> bool:
    """Returns whether the metric is a share of correct answers, which is compared by its error."""
    return not table.metric.less_is_better


def as_loss(value: float, table: ComparisonTable, floor: float) -> float:
    """Returns a value as one of which less is better: a share as its error, not below what rounding hides."""
    return max(1 - value, floor) if is_share(table) else value


def judge_incomplete(ours: OurResult, published: PublishedFigure, table: ComparisonTable) -> Agreement:
    """Returns whether our figure agrees where some seeds have none: they did not reach the goal, or diverged."""
    reached = f"{len(ours.values)} of {pluralize(ours.seeds, 'seed')}"
    if not table.metric.counts_steps:
        failed = len(ours.values) < ours.seeds / 2
        return Agreement(
            outcome="apart" if failed and ours.seeds >= MIN_SEEDS else "too few seeds to say",
            detail=f"{reached} did not diverge",
        )
    if not ours.values and ours.num_diverged < ours.seeds and ours.budget < table.factor * published.value:
        return Agreement(outcome="too few steps to tell", detail=f"none by step {format_count(ours.budget)}")
    time = median_time(ours.censored_steps)
    median = "not reached" if time.median is None else f"median {format_count(time.median)}"
    detail = f"{reached} reached it, {median}"
    limits = published.value / table.factor - ours.resolution, published.value * table.factor + ours.resolution
    if ours.seeds < MIN_SEEDS:
        return Agreement(outcome="too few seeds to say", detail=detail)
    if time.low is not None and time.high is not None and limits[0] <= time.low and time.high <= limits[1]:
        return Agreement(outcome="agrees", detail=detail)
    # Only late seeds, or none: the goal is out of reach within what would agree.
    if min(ours.values, default=math.inf) > limits[1] and ours.budget >= limits[1]:
        return Agreement(outcome="apart", detail=detail)
    return Agreement(outcome="too few seeds to say", detail=detail)


def judge_bound(ours: OurResult, published: PublishedFigure, table: ComparisonTable) -> Agreement:
    """Returns whether our figure agrees with one of which the source only says that it is more or less."""
    is_above = published.bound == "above"
    if is_above and table.metric.counts_steps:
        return judge_late(ours, published)
    if not ours.complete:
        return judge_incomplete(ours, published, table)
    mean = ours.mean
    detail = format_number(mean.mean)
    if ours.seeds < MIN_SEEDS:
        return Agreement(outcome="too few seeds to say", detail=detail)
    if mean.low > published.value if is_above else mean.high < published.value:
        return Agreement(outcome="agrees", detail=detail)
    if mean.high <= published.value if is_above else mean.low >= published.value:
        return Agreement(outcome="apart", detail=detail)
    return Agreement(outcome="too few seeds to say", detail=detail)


def judge_late(ours: OurResult, published: PublishedFigure) -> Agreement:
    """Returns whether our seeds reached the goal only after the number of steps that the source gave up at."""
    early = sum(value <= published.value for value in ours.values)
    if early:
        detail = f"{early} of {pluralize(ours.seeds, 'seed')} by then"
        is_clear = early > ours.seeds / 2 and ours.seeds >= MIN_SEEDS
        return Agreement(outcome="apart" if is_clear else "too few seeds to say", detail=detail)
    if ours.num_diverged:
        detail = f"{ours.num_diverged} of {pluralize(ours.seeds, 'seed')} diverged"
        return Agreement(outcome="too few seeds to say", detail=detail)
    if not ours.complete and ours.budget < published.value:
        return Agreement(outcome="too few steps to tell", detail=f"none by step {format_count(ours.budget)}")
    if ours.seeds < MIN_SEEDS:
        return Agreement(outcome="too few seeds to say", detail="none by then")
    return Agreement(outcome="agrees", detail="none by then")
