"""Order of our results beside the source's: the pairs that it tells apart, and a rank correlation over them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.comparison.intervals import LEAST_LOSS
from analysis.comparison.losses import MIN_SEEDS, UNLEARNED
from analysis.comparison.pairs import SIGNIFICANCE, Groups, fewest_discoveries, holm
from analysis.comparison.solve_times import log_rank_p
from analysis.formatting import format_count, join_names, pluralize
from analysis.papers.equivalence import as_loss
from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.published_figures import PublishedFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two architectures that the source tells apart."""

    better: str
    """The better one by the source."""
    worse: str
    ours: int
    """1 if our results have the same order, -1 if they have the opposite one, 0 if they have none."""
    told_apart: bool
    """True if our results are told apart, by a test that is corrected for all pairs that the source tells apart."""


def pairs_of_source(table: ComparisonTable) -> list[tuple[TableRow, TableRow]]:
    """Returns the pairs of rows with results that the source tells apart, the better one by the source first.

    There are none if the task was run over other lengths: the RWA's author has the LSTM first over 100 steps, and last
    over 1,000.
    """
    if not table.same_task:
        return []
    pairs = []
    for first, second in combinations([row for row in table.rows if row.published and row.ours.seeds], 2):
        assert first.published is not None
        assert second.published is not None
        if has_not_learned(first.published, table) and has_not_learned(second.published, table):
            continue
        order = compare_published(first.published, second.published, table.metric.less_is_better)
        if order:
            pairs.append((first, second) if order > 0 else (second, first))
    return pairs


def pairs_told_apart(table: ComparisonTable) -> Iterator[Pair]:
    """Yields every pair of architectures with results that the source tells apart, with our order."""
    pairs = pairs_of_source(table)
    corrected = holm([pair_p(better.ours, worse.ours, table) for better, worse in pairs])
    for (better, worse), p in zip(pairs, corrected, strict=True):
        yield Pair(
            better=better.architecture,
            worse=worse.architecture,
            ours=compare_centers(center(better.ours, table), center(worse.ours, table)),
            told_apart=bool(p <= SIGNIFICANCE),
        )


def center(ours: OurResult, table: ComparisonTable) -> float:
    """Returns what a result is ordered by, less being better: the median of steps, or the mean of logs.

    Infinite if half of the seeds or more did not reach the goal, or some diverged.
    """
    if table.metric.counts_steps:
        steps = [*ours.values, *[math.inf] * (ours.seeds - len(ours.values))]
        return float(np.median(steps))
    return float(np.mean(logs_of(ours, table))) if ours.complete else math.inf


def compare_centers(better: float, worse: float) -> int:
    """Returns 1 if the first number is the smaller one, -1 if the second is, 0 if they are equal."""
    return int(worse > better) - int(worse < better)


def logs_of(ours: OurResult, table: ComparisonTable) -> np.ndarray:
    """Returns the logarithms of a result's values, less being better, (seeds,)."""
    # Of so many answers, none wrong is less than one wrong, and no more can be told.
    floor = max(ours.resolution / 2, 1e-6)
    return np.log(np.maximum([as_loss(value, table, floor) for value in ours.values], LEAST_LOSS))


def pair_p(first: OurResult, second: OurResult, table: ComparisonTable) -> float:
    """Returns the p-value of two results: the log-rank test of steps, Welch's of the logarithms of other metrics.

    1 where there is no test: with fewer than four seeds, or if the difference is within the resolution.
    """
    if min(first.seeds, second.seeds) < MIN_SEEDS:
        return 1.0
    if table.metric.counts_steps:
        gap = abs(float(np.median(_steps(first))) - float(np.median(_steps(second))))
        if gap <= (first.resolution + second.resolution) / 2:
            return 1.0
        p = log_rank_p(first.censored_steps, second.censored_steps, budget=float(max(first.budget, second.budget)))
        return 1.0 if p is None else p
    if not (first.complete and second.complete):
        return 1.0
    p = Groups.of([logs_of(first, table), logs_of(second, table)]).difference(0, 1).p
    return 1.0 if p is None else p


def _steps(ours: OurResult) -> list[float]:
    """Returns the step of each seed, the budget for those that have not reached the goal."""
    return [ours.budget if step is None else step for step in ours.censored_steps]


def has_not_learned(figure: PublishedFigure, table: ComparisonTable) -> bool:
    """Returns whether a published loss is that of an answer without memory, or worse."""
    trivial = table.published_trivial_loss
    return trivial is not None and figure.value >= UNLEARNED * trivial


