"""Answers to questions that rank architectures: their order, and sentences on how far and how surely they differ."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from analysis.comparison.losses import MIN_SEEDS
from analysis.comparison.pairs import display_letters
from analysis.formatting import format_estimate, format_number, format_plain, join_names, pluralize
from analysis.grouping import Row, Section
from analysis.probes.aggregate import SectionResults
from analysis.statistics import Estimate

MAX_NAMED = 4
"""Largest number of rows that a sentence names one by one, where their number would do."""
DIFFERENCE_UNITS = ("share", "R²", "accuracy")
"""Units in which rows are compared by their difference; in others by their ratio."""
RankedRows = Sequence[tuple[Row, Estimate]]
"""Rows with their numbers, the best mean first."""

ResultsByProbe = Mapping[str, Sequence[SectionResults]]
"""Results of each probe for each section of the report, in the report's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """A number that decides among rows which all reach the limit that was tested."""

    metric: str
    """Its name among the probe's metrics."""
    quantity: str
    """In words, as in `the accuracy there`."""
    highest: bool = True
    """Whether the highest number is the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that ranks architectures by one number. A new question is an entry in `QUESTIONS`."""

    text: str
    best_phrase: str
    """Predicate of the first row: `remembers longest`, as in `lstm remembers longest`."""
    quantity: str
    """Name of the number, and heading of its columns."""
    probe: str = ""
    """Probe that measures the number; empty if every run has it."""
    metric: str = ""
    """Name of the number among the probe's metrics."""
    estimates_of: Callable[[Section], RankedRows] | None = None
    """Returns the numbers of the rows, in any order, if they do not come from a probe."""
    sentence_of: Callable[[Section], str] | None = None
    """Returns the answer in words, if another part of the report has it already."""
    letters_of: Callable[[Section], Mapping[str, str]] | None = None
    """Returns the letters of the rows, by their labels, if tests tell rows apart rather than intervals."""
    highest: bool = True
    """Whether the highest number is the best."""
    signed: bool = False
    """Whether 0 means that the property is missing, and the number may be negative."""
    decider: Decider | None = None
    """What decides among rows that all reach the limit that was tested."""
    longer_test: Callable[[Section, float], int | None] = lambda section, limit: None
    """Returns the steps of a test that goes beyond a limit; `None` if there is none."""
    note: Callable[[Row], str] = lambda row: ""
    """Returns a remark on the first row."""

    def answer(self, section: Section, index: int, results: ResultsByProbe) -> list[tuple[Row, Estimate]]:
        """Returns the rows of a section that have the number, the best mean first.

        Args:
            section: a section of the report.
            index: position of the section in the report.
            results: results of the probes.
        """
        if self.estimates_of is not None:
            return rank(self.estimates_of(section), highest=self.highest)
        return rank(self._probed(self.metric, index, results), highest=self.highest)

    def describe(self, answer: RankedRows, section: Section, index: int, results: ResultsByProbe) -> str:
        """Returns the answer in words.

        Args:
            answer: rows of the section, the best mean first; at least one.
            section: as in `answer`.
            index: as in `answer`.
            results: as in `answer`.
        """
        if self.sentence_of is not None:
            return self.sentence_of(section)
        deciding = [] if self.decider is None else self._probed(self.decider.metric, index, results)
        limit = max((estimate.value for _, estimate in answer if estimate.censored), default=None)
        return describe_answer(
            self, answer, deciding=deciding, longer=None if limit is None else self.longer_test(section, limit)
        )

    def _probed(self, metric: str, index: int, results: ResultsByProbe) -> RankedRows:
        rows = results[self.probe][index].rows if self.probe in results else ()
        return [(probed.row, estimate) for probed in rows if (estimate := probed.metric(metric)) is not None]


def rank(pairs: RankedRows, *, highest: bool) -> list[tuple[Row, Estimate]]:
    """Returns rows with their numbers, the best first; equal ones by name."""
    sign = -1 if highest else 1
    return sorted(pairs, key=lambda pair: (sign * pair[1].value, pair[0].label))


