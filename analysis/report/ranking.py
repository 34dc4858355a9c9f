"""Ranking chapter: the architectures ranked question by question, and where there is no winner."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.formatting import (
    ABSENT,
    AT_LEAST,
    HIDDEN_UNITS,
    clip_to_unit_range,
    format_count,
    format_estimate,
    format_range,
    join_names,
    make_printable,
    pluralize,
)
from analysis.grouping import Row, Section
from analysis.probes.aggregate import SectionResults
from analysis.report.blocks import Block, Cell, Chapter, Column, Heading, Table, Text
from analysis.report.fairness import MACHINE_RULES, broken_rules
from analysis.statistics import Estimate, Mean, mean_interval

RANK_LEGEND = (
    "By the mean over the seeds, with Student's 95 % interval, cut off below 0 steps and above a share of 1; for one "
    "seed, and if all seeds agree, with the probe's own interval.",
    "1=: the interval overlaps that of the first, so the two cannot be told apart.",
    "(1): there is no interval to tell rows apart by.",
    f"{AT_LEAST.strip()}: the measurement ended there.",
)
RankedRows = Sequence[tuple[Row, Estimate]]
"""Rows with their numbers, the best mean first."""

ResultsByProbe = Mapping[str, Sequence[SectionResults]]
"""Results of each probe for each section of the report, in the report's order."""


def chapter(sections: Sequence[Section], results: ResultsByProbe) -> Chapter:
    """Returns the chapter: a sentence for each question and task, and a table of ranks for each task."""
    several, titles = len(sections) > 1, short_titles(sections)
    sentences: dict[Question, list[str]] = {question: [] for question in QUESTIONS}
    blocks: list[Block] = []
    won = ranked = 0
    for index, section in enumerate(sections):
        answers = {question: question.answer(section, index, results) for question in QUESTIONS}
        for question, answer in answers.items():
            if answer:
                text = describe_answer(question, answer)
                sentences[question].append(f"On {titles[index]}: {text}" if several else text[:1].upper() + text[1:])
            if len(answer) > 1 and not is_empty_answer(question, answer):
                ranked += 1
                won += has_winner(answer)
        table = ranks_table(section, {question: answer for question, answer in answers.items() if len(answer) > 1})
        if table is not None:
            blocks += [*([Heading(text=section.title)] if several else []), table]
    texts = [Text(sentences=tuple(texts), lead=question.text) for question, texts in sentences.items() if texts]
    outline = describe_tally(won, ranked, len(sections))
    if unavailable := describe_unavailable(results, titles):
        texts.append(Text(sentences=tuple(unavailable), lead="Not available."))
    if blocks:
        texts.append(Text(sentences=RANK_LEGEND, lead="Ranks."))
    opening = Text(sentences=(outline,), role="summary")
    return Chapter(anchor="ranking", title="Who is best at what", blocks=(opening, *texts, *blocks), outline=outline)


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
    estimate_of: Callable[[Row], Estimate | None] | None = None
    """Returns the number of a row, if it does not come from a probe."""
    highest: bool = True
    """Whether the highest number is the best."""
    signed: bool = False
    """Whether 0 means that the property is missing, and the number may be negative."""
    comparable: Callable[[Sequence[Row]], bool] = lambda rows: True
    """Returns whether the rows may be ranked by the number."""
    note: Callable[[Row], str] = lambda row: ""
    """Returns a remark on the first row."""

    def answer(self, section: Section, index: int, results: ResultsByProbe) -> list[tuple[Row, Estimate]]:
        """Returns the rows of a section that have the number, the best mean first.

        Args:
            section: a section of the report.
            index: position of the section in the report.
            results: results of the probes.
        """
        if self.estimate_of is not None:
            pairs = [(row, self.estimate_of(row)) for row in section.rows] if self.comparable(section.rows) else []
        elif self.probe in results:
            pairs = [(probed.row, probed.metric(self.metric)) for probed in results[self.probe][index].rows]
        else:
            pairs = []
        sign = -1 if self.highest else 1
        answer = [(row, estimate) for row, estimate in pairs if estimate is not None]
        return sorted(answer, key=lambda pair: (sign * pair[1].value, pair[0].label))


def short_titles(sections: Sequence[Section]) -> list[str]:
    """Returns a title for each section: only the task's name, if that tells the section from the others."""
    tasks = [section.rows[0].experiment.task.name for section in sections]
    return [
        make_printable(task) if tasks.count(task) == 1 else section.title
        for task, section in zip(tasks, sections, strict=True)
    ]


