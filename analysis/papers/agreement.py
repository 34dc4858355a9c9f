"""Agreement of our results with published figures, by one rule, in words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.figures.learning_curves import finite_column
from analysis.formatting import ABSENT, format_count, format_number, join_names, pluralize
from analysis.papers.preset import Preset, Scale
from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.published_figures import PublishedFigure
from workbench.results import Run

RULE = (
    "Published figures are single runs. One agrees if it lies, as it was rounded, within the 95 % interval of one "
    "more run of ours (Student's t over the seeds); one that says only more or less than a number agrees if ours does"
    " too. Two architectures come in an order beyond the intervals if the 95 % intervals of their means have no point"
    " in common, or if every seed of one has a number and none of the other, with two each at least. The order is the"
    " source's if no pair comes the other way round, and another if one does so beyond the intervals; where no pair "
    "is beyond them, nothing is said of it. Losses of 95 % of the trivial one and more are not told apart."
)
"""The rule, as every page prints it."""
UNLEARNED = 0.95
"""Share of the trivial loss from which a model has learned nothing, so that differences mean nothing."""
LATE_SHARE = 0.2
"""The last part of a run, whose change of the loss is reported."""


def describe_agreement(row: TableRow, table: ComparisonTable) -> str:
    """Returns whether one figure at the paper's own scale agrees, in a few words."""
    ours, published = row.ours, row.published
    if published is None:
        return ABSENT
    if not ours.seeds:
        return "not run"
    if published.bound == "exact":
        return compare_with_value(ours, published, table)
    return compare_with_bound(ours, published, table)


def compare_with_value(ours: OurResult, published: PublishedFigure, table: ComparisonTable) -> str:
    """Returns whether our result agrees with a figure that the source reports as a number."""
    if not ours.complete:
        too_short = table.metric.counts_steps and ours.budget < published.value and not ours.values
        return "too few steps to tell" if too_short else f"no: {len(ours.values)} of {pluralize(ours.seeds, 'seed')}"
    mean = ours.mean
    if mean.half_width is None:
        return f"one seed: {describe_distance(mean.mean, published.value, table)}"
    # The interval of one more run, not of the mean: the source has one run, and the mean of many seeds is not a run.
    margin = mean.half_width * math.sqrt(mean.n + 1) + published.rounding + ours.resolution
    if abs(published.value - mean.mean) <= margin:
        return "within our interval"
    return f"no: {describe_distance(mean.mean, published.value, table)}"


def compare_with_bound(ours: OurResult, published: PublishedFigure, table: ComparisonTable) -> str:
    """Returns whether our result agrees with a figure that the source only bounds from above or below."""
    is_above = published.bound == "above"
    if is_above and table.metric.counts_steps:
        early = [value for value in ours.values if value <= published.value]
        if early:
            return f"no: {len(early)} of {pluralize(ours.seeds, 'seed')} by then"
        if ours.num_diverged:
            return f"no: {ours.num_diverged} of {pluralize(ours.seeds, 'seed')} diverged"
        if not ours.complete and ours.budget < published.value:
            return "too few steps to tell"
        return "agrees" if ours.seeds > 1 else "one seed: agrees"
    if not ours.complete:
        # A mean over the other seeds would ignore those that failed.
        return f"no: {len(ours.values)} of {pluralize(ours.seeds, 'seed')}"
    mean = ours.mean
    if mean.low > published.value if is_above else mean.high < published.value:
        return "agrees" if mean.half_width is not None else "one seed: agrees"
    contradicts = mean.high <= published.value if is_above else mean.low >= published.value
    return "no" if contradicts else "cannot tell"


def describe_distance(ours: float, published: float, table: ComparisonTable) -> str:
    """Returns how far our number is from the published one: a difference if more is better, else a ratio."""
    if not table.metric.less_is_better:
        return f"{format_number(abs(ours - published))} {'above' if ours > published else 'below'}"
    return f"{format_number(ours / published)} times theirs" if published else f"{format_number(ours)} against 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two architectures that the source tells apart."""

    better: str
    """The better one by the source."""
    worse: str
    ours: float
    """Positive if our results have the same order, negative if they have the opposite one, 0 if they have none."""
    beyond_intervals: bool
    """True if our order is beyond the intervals."""


def pairs_told_apart(table: ComparisonTable) -> Iterator[Pair]:
    """Yields every pair of architectures with results that the source tells apart."""
    rows = [row for row in table.rows if row.published is not None and row.ours.seeds]
    for first, second in combinations(rows, 2):
        assert first.published is not None
        assert second.published is not None
        if has_not_learned(first.published, table) and has_not_learned(second.published, table):
            continue
        order = compare_published(first.published, second.published, table.metric.less_is_better)
        if order:
            better, worse = (first, second) if order > 0 else (second, first)
            ours, beyond_intervals = compare_results(better.ours, worse.ours, table)
            yield Pair(
                better=better.architecture, worse=worse.architecture, ours=ours, beyond_intervals=beyond_intervals
            )


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


def compare_results(first: OurResult, second: OurResult, table: ComparisonTable) -> tuple[float, bool]:
    """Compares two of our results.

    Returns:
        Their order, positive if the first is better, as in `Pair.ours`; and whether it is beyond the intervals.
    """
    if first.complete and second.complete:
        a, b = first.mean, second.mean
        order = (b.mean - a.mean) * (1 if table.metric.less_is_better else -1)
        gap = max(a.low - b.high, b.low - a.high)
        have_intervals = a.half_width is not None and b.half_width is not None
        return order, have_intervals and gap > (first.resolution + second.resolution) / 2
    if first.complete or second.complete:
        other_has_none = not second.values if first.complete else not first.values
        return (1.0 if first.complete else -1.0), other_has_none and min(first.seeds, second.seeds) > 1
    # If neither always reaches the goal, the one that does so more often is better, but never certainly.
    return len(first.values) / first.seeds - len(second.values) / second.seeds, False