def describe_answer(
    question: Question, answer: RankedRows, *, deciding: RankedRows = (), longer: int | None = None
) -> str:
    """Says which row is first, how far the next is behind, and from how many others the intervals tell the first.

    Args:
        question: that is answered.
        answer: rows with their numbers, the best mean first; at least one.
        deciding: the rows' numbers of the question's `decider`, in any order.
        longer: steps of a test that goes beyond the limit of this one.
    """
    if is_empty_answer(question, answer):
        return describe_empty(question, answer)
    at_limit = rows_at_limit(answer)
    if len(at_limit) > 1:
        return describe_limit(question, answer, deciding=deciding, longer=longer)
    (best, first), others = answer[0], answer[1:]
    note = question.note(best)
    value = format_estimate(first) + (f", {note}" if note else "")
    if not others:
        return f"{best.label} is the only row with this number, {value}."
    tied = [row.label for row, estimate in answer if is_equal(estimate, first)]
    if len(tied) == len(answer):
        return f"the {question.quantity} of {join_names(tied)} is the same, {value}."
    if len(tied) > 1:
        second, next_estimate = answer[len(tied)]
        following = describe_next(question, second, first, next_estimate)
        behind = len(answer) - 1 - len(rows_near_first(answer))
        verb = "is" if behind == 1 else "are"
        rest = f"; {behind} of the other {len(answer) - len(tied)} {verb} clearly behind" if behind else ""
        seeds = describe_seeds(answer)
        note = f" ({seeds})" if seeds else ""
        return f"{join_names(tied)} tie for the first place by {question.quantity}, {value}; {following}{rest}{note}."
    second, next_estimate = others[0]
    following = describe_next(question, second, first, next_estimate)
    return f"{best.label} {question.best_phrase}, {value}; {following}; {describe_certainty(answer)}."


def describe_empty(question: Question, answer: RankedRows) -> str:
    """Says that no row has the property that is asked for."""
    if question.signed:
        values = join_names([f"{row.label} {format_estimate(estimate)}" for row, estimate in answer])
        return f"nothing learned yet, as none has an interval above 0: {values}."
    # The true value may lie anywhere below the smallest one that was tested.
    highest = max((estimate.high for _, estimate in answer if estimate.has_interval), default=0.0)
    zero = format_estimate(replace(answer[0][1], low=0.0 if highest > 0 else math.nan, high=highest))
    names = join_names([row.label for row, _ in answer])
    return f"nothing learned yet: the {question.quantity} of {names} is {zero}."


def describe_limit(
    question: Question, answer: RankedRows, *, deciding: RankedRows = (), longer: int | None = None
) -> str:
    """Says which rows reach the limit that was tested, what decides among them, who follows, and what would decide.

    Args:
        question: as in `describe_answer`.
        answer: rows of which several reach the limit.
        deciding: as in `describe_answer`.
        longer: as in `describe_answer`.
    """
    at_limit = rows_at_limit(answer)
    first = answer[0][1]
    limit = format_estimate(replace(first, low=math.nan, high=math.nan, censored=False, seeds_missing=0))
    names = join_names([row.label for row in at_limit])
    rest = [(row, estimate) for row, estimate in answer if row not in at_limit]
    scope = f"both rows reach the limit tested, {limit}" if len(answer) == 2 else f"all reach the limit tested, {limit}"
    if rest:
        scope = f"{len(at_limit)} of {len(answer)} reach the limit tested, {limit}: {names}"
        row, estimate = rest[0]
        behind = f"; then {row.label}, {format_estimate(estimate)}"
        scope += f"{behind}, and {pluralize(len(rest) - 1, 'row')} more" if len(rest) > 1 else behind
    told_apart = False
    if question.decider is not None:
        members = [(row, estimate) for row, estimate in deciding if row in at_limit]
        ranked = rank(members, highest=question.decider.highest)
        told_apart = len(ranked) == len(at_limit) and has_clear_first(ranked)
        scope += describe_decision(question.decider, ranked) if len(ranked) > 1 else ""
    if longer is not None and not told_apart:
        command = f"workbench analyze FOLDER --probes {question.probe} --length {longer}"
        scope += f". A longer test may tell them apart: `{command}`"
    return f"{scope}."


def describe_decision(decider: Decider, ranked: RankedRows) -> str:
    """Says whether a number tells apart the rows that reach a limit, as the continuation of a sentence."""
    (best, first), (second, following) = ranked[0], ranked[1]
    seeds = describe_seeds(ranked)
    if has_clear_first(ranked):
        return (
            f"; {decider.quantity} tells them apart: {best.label} {format_estimate(first)}, then {second.label} "
            f"{format_estimate(following)}{f' ({seeds})' if seeds else ''}"
        )
    last = ranked[-1][1]
    ends = sorted((first.value, last.value))
    values = format_plain(ends[0]) if ends[0] == ends[1] else f"{format_plain(ends[0])} to {format_plain(ends[1])}"
    return f"; {decider.quantity}, {values}, does not tell them apart{f' ({seeds})' if seeds else ''}"


def describe_next(question: Question, row: Row, first: Estimate, estimate: Estimate) -> str:
    """Says how far the next row is behind the first: a ratio, or a difference of shares and of signed numbers."""
    text = f"the next, {row.label}, has {format_estimate(estimate)}"
    if question.signed or estimate.unit in DIFFERENCE_UNITS or min(first.value, estimate.value) <= 0:
        difference = abs(first.value - estimate.value)
        return f"{text}, {format_number(difference)} {'less' if question.highest else 'more'}"
    return f"{text}, {format_number(estimate.value / first.value)} times as much"


