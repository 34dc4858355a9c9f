"""Whether ours agrees with what is published, in words, by one rule."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.formats import ABSENT, count, listed, number, plural
from analysis.quoted import Quoted
from papers.table import Line, Ours, Table

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


def agreement(line: Line, table: Table) -> str:
    """What is said of one figure at the paper's own scale."""
    ours, theirs = line.ours, line.published
    if theirs is None:
        return ABSENT
    if not ours.seeds:
        return "not run"
    return of_bound(ours, theirs, table) if theirs.bound != "exact" else of_value(ours, theirs, table)


def of_value(ours: Ours, theirs: Quoted, table: Table) -> str:
    """Beside a figure that the source has as a number."""
    if not ours.complete:
        short = table.measure.counts_steps and ours.budget < theirs.value and not ours.values
        return "too few steps to tell" if short else f"no: {len(ours.values)} of {plural(ours.seeds, 'seed')}"
    mean = ours.mean
    if mean.half is None:
        return f"one seed: {apart(mean.mean, theirs.value, table)}"
    # Of one more run, not of the mean: the source has one run, and the mean of many seeds is no run.
    room = mean.half * math.sqrt(mean.n + 1) + theirs.rounding + ours.grain
    if abs(theirs.value - mean.mean) <= room:
        return "within our interval"
    return f"no: {apart(mean.mean, theirs.value, table)}"


def of_bound(ours: Ours, theirs: Quoted, table: Table) -> str:
    """Beside a figure of which the source says only that it was more, or less."""
    if theirs.bound == "above" and table.measure.counts_steps:
        early = [value for value in ours.values if value <= theirs.value]
        if early:
            return f"no: {len(early)} of {plural(ours.seeds, 'seed')} by then"
        if ours.diverged:
            return f"no: {ours.diverged} of {plural(ours.seeds, 'seed')} diverged"
        if not ours.complete and ours.budget < theirs.value:
            return "too few steps to tell"
        return "agrees" if ours.seeds > 1 else "one seed: agrees"
    if not ours.complete:
        # A mean over the others would speak for seeds that failed.
        return f"no: {len(ours.values)} of {plural(ours.seeds, 'seed')}"
    mean, above = ours.mean, theirs.bound == "above"
    if mean.low > theirs.value if above else mean.high < theirs.value:
        return "agrees" if mean.half is not None else "one seed: agrees"
    apart = mean.high <= theirs.value if above else mean.low >= theirs.value
    return "no" if apart else "cannot tell"


def apart(mine: float, theirs: float, table: Table) -> str:
    """How far ours lies from theirs."""
    if not table.measure.less_is_better:
        return f"{number(abs(mine - theirs))} {'above' if mine > theirs else 'below'}"
    return f"{number(mine / theirs)} times theirs" if theirs else f"{number(mine)} against 0"


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


def pairs(table: Table) -> Iterator[Pair]:
    """Every pair of finished lines that the source tells apart."""
    lines = [line for line in table.lines if line.published is not None and line.ours.seeds]
    for one, other in combinations(lines, 2):
        assert one.published is not None
        assert other.published is not None
        if unlearned(one.published, table) and unlearned(other.published, table):
            continue
        theirs = precedes(one.published, other.published, table.measure.less_is_better)
        if theirs:
            better, worse = (one, other) if theirs > 0 else (other, one)
            ours, sure = compared(better.ours, worse.ours, table)
            yield Pair(better=better.architecture, worse=worse.architecture, ours=ours, sure=sure)


def unlearned(figure: Quoted, table: Table) -> bool:
    """Whether a published loss is that of an answer without memory, or worse."""
    trivial = table.published_trivial_loss
    return trivial is not None and figure.value >= UNLEARNED * trivial


def precedes(one: Quoted, other: Quoted, less_is_better: bool) -> int:
    """1 if the first is certainly the better, -1 if it is the worse, 0 if the source does not say."""
    less, more = certainly_less(one, other), certainly_less(other, one)
    return (less - more) * (1 if less_is_better else -1)


def certainly_less(one: Quoted, other: Quoted) -> bool:
    """Whether the first figure is the lower one, whatever was rounded away, and whatever `more than` means."""
    if one.bound == other.bound == "exact":
        # A little more, as neighbours in the last digit touch.
        return other.value - one.value > (one.rounding + other.rounding) * (1 + 1e-9)
    if one.bound == "above" or other.bound == "below":
        return False
    return one.value <= other.value


def compared(one: Ours, other: Ours, table: Table) -> tuple[float, bool]:
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


def verdict(tables: Sequence[Table], full: bool) -> str:
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
        return f"another order ({turned} of {plural(len(found), 'pair')})"
    if not any(pair.sure for pair in found):
        return "no order beyond the intervals"
    of_pairs = f" ({plural(len(found), 'pair')})"
    if all(pair.ours > 0 for pair in found):
        whole = all(pair.sure for pair in found)
        return ("the same order" if whole else "the same order, in part within the intervals") + of_pairs
    return "the same order as far as the intervals tell" + of_pairs


def agree(tables: Sequence[Table]) -> bool:
    """Whether every published figure agrees."""
    said = {agreement(line, table) for table in tables for line in table.lines if line.published is not None}
    return said <= {"within our interval", "agrees"}


def ordering(table: Table) -> str:
    """The order of a table's architectures beside the source's, in a sentence or two."""
    found = list(pairs(table))
    if not found:
        return ""
    same = [pair for pair in found if pair.ours > 0]
    other = [pair for pair in found if pair.ours < 0]
    turned = [pair for pair in other if pair.sure]
    tied = len(found) - len(same) - len(other)
    come = "comes" if len(same) == 1 else "come"
    parts = [f"{count(len(same))} {come} in its order ({sum(pair.sure for pair in same)} beyond the intervals)"]
    if other:
        parts.append(f"{count(len(other))} in the other ({len(turned)} beyond the intervals)")
    if tied:
        parts.append(f"{count(tied)} cannot be told")
    told = f"Of {plural(len(found), 'pair')} of architectures that the source tells apart, {', '.join(parts)}."
    if turned:
        names = listed([f"{pair.worse} before {pair.better}" for pair in turned])
        told += f" The other way round beyond the intervals: {names}."
    return told