def describe_tally(won: int, ranked: int, tasks: int) -> str:
    """Says how many rankings have a winner.

    Args:
        won: number of rankings with a winner.
        ranked: number of rankings.
        tasks: number of tasks that they are on.
    """
    if not ranked:
        return "There is nothing to rank: no two rows have a number in common."
    rankings = f"of {pluralize(ranked, 'ranking')} on {pluralize(tasks, 'task')}"
    if not won:
        return f"None {rankings} has a winner: in each, intervals overlap that of the first, or there are none."
    return f"{won} {rankings} {'has' if won == 1 else 'have'} a winner, whose 95 % interval overlaps no other."


def describe_unavailable(results: ResultsByProbe, titles: Sequence[str]) -> list[str]:
    """Returns a sentence for each probe that has no results at all on some tasks, with the reasons."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for probe, sections in results.items():
        for title, section in zip(titles, sections, strict=True):
            if not section.rows:
                reasons = " / ".join(dict.fromkeys(reason for _, reason in section.absent))
                by_reason.setdefault((probe, reasons), []).append(title)
    return [
        f"{probe.replace('_', ' ').capitalize()} on {join_names(affected)}: {reasons}."
        for (probe, reasons), affected in by_reason.items()
    ]


def describe_answer(question: Question, answer: RankedRows) -> str:
    """Names the first row, and says whether the intervals tell it from the others."""
    (best, first), others = answer[0], answer[1:]
    if question.signed and is_empty_answer(question, answer):
        values = join_names([f"{row.label} {format_estimate(estimate)}" for row, estimate in answer])
        return f"none whose interval lies above 0: {values}."
    if is_empty_answer(question, answer):
        # The true value may lie anywhere below the smallest one that was tested.
        highest = max((estimate.high for _, estimate in answer if estimate.has_interval), default=0.0)
        zero = format_estimate(replace(first, low=0.0 if highest > 0 else math.nan, high=highest))
        return f"the {question.quantity} of {join_names([row.label for row, _ in answer])} is {zero}."
    note = question.note(best)
    value = format_estimate(first) + (f", {note}" if note else "")
    if not others:
        return f"{best.label} is the only row with this number, {value}."
    sentence = f"{best.label} {question.best_phrase}, {value}"
    if has_winner(answer):
        side = "above" if question.highest else "below"
        second, second_estimate = others[0]
        following = f"the next of which is {second.label}'s, {format_estimate(second_estimate)}"
        return f"{sentence}; its interval lies {side} all others, {following}."
    if not first.has_interval:
        return f"{sentence}; by one seed and without an interval, so no winner."
    near = [row.label for row, estimate in others if row in rows_near_first(answer) and estimate.has_interval]
    without_interval = [row.label for row, estimate in others if not estimate.has_interval]
    reasons = []
    if near:
        noun = "intervals of" if len(near) > 1 else "interval of"
        verb = "overlap" if len(near) > 1 else "overlaps"
        reasons.append(f"the {noun} {join_names(near)} {verb} that of {best.label}")
    if without_interval:
        reasons.append(f"there is no interval for {join_names(without_interval)}")
    return f"{sentence}, but no winner: {', and '.join(reasons)}."


def is_empty_answer(question: Question, answer: RankedRows) -> bool:
    """Returns whether no row has the property that is asked for, or none has it with certainty."""
    if question.signed:
        return all(not estimate.has_interval or estimate.low <= 0 for _, estimate in answer)
    return question.highest and all(estimate.value == 0 for _, estimate in answer)


def has_winner(answer: RankedRows) -> bool:
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


def interval_ends(estimate: Estimate) -> tuple[float, float] | None:
    """Returns the ends of an interval, infinite above if the measurement was censored; `None` without an interval."""
    if not estimate.has_interval:
        return None
    return estimate.low, math.inf if estimate.censored else estimate.high


def format_ranks(answer: RankedRows) -> list[str]:
    """Returns the ranks by the mean: `1`, `2`, ...

    The first row and all whose intervals overlap its interval have the rank `1=`; a rank without an interval to tell
    the row from the first is in brackets, as in `(2)`.
    """
    near, first = rows_near_first(answer), answer[0][1]
    shared = any(row in near and estimate.has_interval for row, estimate in answer)
    ranks = []
    for index, (row, estimate) in enumerate(answer):
        if not (first.has_interval and estimate.has_interval):
            ranks.append(f"({index + 1})")
        else:
            ranks.append("1=" if shared and (not index or row in near) else str(index + 1))
    return ranks


def ranks_table(section: Section, answers: dict[Question, RankedRows]) -> Table | None:
    """Returns the rank and the number of each row for each question; `None` without questions."""
    if not answers:
        return None
    columns = [Column(heading="architecture", kind="text")]
    cells = {row.label: [Cell(text=row.label, line_style=row.line_style)] for row in section.rows}
    for question, answer in answers.items():
        unit = answer[0][1].unit
        heading = f"{'mean' if unit in HIDDEN_UNITS else unit}\n[95 %]"
        columns += [Column(heading="rank", group=question.quantity), Column(heading=heading, group=question.quantity)]
        ranks = [ABSENT] * len(answer) if is_empty_answer(question, answer) else format_ranks(answer)
        rank_of = dict(zip([row.label for row, _ in answer], ranks, strict=True))
        value_of = {row.label: format_estimate(estimate, show_unit=False) for row, estimate in answer}
        for label, row_cells in cells.items():
            first = rank_of.get(label) in ("1", "1=")
            row_cells += [Cell(text=texts.get(label, ABSENT), strong=first) for texts in (rank_of, value_of)]
    return Table(
        caption=f"Ranks on {section.title}",
        columns=tuple(columns),
        rows=tuple(tuple(row_cells) for row_cells in cells.values()),
    )


def mean_estimate(mean: Mean, unit: str) -> Estimate | None:
    """Returns a mean over runs as an estimate; `None` if no run has the value."""
    if not mean.n:
        return None
    ends = (math.nan, math.nan) if mean.half_width is None else (mean.low, mean.high)
    low, high = clip_to_unit_range(unit, np.array(ends))
    return Estimate(value=mean.mean, low=float(low), high=float(high), unit=unit, seeds=mean.n)


def seconds_per_step(row: Row) -> Estimate | None:
    """Returns the seconds of a training step over the runs that have a timing."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return mean_estimate(mean_interval(time for time in times if time is not None), "s")


