"""Ranking chapter: the architectures question by question, how far they are apart, and how surely."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.comparison.losses import MIN_SEEDS, compare_losses
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
from analysis.probes.settings import MAX_EXTRAPOLATION_STEPS
from analysis.report.answers import (
    Decider,
    Question,
    RankedRows,
    ResultsByProbe,
    fewest_seeds,
    format_ranks,
    has_clear_first,
    is_empty_answer,
)
from analysis.report.blocks import Block, Cell, Chapter, Column, Heading, Table, Text
from analysis.report.fairness import MACHINE_RULES, broken_rules
from analysis.report.summary import headline
from analysis.statistics import Estimate, Mean, mean_interval

RANK_LEGEND = (
    "By the mean over the seeds, with Student's 95 % interval, cut off below 0 steps and above a share of 1, and no "
    "narrower than what the test sequences, the same for all seeds, leave uncertain; for one seed, and if all seeds "
    "agree, with the probe's own interval. Test losses by their geometric mean.",
    "Rows that share a letter are not told apart: test losses by their tests, all other numbers by intervals that "
    "overlap. 2=: equal numbers have equal ranks.",
    "(1): some row has fewer than four seeds, and the ranks are indicative; there are no intervals then.",
    f"{AT_LEAST.strip()}: the measurement ended there.",
)
LONGER = 4
"""How many times as long a test is proposed where several rows reach the limit of this one."""


def chapter(sections: Sequence[Section], results: ResultsByProbe) -> Chapter:
    """Returns the chapter: a sentence for each question and task, and a table of ranks for each task."""
    several, titles = len(sections) > 1, short_titles(sections)
    sentences: dict[Question, list[str]] = {question: [] for question in QUESTIONS}
    blocks: list[Block] = []
    decided = ranked = 0
    for index, section in enumerate(sections):
        answers = {question: question.answer(section, index, results) for question in QUESTIONS}
        for question, answer in answers.items():
            if answer or question.sentence_of is not None:
                text = question.describe(answer, section, index, results)
                sentences[question].append(f"On {titles[index]}: {text}" if several else text[:1].upper() + text[1:])
            if len(answer) > 1 and not is_empty_answer(question, answer):
                ranked += 1
                decided += has_clear_first(answer)
        table = ranks_table(section, {question: answer for question, answer in answers.items() if len(answer) > 1})
        if table is not None:
            blocks += [*([Heading(text=section.title)] if several else []), table]
    texts = [Text(sentences=tuple(texts), lead=question.text) for question, texts in sentences.items() if texts]
    outline = describe_tally(decided, ranked, len(sections))
    if unavailable := describe_unavailable(results, titles):
        texts.append(Text(sentences=tuple(unavailable), lead="Not available."))
    if blocks:
        texts.append(Text(sentences=RANK_LEGEND, lead="Ranks."))
    opening = Text(sentences=(outline,), role="summary")
    return Chapter(anchor="ranking", title="Who is best at what", blocks=(opening, *texts, *blocks), outline=outline)


def short_titles(sections: Sequence[Section]) -> list[str]:
    """Returns a title for each section: only the task's name, if that tells the section from the others."""
    tasks = [section.rows[0].experiment.task.name for section in sections]
    return [
        make_printable(task) if tasks.count(task) == 1 else section.title
        for task, section in zip(tasks, sections, strict=True)
    ]


def describe_tally(decided: int, ranked: int, tasks: int) -> str:
    """Says in how many rankings the first row is told apart from all others.

    Args:
        decided: number of rankings with such a first row.
        ranked: number of rankings.
        tasks: number of tasks that they are on.
    """
    if not ranked:
        return "There is nothing to rank: no two rows have a number in common."
    scope = f"{pluralize(ranked, 'ranking')} on {pluralize(tasks, 'task')}"
    if decided == ranked:
        return f"In {'the' if ranked == 1 else 'each of'} {scope} the first is told apart from all others."
    if not decided:
        return f"In none of {scope} is the first told apart from all others: read them by the sizes of the differences."
    return f"In {decided} of {scope} the first is told apart from all others; the other ones are open."


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


def ranks_table(section: Section, answers: dict[Question, RankedRows]) -> Table | None:
    """Returns the rank and the number of each row for each question; `None` without questions."""
    if not answers:
        return None
    columns = [Column(heading="architecture", kind="text")]
    cells = {row.label: [Cell(text=row.label, line_style=row.line_style)] for row in section.rows}
    for question, answer in answers.items():
        unit = answer[0][1].unit
        is_indicative = fewest_seeds(answer) < MIN_SEEDS
        heading = ("mean" if unit in HIDDEN_UNITS else unit) + ("" if is_indicative else "\n[95 %]")
        columns += [Column(heading="rank", group=question.quantity), Column(heading=heading, group=question.quantity)]
        letters = None if question.letters_of is None else question.letters_of(section)
        ranks = [ABSENT] * len(answer) if is_empty_answer(question, answer) else format_ranks(answer, letters)
        rank_of = dict(zip([row.label for row, _ in answer], ranks, strict=True))
        value_of = {
            row.label: format_estimate(without_interval(estimate) if is_indicative else estimate, show_unit=False)
            for row, estimate in answer
        }
        for label, row_cells in cells.items():
            rank_text = rank_of.get(label, ABSENT)
            first = rank_text.strip("()=") == "1" if is_indicative else "a" in rank_text
            row_cells += [Cell(text=texts.get(label, ABSENT), strong=first) for texts in (rank_of, value_of)]
    return Table(
        caption=f"Ranks on {section.title}",
        columns=tuple(columns),
        rows=tuple(tuple(row_cells) for row_cells in cells.values()),
    )


