"""The square: what each architecture can hold, forget, track and find, with a cell for each question."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean
from typing import Literal

from analysis.comparison.floors import WITHOUT_MEMORY, count_unbeaten, reached_floor, unbeaten_floor
from analysis.comparison.solve_times import solve_time
from analysis.formatting import AT_LEAST, format_count, format_number, join_names, pluralize
from analysis.grouping import Row, Section
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.report.first_screen.colors import lighten
from analysis.report.first_screen.screen import Screen
from analysis.style import FAMILIES, family
from workbench.results import Run
from workbench.tasks.catalogue import QUESTIONS, question_of

Status = Literal["solved", "part", "learned", "floor", "nothing", "diverged"]
SYMBOLS: dict[Status, str] = {
    "solved": "\u25cf",
    "part": "\u25d0",
    "learned": "\u25cb",
    "floor": "=",
    "nothing": "\u2013",
    "diverged": "\u00d7",
}
"""A sign of each status, so that the square reads without color."""
MEANINGS: dict[Status, str] = {
    "solved": "solved by every seed, at this step (the median)",
    "part": "solved by some of the seeds",
    "learned": "not solved, but better than without memory and than cheap strategies",
    "floor": "no better than the cheap strategy that is named",
    "nothing": "no better than without memory",
    "diverged": "every seed diverged",
}
SOLVED_LENGTH = "solved_up_to"
"""Metric of the probe of memory: the length up to which a task stays solved, in lengths of training."""
SOLVED_SEQUENCES = "solved_sequences"
"""Metric of the probe of memory: the test sequences of that length; earlier results lack it."""
LENGTH_MEANING = "up to this many lengths of training every seed still solves it on the test set"
MAX_NAMED_TASKS = 6
"""Tasks that a sentence names."""
MAX_LEADERS = 2
"""Tasks without a criterion of which the answer says which row has the lowest loss."""
FEWEST_QUESTIONS = 2
"""Fewest questions that make a square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an architecture made of a task."""

    task: str
    """Title of the task, as short as the report's tasks allow."""
    anchor: str
    """Anchor of the task's chapter."""
    status: Status
    text: str
    """What there is to say beside the sign: a step, an accuracy or a loss, a floor."""
    count: int
    """The number of seeds that support it."""
    runs: int
    """The number of all seeds."""
    length: str = ""
    """Of a solved task, up to which length it stays so: `≥ 16 T`; empty if that was not measured."""
    sequences: int | None = None
    """Test sequences of that length, the fewest of any seed; `None` if that is not known."""

    @property
    def seeds(self) -> str:
        """The seeds that support it: `3 of 3`."""
        return f"{self.count} of {self.runs}"

    @property
    def is_partial(self) -> bool:
        """Whether some seeds did otherwise."""
        return self.count < self.runs

    @property
    def length_in_words(self) -> str:
        """`up to at least 16 T`, for a sentence; empty if that was not measured."""
        if not self.length.endswith(" T"):
            return self.length
        return f"up to {self.length.replace(AT_LEAST, 'at least ')}"

    @property
    def support(self) -> str:
        """What it rests on: `3 of 3 seeds; ≥ 16 T on 32 test sequences`."""
        if not self.length or self.sequences is None:
            return f"{self.seeds} seeds"
        length = f"{self.length} " if self.length.endswith(" T") else ""
        return f"{self.seeds} seeds; {length}on {pluralize(self.sequences, 'test sequence')}"

    @property
    def symbol(self) -> str:
        """The sign of the status."""
        return SYMBOLS[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareRow:
    """An architecture in the square."""

    label: str
    family: str
    color: str
    dark_color: str
    cells: tuple[tuple[Outcome, ...], ...]
    """The outcomes on the tasks of each question; empty where it was not trained."""
    sentence: str
    """What they say together."""
    parameters: float | None = None
    """The most that it has on any of the tasks; `None` if that is not known."""
    time: float | None = None
    """Time of a training step as a multiple of the base's, the geometric mean over the tasks; `None` if not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Architectures by questions."""

    questions: tuple[tuple[str, str], ...]
    """Names of the questions, with what they ask."""
    rows: tuple[SquareRow, ...]
    """By family, and in each as the tasks list them."""
    answer: str = ""
    """Which rows solve the most, and what none solves."""
    base: str = ""
    """What times are multiples of; empty if that is not the same for all tasks."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Of each question the one task that asks it; empty if there are several, which the cells then name."""
        columns = zip(*(row.cells for row in self.rows), strict=True)
        names = [{outcome.task for cell in column for outcome in cell} for column in columns]
        return tuple(next(iter(found)) if len(found) == 1 else "" for found in names)

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """The signs that are there, with what they mean."""
        outcomes = [outcome for row in self.rows for cell in row.cells for outcome in cell]
        found = {outcome.status for outcome in outcomes}
        entries = [(SYMBOLS[status], MEANINGS[status]) for status in SYMBOLS if status in found]
        if measured := [outcome.sequences for outcome in outcomes if outcome.length]:
            known = [sequences for sequences in measured if sequences is not None]
            # Results of earlier revisions do not say on how many.
            tested = f", on at least {pluralize(min(known, default=0), 'sequence')} of each length"
            entries.append(("T", LENGTH_MEANING + (tested if len(known) == len(measured) else "")))
        return tuple(entries)


def build_square(
    sections: Sequence[Section],
    memory: Mapping[str, SectionResults] | None = None,
    screens: Sequence[Screen] = (),
) -> Square | None:
    """Returns the square of the sections; `None` if their tasks ask fewer than two questions.

    Tasks of one's own ask none of them and are left out.

    Args:
        sections: sections of the report.
        memory: results of the probe of memory, by the section's anchor.
        screens: what the first screen shows of the sections, with the rows' costs.
    """
    asked = [(section, question_of(section.rows[0].experiment.task.name)) for section in sections]
    questions = [name for name in QUESTIONS if any(question == name for _, question in asked)]
    if len(questions) < FEWEST_QUESTIONS:
        return None
    titles = short_titles([section for section, question in asked if question is not None])
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    first_rows: dict[str, Row] = {}
    for section, question in asked:
        if question is None:
            continue
        for row, outcome in judge(section, titles[section.anchor], (memory or {}).get(section.anchor)):
            first_rows.setdefault(row.label, row)
            outcomes.setdefault(row.label, {}).setdefault(question, []).append(outcome)
    order = list(FAMILIES)

    def place(label: str) -> int:
        name = family(first_rows[label].experiment.architecture.name)
        return order.index(name) if name in order else len(order)

    rows = []
    for label in sorted(outcomes, key=place):
        row, cells = first_rows[label], tuple(tuple(outcomes[label].get(name, ())) for name in questions)
        rows.append(
            SquareRow(
                label=label,
                family=family(row.experiment.architecture.name),
                color=row.line_style.color,
                dark_color=lighten(row.line_style.color),
                cells=cells,
                sentence=describe(label, [outcome for cell in cells for outcome in cell]),
                parameters=most_parameters(label, screens),
                time=mean_time(label, screens),
            )
        )
    bases = {screen.base for screen in screens}
    known = [screen for screen in screens if screen.anchor in titles]
    with_criterion = [titles[screen.anchor] for screen in known if screen.has_criterion]
    without_criterion = [screen for screen in known if not screen.has_criterion]
    return Square(
        questions=tuple((name, QUESTIONS[name]) for name in questions),
        rows=tuple(rows),
        answer=" ".join(
            filter(None, [describe_most(rows, with_criterion), *describe_leaders(rows, without_criterion)])
        ),
        base=bases.pop() if len(bases) == 1 else "",
    )


def most_parameters(label: str, screens: Sequence[Screen]) -> float | None:
    """Returns the most parameters that a row has on any task."""
    return max((row.parameters for screen in screens for row in screen.rows if row.label == label), default=None)


def mean_time(label: str, screens: Sequence[Screen]) -> float | None:
    """Returns the geometric mean of a row's relative times over the tasks; `None` if none is known."""
    times = [row.time for screen in screens for row in screen.rows if row.label == label and row.time is not None]
    return geometric_mean(times) if times else None


def describe_leaders(rows: Sequence[SquareRow], screens: Sequence[Screen]) -> list[str]:
    """Returns which row has the lowest loss on each task without a criterion, in a sentence each, if they are few.

    Args:
        rows: the rows.
        screens: the tasks.
    """
    sentences = []
    for screen in screens if len(screens) <= MAX_LEADERS else ():
        ahead = next(iter(screen.rows), None)
        found = {
            row.label: outcome
            for row in rows
            for cell in row.cells
            for outcome in cell
            if outcome.anchor == screen.anchor and outcome.status == "learned"
        }
        if ahead is not None and ahead.label in found:
            outcome = found[ahead.label]
            level = f" ({outcome.text})" if outcome.text.startswith("accuracy") else ""
            sentences.append(f"On {outcome.task} {ahead.label} has the lowest mean loss{level}.")
    return sentences


def describe_most(rows: Sequence[SquareRow], tasks: Sequence[str]) -> str:
    """Returns which rows solve the most tasks with every seed, and which tasks none solves, in one or two sentences.

    Args:
        rows: the rows.
        tasks: titles of the tasks that can be solved, as they have a criterion.
    """
    solved = {
        row.label: [outcome.task for cell in row.cells for outcome in cell if outcome.status == "solved"]
        for row in rows
    }
    if not tasks or not rows:
        return ""
    most = max(map(len, solved.values()))
    of = f"of the {len(tasks)} tasks that can be solved" if len(tasks) > 1 else "the one task that can be solved"
    if not most:
        return f"No architecture solves {'any ' if len(tasks) > 1 else ''}{of} with every seed."
    best = [label for label, found in solved.items() if len(found) == most]
    together = {tuple(sorted(solved[label])) for label in best}
    named = f": {join_names(solved[best[0]])}" if len(together) == 1 and most <= MAX_NAMED_TASKS else ""
    verb = "solves" if len(best) == 1 else "solve"
    count = f"{most} {of}" if len(tasks) > 1 else of
    if len(best) < len(rows) or len(rows) == 1:
        text = f"{join_names(best)} {verb} {'the most, ' if len(tasks) > 1 and len(rows) > 1 else ''}{count}{named}."
    else:
        text = f"{'Both' if len(rows) == 2 else f'All {len(rows)}'} architectures solve {count}{named}."
    nobody = [task for task in tasks if not any(task in found for found in solved.values())]
    if nobody:
        shown = join_names(nobody) if len(nobody) <= MAX_NAMED_TASKS else f"{len(nobody)} tasks"
        text += f" None solves {shown} with every seed." if len(rows) > 1 else f" Not every seed solves {shown}."
    return text


def short_titles(sections: Sequence[Section]) -> dict[str, str]:
    """Returns a title for each section, by its anchor: the task's name where that is unambiguous."""
    names = [section.rows[0].experiment.task.name for section in sections]
    return {
        section.anchor: name if names.count(name) == 1 else section.title
        for section, name in zip(sections, names, strict=True)
    }


def judge(section: Section, title: str, memory: SectionResults | None = None) -> Iterator[tuple[Row, Outcome]]:
    """Yields what each row of a section made of the task.

    A row has solved it if every seed has, by the mean over 50 batches. Of the others, a seed has learned if its loss is
    below that of the best answer without memory, and it is better than every cheap strategy. Where none has, the row is
    no better than the strategy that most of its seeds do not beat, and where all are as bad as without memory, it has
    learned nothing.

    Args:
        section: the section.
        title: of the task.
        memory: results of the probe of memory on the section, if there are any.
    """
    probed = {results.row.label: results for results in memory.rows} if memory else {}
    for row in section.rows:
        n, time = len(row.runs), solve_time(row)
        solved = 0 if time is None else time.solved
        cheap = count_cheap(row, section)
        learned = sum(has_learned(run, section) for run in row.runs)
        status: Status
        text, count = "", n
        if row.num_diverged == n:
            status = "diverged"
        elif solved:
            status, count = ("solved" if solved == n else "part"), solved
            text = "" if time is None or time.median is None else f"{time.median:,.0f}"
        elif learned:
            status, count, text = "learned", learned, describe_level(row, section)
        elif cheap:
            # The most frequent comes first.
            status, (text, count) = "floor", next(iter(cheap.items()))
        else:
            status = "nothing"
        results = probed.get(row.label) if status == "solved" else None
        fewest = None if results is None else results.least(SOLVED_SEQUENCES)
        outcome = Outcome(
            task=title,
            anchor=section.anchor,
            status=status,
            text=text,
            count=count,
            runs=n,
            length=describe_length(results),
            sequences=None if fewest is None else int(fewest),
        )
        yield row, outcome


def describe_length(results: RowResults | None) -> str:
    """Returns up to which length every seed of a row solves the task; empty if that is not known of each."""
    if results is None or len(results.results) < len(results.row.runs):
        return ""
    metrics = [result.metrics[SOLVED_LENGTH] for result in results.results if SOLVED_LENGTH in result.metrics]
    if len(metrics) < len(results.results):
        return ""
    least = min(metrics, key=lambda metric: metric.value or 0.0)
    if not least.value:
        # It was solved on the batches of training, by a hair.
        return "not on the test set"
    return f"{AT_LEAST if least.censored else ''}{format_count(least.value)} T"


def has_learned(run: Run, section: Section) -> bool:
    """Returns whether a run is better than the best answer without memory, and than all cheap strategies."""
    return beats_trivial(run, section) and unbeaten_floor(run, section.floors) is None


def beats_trivial(run: Run, section: Section) -> bool:
    """Returns whether a run is better than the best answer without memory."""
    trivial = section.trivial_loss
    below = run.test_metric("loss") < (math.inf if trivial is None else trivial)
    return below and reached_floor(run, section.floors) != WITHOUT_MEMORY


def count_cheap(row: Row, section: Section) -> dict[str, int]:
    """Returns how many runs of a row, of those that are better than without memory, do not beat a cheap strategy."""
    runs = [run for run in row.runs if beats_trivial(run, section)]
    return count_unbeaten(replace(row, runs=tuple(runs)), section.floors)


def describe_level(row: Row, section: Section) -> str:
    """Returns a row's accuracy on the test set, or its loss if the task has no accuracy."""
    if "accuracy" in section.metrics:
        return f"accuracy {row.test_mean('accuracy').mean:.2f}"
    return f"loss {format_number(row.test_mean('loss').mean)}"


def describe(label: str, outcomes: Sequence[Outcome]) -> str:
    """Returns what an architecture made of the tasks, in a sentence with the seeds that support it."""
    verbs: dict[Status, str] = {
        "solved": "solves",
        "part": "solves in part",
        "learned": "learns",
        "floor": "is no better than a cheap strategy on",
        "nothing": "learns nothing of",
        "diverged": "diverges on",
    }
    clauses = []
    for status, verb in verbs.items():
        found = [outcome for outcome in outcomes if outcome.status == status]
        if found:
            clauses.append(f"{verb} {name_with_seeds(found)}")
    return f"{label} {'; '.join(clauses)}."


def name_with_seeds(outcomes: Sequence[Outcome]) -> str:
    """Returns the tasks of outcomes of one status, with their seeds, which are said once if they are the same."""
    details = [
        outcome.text if outcome.status in ("learned", "floor") else outcome.length_in_words for outcome in outcomes
    ]
    seeds = [outcome.seeds for outcome in outcomes]
    shared = len(set(seeds)) == 1
    names = []
    for outcome, detail in zip(outcomes, details, strict=True):
        inside = [part for part in (detail, "" if shared else outcome.seeds) if part]
        names.append(f"{outcome.task} ({', '.join(inside)})" if inside else outcome.task)
    if not shared:
        return join_names(names)
    return f"{join_names(names)}, {seeds[0]} seeds{' each' if len(seeds) > 1 else ''}"
