"""The summary of a report: the architectures ranked, question by question, and where there is no winner."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.formatting import (
    ABSENT,
    AT_LEAST,
    UNSAID,
    format_count,
    format_estimate,
    format_range,
    join_names,
    pluralize,
    printable,
    within,
)
from analysis.grouping import Row, Section
from analysis.probes.aggregate import SectionResults
from analysis.report.blocks import Block, Cell, Chapter, Column, Heading, Table, Text
from analysis.report.fairness import MACHINE, broken
from analysis.statistics import Estimate, Mean, mean_interval

LEGEND = (
    "By the mean over the seeds, with Student's 95 % interval, of which what lies below 0 steps, or above the whole of "
    "a share, is cut off; for one seed, and where all seeds agree, with the probe's own.",
    "1=: the interval overlaps that of the first, so the two are not told apart.",
    "(1): there is no interval to tell rows apart by.",
    f"{AT_LEAST.strip()}: the measurement ended there.",
)
Ranked = Sequence[tuple[Row, Estimate]]
"""Rows with their numbers, the best mean first."""

Collected = Mapping[str, Sequence[SectionResults]]
"""By probe, a probed section for each section of the report, in its order."""


def chapter(sections: Sequence[Section], collected: Collected) -> Chapter:
    """The summary: a sentence for each question and task, and a table of ranks for each task."""
    several, names = len(sections) > 1, short(sections)
    sentences: dict[Question, list[str]] = {question: [] for question in QUESTIONS}
    blocks: list[Block] = []
    won = ranked = 0
    for place, section in enumerate(sections):
        answers = {question: question.answers(section, place, collected) for question in QUESTIONS}
        for question, answer in answers.items():
            if answer:
                said = sentence(question, answer)
                sentences[question].append(f"On {names[place]}: {said}" if several else said[:1].upper() + said[1:])
            if len(answer) > 1 and not nothing(question, answer):
                ranked += 1
                won += winner(answer)
        found = table(section, {question: answer for question, answer in answers.items() if len(answer) > 1})
        if found is not None:
            blocks += [*([Heading(text=section.title)] if several else []), found]
    texts = [Text(sentences=tuple(said), lead=question.asked) for question, said in sentences.items() if said]
    outline = tally(won, ranked, len(sections))
    if absent := missing(collected, names):
        texts.append(Text(sentences=tuple(absent), lead="Not available."))
    if blocks:
        texts.append(Text(sentences=LEGEND, lead="Ranks."))
    opening = Text(sentences=(outline,), role="summary")
    return Chapter(anchor="ranking", title="Who is best at what", blocks=(opening, *texts, *blocks), outline=outline)


def short(sections: Sequence[Section]) -> list[str]:
    """A name for each section: the task's alone, where that is enough to tell it from the others."""
    tasks = [section.rows[0].experiment.task.name for section in sections]
    return [
        printable(task) if tasks.count(task) == 1 else section.title
        for task, section in zip(tasks, sections, strict=True)
    ]


def tally(won: int, ranked: int, tasks: int) -> str:
    """How many questions have an answer that the intervals allow."""
    if not ranked:
        return "There is nothing to rank: no two rows have a number in common."
    of = f"of {pluralize(ranked, 'ranking')} on {pluralize(tasks, 'task')}"
    if not won:
        return f"None {of} has a winner: in each, intervals overlap that of the first, or there are none."
    return f"{won} {of} {'has' if won == 1 else 'have'} a winner, whose 95 % interval overlaps no other."


