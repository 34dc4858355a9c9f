"""Whether ours agrees with what is published, in words, by one rule."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.figures.learning_curves import finite
from analysis.formatting import ABSENT, format_count, format_number, join_names, pluralize
from analysis.papers.preset import Preset, Scale
from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.published import PublishedFigure
from workbench.results import Run

RULE = (
    "Published figures are single runs. One agrees if it lies, as it was rounded, within the 95 % interval of one "
    "more run of ours (Student's t over the seeds); one that says only more or less than a number agrees if ours does"
    " too. Two architectures come in an order beyond the intervals if the 95 % intervals of their means have no point"
    " in common, or if every seed of one has a number and none of the other, with two each at least. The order is the"
    " source's if no pair comes the other way round, and another if one does so beyond the intervals; where no pair "
    "is beyond them, nothing is said of it. Losses of 95 % of the trivial one and more are not told apart."
)
UNLEARNED = 0.95
"""Share of the trivial loss from which on nothing was learned, and differences say nothing."""


def agreement(line: TableRow, table: ComparisonTable) -> str:
    """What is said of one figure at the paper's own scale."""
    ours, theirs = line.ours, line.published
    if theirs is None:
        return ABSENT
    if not ours.seeds:
        return "not run"
    return of_bound(ours, theirs, table) if theirs.bound != "exact" else of_value(ours, theirs, table)


def of_value(ours: OurResult, theirs: PublishedFigure, table: ComparisonTable) -> str:
    """Beside a figure that the source has as a number."""
    if not ours.complete:
        short = table.measure.counts_steps and ours.budget < theirs.value and not ours.values
        return "too few steps to tell" if short else f"no: {len(ours.values)} of {pluralize(ours.seeds, 'seed')}"
    mean = ours.mean
    if mean.half is None:
        return f"one seed: {intervals_apart(mean.mean, theirs.value, table)}"
    # Of one more run, not of the mean: the source has one run, and the mean of many seeds is no run.
    room = mean.half * math.sqrt(mean.n + 1) + theirs.rounding + ours.grain
    if abs(theirs.value - mean.mean) <= room:
        return "within our interval"
    return f"no: {intervals_apart(mean.mean, theirs.value, table)}"


def of_bound(ours: OurResult, theirs: PublishedFigure, table: ComparisonTable) -> str:
    """Beside a figure of which the source says only that it was more, or less."""
    if theirs.bound == "above" and table.measure.counts_steps:
        early = [value for value in ours.values if value <= theirs.value]
        if early:
            return f"no: {len(early)} of {pluralize(ours.seeds, 'seed')} by then"
        if ours.diverged:
            return f"no: {ours.diverged} of {pluralize(ours.seeds, 'seed')} diverged"
        if not ours.complete and ours.budget < theirs.value:
            return "too few steps to tell"
        return "agrees" if ours.seeds > 1 else "one seed: agrees"
    if not ours.complete:
        # A mean over the others would speak for seeds that failed.
        return f"no: {len(ours.values)} of {pluralize(ours.seeds, 'seed')}"
    mean, above = ours.mean, theirs.bound == "above"
    if mean.low > theirs.value if above else mean.high < theirs.value:
        return "agrees" if mean.half is not None else "one seed: agrees"
    apart = mean.high <= theirs.value if above else mean.low >= theirs.value
    return "no" if apart else "cannot tell"


def intervals_apart(mine: float, theirs: float, table: ComparisonTable) -> str:
    """How far ours lies from theirs."""
    if not table.measure.less_is_better:
        return f"{format_number(abs(mine - theirs))} {'above' if mine > theirs else 'below'}"
    return f"{format_number(mine / theirs)} times theirs" if theirs else f"{format_number(mine)} against 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two architectures that the source tells apart."""

    better: str
    """By the source."""
    worse: str
    ours: float
    """Above 0 where ours has them in that order too, below where it is the other, 0 where it cannot be said."""
    sure: bool
    """Whether ours is so beyond the intervals."""


def pairs(table: ComparisonTable) -> Iterator[Pair]:
    """Every pair of finished lines that the source tells apart."""
    lines = [line for line in table.lines if line.published is not None and line.ours.seeds]
    for one, other in combinations(lines, 2):
        assert one.published is not None
        assert other.published is not None
        if has_not_learned(one.published, table) and has_not_learned(other.published, table):
            continue
        theirs = precedes(one.published, other.published, table.measure.less_is_better)
        if theirs:
            better, worse = (one, other) if theirs > 0 else (other, one)
            ours, sure = describe_comparison(better.ours, worse.ours, table)
            yield Pair(better=better.architecture, worse=worse.architecture, ours=ours, sure=sure)


def has_not_learned(figure: PublishedFigure, table: ComparisonTable) -> bool:
    """Whether a published loss is that of an answer without memory, or worse."""
    trivial = table.published_trivial_loss
    return trivial is not None and figure.value >= UNLEARNED * trivial


def precedes(one: PublishedFigure, other: PublishedFigure, less_is_better: bool) -> int:
    """1 if the first is certainly the better, -1 if it is the worse, 0 if the source does not say."""
    less, more = certainly_less(one, other), certainly_less(other, one)
    return (less - more) * (1 if less_is_better else -1)


def certainly_less(one: PublishedFigure, other: PublishedFigure) -> bool:
    """Whether the first figure is the lower one, whatever was rounded away, and whatever `more than` means."""
    if one.bound == other.bound == "exact":
        # A little more, as neighbours in the last digit touch.
        return other.value - one.value > (one.rounding + other.rounding) * (1 + 1e-9)
    if one.bound == "above" or other.bound == "below":
        return False
    return one.value <= other.value