def compare_published(first: PublishedFigure, second: PublishedFigure, less_is_better: bool) -> int:
    """Returns 1 if the first figure is certainly better, -1 if it is certainly worse, else 0."""
    less, more = is_certainly_less(first, second), is_certainly_less(second, first)
    return (less - more) * (1 if less_is_better else -1)


def is_certainly_less(first: PublishedFigure, second: PublishedFigure) -> bool:
    """Returns whether the first figure is the smaller one, whatever the rounding and the bounds."""
    if first.bound == second.bound == "exact":
        # With a tolerance, as neighbours in the last digit touch.
        return second.value - first.value > (first.rounding + second.rounding) * (1 + 1e-9)
    if first.bound == "above" or second.bound == "below":
        return False
    return first.value <= second.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Agreement of two orders, from -1 to 1."""

    value: float
    low: float | None
    """The lower end of the 95 % interval; `None` if some row has fewer than four seeds."""
    high: float | None
    pairs: int
    """The number of pairs that the source tells apart."""

    def __str__(self) -> str:
        """Formats the correlation with its interval."""
        ends = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{ends}"


def rank_correlation(tables: Sequence[ComparisonTable]) -> RankCorrelation | None:
    """Returns the correlation of our order with the source's over the pairs that it tells apart (Somers 1962, d).

    It is the share of pairs in the source's order less the share in the opposite one. Its interval follows from how
    many of the pairs have either order for certain (`fewest_discoveries`, with half of the error on either side): all
    others may be as the source has them, or the other way round. A bootstrap of the seeds would be too sure: its
    samples shrink differences of rows that are close, and it holds the true correlation in a third of cases only.

    Returns:
        `None` if the source tells no pair apart of those that were run.
    """
    pairs = [(table, *pair) for table in tables for pair in pairs_of_source(table)]
    if not pairs:
        return None
    orders = np.array([compare_centers(center(a.ours, table), center(b.ours, table)) for table, a, b in pairs])
    value, count = float(orders.mean()), len(pairs)
    if any(min(a.ours.seeds, b.ours.seeds) < MIN_SEEDS for _, a, b in pairs):
        return RankCorrelation(value=value, low=None, high=None, pairs=count)
    # One-sided: in the order that we have half of the two-sided p-value, in the other one the rest.
    halves = np.array([pair_p(a.ours, b.ours, table) for table, a, b in pairs]) / 2
    same, opposite = (
        fewest_discoveries(np.where(orders == sign, halves, 1 - halves), SIGNIFICANCE / 2) for sign in (1, -1)
    )
    low, high = 2 * same / count - 1, 1 - 2 * opposite / count
    return RankCorrelation(value=value, low=min(low, value), high=max(high, value), pairs=count)


def describe_order(table: ComparisonTable) -> str:
    """Returns the order of a table's architectures beside the source's, in a sentence or two; nothing without pairs."""
    if not table.same_task and table.source is not None:
        return "The source's figures are of other sequences than those here, so that no order is compared."
    pairs, correlation = list(pairs_told_apart(table)), rank_correlation([table])
    if correlation is None:
        return ""
    same = [pair for pair in pairs if pair.ours > 0]
    opposite = [pair for pair in pairs if pair.ours < 0]
    parts = [
        f"{format_count(len(same))} {'comes' if len(same) == 1 else 'come'} in its order "
        f"({sum(pair.told_apart for pair in same)} told apart here)"
    ]
    if opposite:
        told = sum(pair.told_apart for pair in opposite)
        parts.append(f"{format_count(len(opposite))} in the other ({told} told apart here)")
    if tied := len(pairs) - len(same) - len(opposite):
        parts.append(f"{format_count(tied)} {'is' if tied == 1 else 'are'} equal here")
    text = (
        f"Of {pluralize(len(pairs), 'pair')} of architectures that the source tells apart, {', '.join(parts)}: rank "
        f"correlation {correlation}."
    )
    if names := [f"{pair.worse} before {pair.better}" for pair in opposite if pair.told_apart]:
        text += f" The other way round, told apart: {join_names(names)}."
    if not can_tell_apart(table, len(pairs)):
        text += " So few seeds can tell no pair apart, however far apart they are."
    return text


def can_tell_apart(table: ComparisonTable, count: int) -> bool:
    """Returns whether the test could tell one of so many pairs apart: of n and m seeds, one order in (n + m over n).

    The log-rank test is one of ranks: its p-value is no less than twice that, whatever the steps are.
    """
    seeds = [(better.ours.seeds, worse.ours.seeds) for better, worse in pairs_of_source(table)]
    tested = [pair for pair in seeds if min(pair) >= MIN_SEEDS]
    if not tested or not table.metric.counts_steps:
        return bool(tested)
    return min(2 / math.comb(first + second, first) for first, second in tested) * count <= SIGNIFICANCE