def describe_size(row: Row) -> str:
    """Describes the parameters, the state and the batches of a row."""
    parameters, state = format_range(row.result_values("parameters")), format_range(row.result_values("state_size"))
    batch_size = format_count(row.experiment.budget.batch_size)
    return f"with {parameters} parameters, a state of {state} and batches of {batch_size}"


QUESTIONS: tuple[Question, ...] = (
    Question(
        text="Who learns best?",
        best_phrase="has the lowest test loss",
        quantity="test loss",
        estimate_of=lambda row: mean_estimate(row.test_mean("loss"), ""),
        highest=False,
    ),
    Question(
        text="Who remembers longest?",
        best_phrase="recalls from farthest back",
        quantity="recall horizon",
        probe="memory_length",
        metric="horizon",
    ),
    Question(
        text="Who holds most of a random past?",
        best_phrase="has the largest memory capacity",
        quantity="memory capacity",
        probe="memory_length",
        metric="memory_capacity",
    ),
    Question(
        text="Who copes with longer sequences?",
        best_phrase="stays below the trivial loss on the longest sequences",
        quantity="extrapolation",
        probe="memory_length",
        metric="extrapolation",
    ),
    Question(
        text="Whose gradient reaches farthest?",
        best_phrase="has the gradient that reaches farthest",
        quantity="gradient reach",
        probe="memory_length",
        metric="field_90",
    ),
    Question(
        text="Who drops what it has already output?",
        best_phrase="drops most of what it has already output",
        quantity="dropped after use",
        probe="discount_dynamics",
        metric="dropped_after_use",
    ),
    Question(
        text="Who forgets on purpose?",
        best_phrase="forgets on purpose and keeps what it still needs",
        quantity="forgets on purpose",
        probe="discount_dynamics",
        metric="forgets_on_purpose",
        signed=True,
    ),
    Question(
        text="Who keeps a signal longest?",
        # A hundredth, not half: an average loses half of a signal with the next step, whatever it has learned.
        best_phrase="keeps a hundredth of a signal for longest",
        quantity="1 % is left after",
        probe="signal_survival",
        metric="hundredth_left",
    ),
    Question(
        text="What does a step cost?",
        best_phrase="takes the least time for a step of training",
        quantity="seconds a step",
        estimate_of=seconds_per_step,
        highest=False,
        comparable=lambda rows: not broken_rules(rows, MACHINE_RULES),
        note=describe_size,
    ),
)
"""Questions of the ranking chapter, in order."""