def missing(collected: Collected, names: Sequence[str]) -> list[str]:
    """A sentence for each probe that found nothing at all on some tasks."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for probe, sections in collected.items():
        for name, probed in zip(names, sections, strict=True):
            if not probed.rows:
                reasons = " / ".join(dict.fromkeys(reason for _, reason in probed.absent))
                by_reason.setdefault((probe, reasons), []).append(name)
    return [
        f"{probe.replace('_', ' ').capitalize()} on {join_names(found)}: {reasons}."
        for (probe, reasons), found in by_reason.items()
    ]


def span(estimate: Estimate) -> tuple[float, float] | None:
    """The interval, open above where the measurement ended there; `None` where there is none."""
    if not estimate.has_interval:
        return None
    return estimate.low, math.inf if estimate.censored else estimate.high


def near(answer: Ranked) -> list[Row]:
    """The rows that the intervals do not tell from the first, itself left out; also those that have no interval."""
    first = span(answer[0][1])
    rows = []
    for row, estimate in answer[1:]:
        its = span(estimate)
        if first is None or its is None or (its[0] <= first[1] and first[0] <= its[1]):
            rows.append(row)
    return rows


def winner(answer: Ranked) -> bool:
    """Whether the first's interval lies apart from all others."""
    return len(answer) > 1 and answer[0][1].has_interval and not near(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something to rank architectures by. A new one is a line in `QUESTIONS`."""

    asked: str
    best: str
    """What is said of the first: `lstm remembers longest`."""
    short: str
    """The heading of its columns."""
    probe: str = ""
    """Whose number it is; empty for what every run has."""
    number: str = ""
    """The number's name among the probe's findings."""
    of: Callable[[Row], Estimate | None] | None = None
    """The number of a row, where it is no probe's."""
    highest: bool = True
    """Whether the first is the one of the highest number."""
    signed: bool = False
    """Whether the number is 0 where there is nothing of what is asked for, and may lie below."""
    comparable: Callable[[Sequence[Row]], bool] = lambda rows: True
    """Whether the rows may be ranked by it at all."""
    beside: Callable[[Row], str] = lambda row: ""
    """What else is said of the first."""

    def answers(self, section: Section, place: int, collected: Collected) -> list[tuple[Row, Estimate]]:
        """The rows of a section that have the number, the best mean first.

        Args:
            section: the section.
            place: its place in the report.
            collected: what the probes have found.
        """
        if self.of is not None:
            pairs = [(row, self.of(row)) for row in section.rows] if self.comparable(section.rows) else []
        elif self.probe in collected:
            pairs = [(probed.row, probed.metric(self.number)) for probed in collected[self.probe][place].rows]
        else:
            pairs = []
        sign = -1 if self.highest else 1
        known = [(row, estimate) for row, estimate in pairs if estimate is not None]
        return sorted(known, key=lambda pair: (sign * pair[1].value, pair[0].label))


def nothing(question: Question, answer: Ranked) -> bool:
    """Whether there is nothing of what is asked for in any row, or nothing that is certain."""
    if question.signed:
        return all(not estimate.has_interval or estimate.low <= 0 for _, estimate in answer)
    return question.highest and all(estimate.value == 0 for _, estimate in answer)


def sentence(question: Question, answer: Ranked) -> str:
    """Who comes first, and whether the intervals tell it from the others."""
    (best, first), others = answer[0], answer[1:]
    if question.signed and nothing(question, answer):
        values = join_names([f"{row.label} {format_estimate(each)}" for row, each in answer])
        return f"none that the intervals tell from 0: {values}."
    if nothing(question, answer):
        # What was not found may lie anywhere below the smallest that was asked for.
        highest = max((estimate.high for _, estimate in answer if estimate.has_interval), default=0.0)
        none = format_estimate(replace(first, low=0.0 if highest > 0 else math.nan, high=highest))
        return f"the {question.short} of {join_names([row.label for row, _ in answer])} is {none}."
    beside = question.beside(best)
    value = format_estimate(first) + (f", {beside}" if beside else "")
    if not others:
        return f"{best.label} is the only row with this number, {value}."
    said = f"{best.label} {question.best}, {value}"
    if winner(answer):
        side = "above" if question.highest else "below"
        second, its = others[0]
        following = f"the next of which is {second.label}'s, {format_estimate(its)}"
        return f"{said}; its interval lies {side} all others, {following}."
    if not first.has_interval:
        return f"{said}; by one seed and without an interval, so no winner."
    close = [row for row, estimate in others if row in near(answer) and estimate.has_interval]
    unsure = [row.label for row, estimate in others if not estimate.has_interval]
    reasons = []
    if close:
        verb = "intervals of" if len(close) > 1 else "interval of"
        overlap = "overlap" if len(close) > 1 else "overlaps"
        reasons.append(f"the {verb} {join_names([row.label for row in close])} {overlap} that of {best.label}")
    if unsure:
        reasons.append(f"there is no interval for {join_names(unsure)}")
    return f"{said}, but no winner: {', and '.join(reasons)}."


def ranks(answer: Ranked) -> list[str]:
    """`1`, `2`, ... by the mean; `1=` for the first and all whose intervals overlap its own; `(2)` where there is no
    interval to go by."""
    close, first = near(answer), answer[0][1]
    shared = any(row in close and estimate.has_interval for row, estimate in answer)
    found = []
    for index, (row, estimate) in enumerate(answer):
        if not (first.has_interval and estimate.has_interval):
            found.append(f"({index + 1})")
        else:
            found.append("1=" if shared and (not index or row in close) else str(index + 1))
    return found


def table(section: Section, answers: dict[Question, Ranked]) -> Table | None:
    """The ranks and the numbers, a line a row; `None` where there are none."""
    if not answers:
        return None
    columns = [Column(heading="architecture", kind="text")]
    cells: dict[str, list[Cell]] = {row.label: [Cell(text=row.label, look=row.look)] for row in section.rows}
    for question, answer in answers.items():
        unit = answer[0][1].unit
        heading = f"{'mean' if unit in UNSAID else unit}\n[95 %]"
        columns += [Column(heading="rank", group=question.short), Column(heading=heading, group=question.short)]
        places = [ABSENT] * len(answer) if nothing(question, answer) else ranks(answer)
        rank = dict(zip([row.label for row, _ in answer], places, strict=True))
        values = {row.label: format_estimate(estimate, unit=False) for row, estimate in answer}
        for label, line in cells.items():
            first = rank.get(label) in ("1", "1=")
            line += [Cell(text=texts.get(label, ABSENT), strong=first) for texts in (rank, values)]
    return Table(
        caption=f"Ranks on {section.title}",
        columns=tuple(columns),
        lines=tuple(tuple(line) for line in cells.values()),
    )


def estimate(mean: Mean, unit: str) -> Estimate | None:
    """A mean over runs as an estimate; `None` where there is none."""
    if not mean.n:
        return None
    ends = (math.nan, math.nan) if mean.half is None else (mean.low, mean.high)
    low, high = within(unit, np.array(ends))
    return Estimate(value=mean.mean, low=float(low), high=float(high), unit=unit, seeds=mean.n)


def seconds(row: Row) -> Estimate | None:
    """Seconds of a step of training."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return estimate(mean_interval(time for time in times if time is not None), "s")


def size(row: Row) -> str:
    """Parameters and state in words."""
    parameters, state = format_range(row.results("parameters")), format_range(row.results("state_size"))
    batch_size = format_count(row.experiment.budget.batch_size)
    return f"with {parameters} parameters, a state of {state} and batches of {batch_size}"


QUESTIONS: tuple[Question, ...] = (
    Question(
        asked="Who learns best?",
        best="has the lowest test loss",
        short="test loss",
        of=lambda row: estimate(row.test("loss"), ""),
        highest=False,
    ),
    Question(
        asked="Who remembers longest?",
        best="recalls from farthest back",
        short="recall horizon",
        probe="memory_length",
        number="horizon",
    ),
    Question(
        asked="Who holds most of a random past?",
        best="has the largest memory capacity",
        short="memory capacity",
        probe="memory_length",
        number="memory_capacity",
    ),
    Question(
        asked="Who copes with longer sequences?",
        best="stays below the trivial loss on the longest sequences",
        short="extrapolation",
        probe="memory_length",
        number="extrapolation",
    ),
    Question(
        asked="Whose gradient reaches farthest?",
        best="has the gradient that reaches farthest",
        short="gradient reach",
        probe="memory_length",
        number="field_90",
    ),
    Question(
        asked="Who drops what it has put out?",
        best="drops most of what it has put out",
        short="dropped after use",
        probe="discount_dynamics",
        number="dropped_after_use",
    ),
    Question(
        asked="Who forgets on purpose?",
        best="forgets on purpose and keeps what it still needs",
        short="forgets on purpose",
        probe="discount_dynamics",
        number="forgets_on_purpose",
        signed=True,
    ),
    Question(
        asked="Who keeps a signal longest?",
        # Not half of it: of an average, half is gone with the next step, whatever it has learned.
        best="keeps a hundredth of a signal for longest",
        short="1 % is left after",
        probe="signal_survival",
        number="hundredth_left",
    ),
    Question(
        asked="What does a step cost?",
        best="takes the least time for a step of training",
        short="seconds a step",
        of=seconds,
        highest=False,
        comparable=lambda rows: not broken(rows, MACHINE),
        beside=size,
    ),
)
"""In the order of the summary."""