def verdict(tables: Sequence[ComparisonTable], full: bool) -> str:
    """Returns the verdict on a preset, in a few words.

    It is about the first metric, over all variants; only agreement is mentioned for the others too.

    Args:
        tables: the tables of the preset.
        full: whether they are at the paper's own scale.
    """
    all_tables, tables = tables, [table for table in tables if table.metric == tables[0].metric]
    if not any(row.ours.seeds for table in tables for row in table.rows):
        return "not run"
    if not any(row.published for table in tables for row in table.rows):
        return "nothing published to compare with"
    if full and all_agree(tables):
        scope = "" if all_agree(all_tables) else "of its first measure "
        return f"agrees: every figure {scope}within our intervals"
    pairs = [pair for table in tables for pair in pairs_told_apart(table)]
    if not pairs:
        return "too little to compare"
    num_reversed = sum(pair.ours < 0 and pair.beyond_intervals for pair in pairs)
    if num_reversed:
        return f"another order ({num_reversed} of {pluralize(len(pairs), 'pair')})"
    if not any(pair.beyond_intervals for pair in pairs):
        return "no order beyond the intervals"
    num_pairs = f" ({pluralize(len(pairs), 'pair')})"
    if all(pair.ours > 0 for pair in pairs):
        all_beyond = all(pair.beyond_intervals for pair in pairs)
        return ("the same order" if all_beyond else "the same order, in part within the intervals") + num_pairs
    return "the same order as far as the intervals tell" + num_pairs


def all_agree(tables: Sequence[ComparisonTable]) -> bool:
    """Returns whether every published figure agrees."""
    answers = {describe_agreement(row, table) for table in tables for row in table.rows if row.published is not None}
    return answers <= {"within our interval", "agrees"}


def describe_order(table: ComparisonTable) -> str:
    """Returns the order of a table's architectures beside the source's, in a sentence or two; nothing without pairs."""
    pairs = list(pairs_told_apart(table))
    if not pairs:
        return ""
    same = [pair for pair in pairs if pair.ours > 0]
    opposite = [pair for pair in pairs if pair.ours < 0]
    reversed_pairs = [pair for pair in opposite if pair.beyond_intervals]
    num_tied = len(pairs) - len(same) - len(opposite)
    verb = "comes" if len(same) == 1 else "come"
    same_beyond = sum(pair.beyond_intervals for pair in same)
    parts = [f"{format_count(len(same))} {verb} in its order ({same_beyond} beyond the intervals)"]
    if opposite:
        parts.append(f"{format_count(len(opposite))} in the other ({len(reversed_pairs)} beyond the intervals)")
    if num_tied:
        parts.append(f"{format_count(num_tied)} cannot be told")
    text = f"Of {pluralize(len(pairs), 'pair')} of architectures that the source tells apart, {', '.join(parts)}."
    if reversed_pairs:
        names = join_names([f"{pair.worse} before {pair.better}" for pair in reversed_pairs])
        text += f" The other way round beyond the intervals: {names}."
    return text


def disagreement_reasons(preset: Preset, scale: Scale, tables: Sequence[ComparisonTable]) -> Iterator[str]:
    """Yields a sentence on the runs of each row that disagrees; then the findings that the preset has on record."""
    for table in tables:
        reversed_pairs = [pair for pair in pairs_told_apart(table) if pair.ours < 0 and pair.beyond_intervals]
        reversed_names = {name for pair in reversed_pairs for name in (pair.better, pair.worse)}
        for row in table.rows:
            disagrees = scale == "full" and describe_agreement(row, table).startswith("no")
            if row.runs and (disagrees or row.architecture in reversed_names):
                variant = f" ({table.variant})" if table.variant else ""
                yield f"{row.architecture}, {table.metric}{variant}: {describe_row(row)}"
    yield from preset.found.get(scale, ())


def describe_row(row: TableRow) -> str:
    """Returns the values of all seeds; if some have none, the progress of each run and how its loss ended."""
    if row.ours.complete:
        values = join_names([f"{value:.6g}" for value in row.ours.values])
        return f"{values} here; the source has one run."
    num_diverged = sum(run.diverged for run in row.runs)
    parts = [f"{pluralize(num_diverged, 'seed')} diverged"] if num_diverged else []
    return "; ".join([*parts, *(describe_ending(run) for run in row.runs if not run.diverged)]) + "."


def describe_ending(run: Run) -> str:
    """Returns the lowest validation loss of a run, and how its last part changed the loss."""
    seed = f"seed {run.experiment.seed}"
    losses = finite_column(run, "val/loss")
    if losses is None or len(losses) < 2:
        return f"{seed} has no validation loss to follow"
    lowest = losses.to_numpy().argmin()
    step = format_count(float(losses.index.to_numpy()[lowest]))
    best = f"{seed} had its lowest validation loss, {format_number(losses.iloc[lowest])}, at step {step}"
    late = losses[losses.index >= losses.index[-1] - LATE_SHARE * losses.index[-1]]
    if len(late) < 2 or late.iloc[0] <= 0:
        return best
    ratio = late.iloc[-1] / late.iloc[0]
    return f"{best}, and its last fifth took the loss to {format_number(ratio)} times what it was"