def without_interval(estimate: Estimate) -> Estimate:
    """Returns an estimate as it is shown of few seeds."""
    return replace(estimate, low=math.nan, high=math.nan)


def loss_letters(section: Section) -> dict[str, str]:
    """Returns the letters of the rows by their test losses."""
    comparison = compare_losses(section)
    return {} if comparison is None else {item.row.label: item.letters for item in comparison.standings}


def mean_estimate(mean: Mean, unit: str) -> Estimate | None:
    """Returns a mean over runs as an estimate; `None` if no run has the value."""
    if not mean.n:
        return None
    ends = (math.nan, math.nan) if mean.half_width is None else (mean.low, mean.high)
    low, high = clip_to_unit_range(unit, np.array(ends))
    return Estimate(value=mean.mean, low=float(low), high=float(high), unit=unit, seeds=mean.n)


def geometric_estimate(values: Sequence[float], unit: str) -> Estimate | None:
    """Returns the geometric mean of positive values with Student's interval of its logarithm; `None` without values.

    Of values that are not all positive it returns the arithmetic mean.
    """
    if not all(value > 0 for value in values):
        return mean_estimate(mean_interval(values), unit)
    estimate = mean_estimate(mean_interval(np.log(values)), "")
    if estimate is None:
        return None
    with np.errstate(over="ignore"):
        value, low, high = np.exp([estimate.value, estimate.low, estimate.high])
    return replace(estimate, value=float(value), low=float(low), high=float(high), unit=unit)


def mean_losses(section: Section) -> list[tuple[Row, Estimate]]:
    """Returns the geometric mean of the test loss of each row that has learned something; none if no row has."""
    comparison = compare_losses(section)
    if comparison is None or not comparison.learned:
        return []
    return [
        (
            standing.row,
            Estimate(
                value=standing.center,
                low=math.nan if standing.low is None else standing.low,
                high=math.nan if standing.high is None else standing.high,
                unit="",
                seeds=standing.n,
            ),
        )
        for standing in comparison.standings
        # Of a row that diverged with every seed there is no loss of its own.
        if standing.num_diverged < standing.n
    ]


def seconds_per_step(section: Section) -> list[tuple[Row, Estimate]]:
    """Returns the seconds of a training step of each row that has a timing; none if the machines differ."""
    if broken_rules(section.rows, MACHINE_RULES):
        return []
    pairs = []
    for row in section.rows:
        times = [run.timing.get("seconds_per_step") for run in row.runs]
        estimate = mean_estimate(mean_interval(time for time in times if time is not None), "s")
        if estimate is not None:
            pairs.append((row, estimate))
    return pairs


def longer_sequences(section: Section, limit: float) -> int | None:
    """Returns the steps of a test of lags that goes `LONGER` times beyond a limit in steps; `None` if it cannot.

    Sequences of one length, and lags that the length does not change, leave nothing to be tested.
    """
    if not isinstance(section.rows[0].experiment.task.options.get("length"), int):
        return None
    return math.ceil(LONGER * (limit + 1))


def longer_extrapolation(section: Section, limit: float) -> int | None:
    """Returns the steps of a test of extrapolation beyond a limit in training lengths; `None` if there is none."""
    length = section.rows[0].experiment.task.options.get("length")
    if not isinstance(length, int) or 2 * limit * length > MAX_EXTRAPOLATION_STEPS:
        return None
    return int(min(LONGER * limit * length, MAX_EXTRAPOLATION_STEPS))


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
        estimates_of=mean_losses,
        sentence_of=headline,
        letters_of=loss_letters,
        highest=False,
    ),
    Question(
        text="Who remembers longest?",
        best_phrase="recalls from farthest back",
        quantity="recall horizon",
        probe="memory_length",
        metric="horizon",
        decider=Decider(metric="accuracy_at_limit", quantity="the accuracy there"),
        longer_test=longer_sequences,
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
        decider=Decider(metric="loss_at_limit", quantity="the loss there, over the trivial one,", highest=False),
        longer_test=longer_extrapolation,
    ),
    Question(
        text="Whose gradient reaches farthest?",
        best_phrase="has the gradient that reaches farthest",
        quantity="gradient reach",
        probe="memory_length",
        metric="field_90",
        longer_test=longer_sequences,
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
        text="What does a step cost?",
        best_phrase="takes the least time for a step of training",
        quantity="seconds a step",
        estimates_of=seconds_per_step,
        highest=False,
        note=describe_size,
    ),
)
"""Questions of the ranking chapter, in order."""