def describe_comparison(one: OurResult, other: OurResult, table: ComparisonTable) -> tuple[float, bool]:
    """Which is better, as in `Pair.ours`, and whether it is so beyond the intervals."""
    if one.complete and other.complete:
        a, b = one.mean, other.mean
        better = (b.mean - a.mean) * (1 if table.measure.less_is_better else -1)
        apart = max(a.low - b.high, b.low - a.high)
        return better, a.half is not None and b.half is not None and apart > (one.grain + other.grain) / 2
    if one.complete or other.complete:
        none = not other.values if one.complete else not one.values
        return (1.0 if one.complete else -1.0), none and min(one.seeds, other.seeds) > 1
    # Where neither always gets there, the one that does so more often is ahead, and nothing is sure.
    return len(one.values) / one.seeds - len(other.values) / other.seeds, False


def verdict(tables: Sequence[ComparisonTable], full: bool) -> str:
    """A preset's first measure, over all variants, in a few words; agreement is said of the others too."""
    every, tables = tables, [table for table in tables if table.measure == tables[0].measure]
    if not any(line.ours.seeds for table in tables for line in table.lines):
        return "not run"
    if not any(line.published for table in tables for line in table.lines):
        return "nothing published to compare with"
    if full and agree(tables):
        return f"agrees: every figure {'' if agree(every) else 'of its first measure '}within our intervals"
    found = [pair for table in tables for pair in pairs(table)]
    if not found:
        return "too little to compare"
    turned = sum(pair.ours < 0 and pair.sure for pair in found)
    if turned:
        return f"another order ({turned} of {pluralize(len(found), 'pair')})"
    if not any(pair.sure for pair in found):
        return "no order beyond the intervals"
    of_pairs = f" ({pluralize(len(found), 'pair')})"
    if all(pair.ours > 0 for pair in found):
        whole = all(pair.sure for pair in found)
        return ("the same order" if whole else "the same order, in part within the intervals") + of_pairs
    return "the same order as far as the intervals tell" + of_pairs


def agree(tables: Sequence[ComparisonTable]) -> bool:
    """Whether every published figure agrees."""
    said = {agreement(line, table) for table in tables for line in table.lines if line.published is not None}
    return said <= {"within our interval", "agrees"}


def ordering(table: ComparisonTable) -> str:
    """The order of a table's architectures beside the source's, in a sentence or two."""
    found = list(pairs(table))
    if not found:
        return ""
    same = [pair for pair in found if pair.ours > 0]
    other = [pair for pair in found if pair.ours < 0]
    turned = [pair for pair in other if pair.sure]
    tied = len(found) - len(same) - len(other)
    come = "comes" if len(same) == 1 else "come"
    parts = [f"{format_count(len(same))} {come} in its order ({sum(pair.sure for pair in same)} beyond the intervals)"]
    if other:
        parts.append(f"{format_count(len(other))} in the other ({len(turned)} beyond the intervals)")
    if tied:
        parts.append(f"{format_count(tied)} cannot be told")
    told = f"Of {pluralize(len(found), 'pair')} of architectures that the source tells apart, {', '.join(parts)}."
    if turned:
        names = join_names([f"{pair.worse} before {pair.better}" for pair in turned])
        told += f" The other way round beyond the intervals: {names}."
    return told


LATE = 0.2
"""The last part of a run, over which its loss is looked at: whether it still fell."""


def reasons(preset: Preset, scale: Scale, tables: Sequence[ComparisonTable]) -> Iterator[str]:
    """A sentence for each line that disagrees, from its runs; then what the preset says of it."""
    for table in tables:
        turned = {name for pair in pairs(table) if pair.ours < 0 and pair.sure for name in (pair.better, pair.worse)}
        for line in table.lines:
            denied = scale == "full" and agreement(line, table).startswith("no")
            if line.runs and (denied or line.architecture in turned):
                where = f" ({table.variant})" if table.variant else ""
                yield f"{line.architecture}, {table.measure}{where}: {describe_row(line)}"
    yield from preset.found.get(scale, ())


def describe_row(line: TableRow) -> str:
    """What the seeds came to; where not all did, how far each got, and whether it had come to rest."""
    if line.ours.complete:
        each = join_names([f"{value:.6g}" for value in line.ours.values])
        return f"{each} here; the source has one run."
    diverged = [run for run in line.runs if run.diverged]
    lost = [f"{pluralize(len(diverged), 'seed')} diverged"] if diverged else []
    return "; ".join([*lost, *(describe_ending(run) for run in line.runs if not run.diverged)]) + "."


def describe_ending(run: Run) -> str:
    """The lowest validation loss of a run, and how its last part went."""
    seed = f"seed {run.experiment.seed}"
    losses = finite(run, "val/loss")
    if losses is None or len(losses) < 2:
        return f"{seed} has no validation loss to follow"
    lowest = losses.to_numpy().argmin()
    step = format_count(float(losses.index.to_numpy()[lowest]))
    best = f"{seed} had its lowest validation loss, {format_number(losses.iloc[lowest])}, at step {step}"
    late = losses[losses.index >= losses.index[-1] - LATE * losses.index[-1]]
    if len(late) < 2 or late.iloc[0] <= 0:
        return best
    ratio = late.iloc[-1] / late.iloc[0]
    return f"{best}, and its last fifth took the loss to {format_number(ratio)} times what it was"