def describe_certainty(answer: RankedRows) -> str:
    """Says from how many of the others the intervals tell the first row, and how few seeds that is based on."""
    others = [row for row, _ in answer[1:]]
    seeds = describe_seeds(answer)
    note = f" ({seeds})" if seeds else ""
    if not any(estimate.has_interval for _, estimate in answer):
        return f"there are no intervals to tell them apart by{note}"
    near = rows_near_first(answer)
    if not near:
        whose = "that one" if len(others) == 1 else f"those of all {len(others)} others"
        return f"its interval is apart from {whose}{note}"
    count = pluralize(fewest_seeds(answer), "seed")
    if len(others) == 1:
        return f"they are not told apart with {count}{note}"
    named = f" ({join_names([row.label for row in near])})" if len(near) <= MAX_NAMED else ""
    behind = len(others) - len(near)
    if not behind:
        return f"with {count} it is not told apart from any of the {len(others)} others{note}"
    return (
        f"with {count} it is not told apart from {len(near)} of the {len(others)} others{named}, and "
        f"{behind} {'is' if behind == 1 else 'are'} clearly behind{note}"
    )


def describe_seeds(answer: RankedRows) -> str:
    """Returns `indicative` where a row has too few seeds for more; else nothing."""
    return "indicative" if fewest_seeds(answer) < MIN_SEEDS else ""


def fewest_seeds(answer: RankedRows) -> int:
    """Returns the smallest number of seeds of a row."""
    return min(estimate.seeds for _, estimate in answer)


def is_empty_answer(question: Question, answer: RankedRows) -> bool:
    """Returns whether no row has the property that is asked for, or none has it with certainty."""
    if question.signed:
        return all(not estimate.has_interval or estimate.low <= 0 for _, estimate in answer)
    return question.highest and all(estimate.value == 0 for _, estimate in answer)


def has_clear_first(answer: RankedRows) -> bool:
    """Returns whether the interval of the first row overlaps no other."""
    return len(answer) > 1 and answer[0][1].has_interval and not rows_near_first(answer)


def rows_near_first(answer: RankedRows) -> list[Row]:
    """Returns the other rows that the intervals do not tell from the first, including those without an interval."""
    first = interval_ends(answer[0][1])
    rows = []
    for row, estimate in answer[1:]:
        ends = interval_ends(estimate)
        if first is None or ends is None or (ends[0] <= first[1] and first[0] <= ends[1]):
            rows.append(row)
    return rows


def rows_at_limit(answer: RankedRows) -> list[Row]:
    """Returns the rows all of whose seeds reach the limit that was tested, the largest censored number."""
    if not answer[0][1].censored:
        return []
    return [row for row, estimate in answer if estimate.censored and is_equal(estimate, answer[0][1])]


def is_equal(estimate: Estimate, other: Estimate) -> bool:
    """Returns whether two numbers are equal, but for rounding."""
    return math.isclose(estimate.value, other.value, rel_tol=1e-9) and estimate.censored == other.censored


def interval_ends(estimate: Estimate) -> tuple[float, float] | None:
    """Returns the ends of an interval, infinite above if the measurement was censored; `None` without an interval."""
    if not estimate.has_interval:
        return None
    return estimate.low, math.inf if estimate.censored else estimate.high


def format_ranks(answer: RankedRows, letters: Mapping[str, str] | None = None) -> list[str]:
    """Returns the ranks by the mean with letters, such as `2 ab`: rows that share a letter are not told apart.

    Equal numbers have equal ranks, such as `2=`. Where some row has fewer than four seeds there are no letters, and
    ranks are in brackets.

    Args:
        answer: the rows with their numbers.
        letters: letters by the row's label; by default those of intervals that have no point in common.
    """
    is_indicative = fewest_seeds(answer) < MIN_SEEDS
    shown = [letters.get(row.label, "") for row, _ in answer] if letters else display_letters(intervals_apart(answer))
    ranks = []
    for index, (_, estimate) in enumerate(answer):
        equal = [place for place, (_, other) in enumerate(answer) if is_equal(other, estimate)]
        text = f"{equal[0] + 1}{'=' if len(equal) > 1 else ''}"
        ranks.append(f"({text})" if is_indicative else f"{text} {shown[index]}".strip())
    return ranks


def intervals_apart(answer: RankedRows) -> np.ndarray:
    """Returns which rows have intervals without a point in common, (rows, rows)."""
    ends = [interval_ends(estimate) for _, estimate in answer]
    apart = np.zeros((len(answer), len(answer)), dtype=bool)
    for first, second in combinations(range(len(answer)), 2):
        one, other = ends[first], ends[second]
        is_apart = one is not None and other is not None and (one[1] < other[0] or other[1] < one[0])
        apart[first, second] = apart[second, first] = is_apart
    return apart
