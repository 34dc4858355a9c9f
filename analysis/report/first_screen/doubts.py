"""What to distrust in a comparison, each with the command that mends it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.comparison.losses import LossComparison
from analysis.figures.histories import Histories, History
from analysis.formatting import DASH, format_count, join_names, pluralize
from analysis.grouping import Row, Section
from analysis.report.fairness import broken_rules, describe_short_reach, setting_rules, size_gaps
from analysis.report.summary import format_factor, format_minutes, settle
from analysis.variant_names import format_option
from workbench.tasks.file_names import is_file, title_options

COMPARE = "workbench compare --config comparison.yaml"
"""Beginning of a command that is run in the folder of results."""
FALLING = 0.9
"""Validation loss of the last quarter as a share of that of the quarter before, below which it was still falling."""
MIN_LOGGED = 8
"""Fewest rows of metrics whose quarters say anything."""
MAX_NAMED = 3
"""Rows that are named; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A reason to distrust a comparison."""

    kind: str
    """What it is about, in a word."""
    text: str
    option: str = ""
    """The option or command that mends it, in short; empty if none does."""
    cost: str = ""
    """What it takes, if known."""
    command: str = ""
    """The whole command, to be run in the folder of results."""


def find_doubts(section: Section, comparison: LossComparison | None, histories: Histories) -> tuple[Doubt, ...]:
    """Returns all reasons to distrust the comparison on a task, the gravest first.

    Args:
        section: the task's section.
        comparison: its rows by their losses; `None` if every run diverged.
        histories: its learning curves.
    """
    rows = section.rows
    doubts = [doubt_divergence(rows), doubt_seeds(section, comparison)]
    if len(rows) > 1:
        doubts += [doubt_rules(section), *doubt_sizes(rows), doubt_learning_rate(section)]
    doubts += [doubt_reach(rows), doubt_budget(rows, histories)]
    return tuple(doubt for doubt in doubts if doubt is not None)


def doubts_of_all(screens: Mapping[str, Sequence[Doubt]]) -> tuple[Doubt, ...]:
    """Returns the doubts of several tasks, each kind once, with the tasks that share it.

    Args:
        screens: the doubts of each task by its title.
    """
    by_kind: dict[str, list[tuple[str, Doubt]]] = {}
    for title, doubts in screens.items():
        for doubt in doubts:
            by_kind.setdefault(doubt.kind, []).append((title, doubt))
    shared = []
    for found in by_kind.values():
        title, first = found[0]
        alike = len({doubt.text for _, doubt in found}) == 1
        if alike and len(found) == len(screens):
            text = first.text
        elif len(found) == 1 or alike:
            text = f"{first.text}, on {name_some([title for title, _ in found])}"
        else:
            text = f"{first.text}, on {title}, and likewise on {pluralize(len(found) - 1, 'other task')}"
        option = largest_option([doubt.option for _, doubt in found])
        shared.append(replace(first, text=text, option=option, cost="", command=""))
    return tuple(shared)


def largest_option(options: Sequence[str]) -> str:
    """Returns the option that all share, with the largest of their numbers, if they differ in that; empty otherwise."""
    given = [option for option in options if option]
    if not given or len({option.partition(" ")[0] for option in given}) > 1:
        return ""
    values = [option.partition(" ")[2] for option in given]
    if all(value.isdecimal() for value in values):
        return max(given, key=lambda option: int(option.partition(" ")[2]))
    return given[0] if len(set(given)) == 1 else ""


def doubt_seeds(section: Section, comparison: LossComparison | None) -> Doubt | None:
    """Returns a doubt if seeds are too few to tell rows apart."""
    if comparison is None or (comparison.best is not None and not comparison.indicative):
        return None
    counts = sorted({standing.n for standing in comparison.standings})
    seeds = f"{DASH.join(map(str, [counts[0], counts[-1]]))} seeds" if len(counts) > 1 else pluralize(counts[0], "seed")
    settlement = settle(section)
    if settlement is None or settlement.seeds is None:
        return Doubt(kind="seeds", text=f"{seeds}: indicative only") if comparison.indicative else None
    verdict = "indicative only" if comparison.indicative else "the first is not told from the next"
    return Doubt(
        kind="seeds",
        text=f"{seeds}: {verdict}",
        option=f"--seeds {settlement.seeds}",
        cost="" if settlement.minutes is None else f"about {format_minutes(settlement.minutes)}",
        command=settlement.command,
    )


def doubt_sizes(rows: Sequence[Row]) -> list[Doubt]:
    """Returns a doubt for parameters, and one for state, that are far apart."""
    doubts = []
    for gap in size_gaps(rows):
        ends = f"{gap.smallest.label} {format_count(gap.low)}, {gap.largest.label} {format_count(gap.high)}"
        text = f"{gap.name}: the most is {format_factor(gap.factor)} times the least ({ends})"
        command = elsewhere(gap.mended_by, "matched")
        doubts.append(Doubt(kind=gap.name, text=text, option=gap.mended_by, command=command))
    return doubts


def doubt_learning_rate(section: Section) -> Doubt | None:
    """Returns a doubt if all rows had the same learning rate, which was tuned for none of them."""
    rates = {row.experiment.optimization.learning_rate for row in section.rows}
    if section.studies or len(rates) != 1:
        return None
    experiment = section.rows[0].experiment
    task = experiment.task
    names = ",".join(dict.fromkeys(row.experiment.architecture.name for row in section.rows))
    options = [
        part
        for key, value in title_options(task.name, task.options).items()
        for part in (f"--task.{task.name}.{key}", format_option(value))
    ]
    command = ["workbench", "sweep", "run", "--tasks", task.name, *options, "--architectures", names]
    # A report does not say where a file lies.
    command += ["--data-dir", "FOLDER"] if is_file(task.name) else []
    command += ["--steps", str(experiment.budget.steps), "--out", "../tuned"]
    return Doubt(
        kind="rate",
        text=f"one learning rate, {rates.pop():g}, for all",
        option="workbench sweep run",
        command=shlex.join(command),
    )


def doubt_divergence(rows: Sequence[Row]) -> Doubt | None:
    """Returns a doubt if a seed diverged."""
    diverged = [row for row in rows if row.num_diverged]
    if not diverged:
        return None
    names = [f"{row.label} {row.num_diverged} of {len(row.runs)}" for row in diverged]
    settings = diverged[0].experiment.optimization
    option = "--clip norm" if settings.clip == "none" else f"--learning-rate {settings.learning_rate / 2:g}"
    return Doubt(
        kind="divergence",
        text=f"diverged seeds: {name_some(names)}",
        option=option,
        command=elsewhere(option, "steadier"),
    )


def doubt_budget(rows: Sequence[Row], histories: Histories) -> Doubt | None:
    """Returns a doubt if the validation loss of a row was still falling when its budget ended."""
    losses = {history.row.label: history for history in histories.get("val/loss", ())}
    falling = [
        row
        for row in rows
        if row.experiment.budget.until is None and row.label in losses and is_still_falling(losses[row.label])
    ]
    if not falling:
        return None
    option = f"--steps {2 * max(row.experiment.budget.steps for row in falling)}"
    names = "all rows" if len(falling) == len(rows) > 1 else name_some([row.label for row in falling])
    return Doubt(
        kind="budget",
        text=f"loss still falling at the end: {names}",
        option=option,
        command=elsewhere(option, "longer"),
    )


def is_still_falling(history: History) -> bool:
    """Returns whether the geometric mean of the validation loss was lower in the last quarter by 10 % or more."""
    if len(history.mean) < MIN_LOGGED or min(history.mean) <= 0:
        return False
    quarter = len(history.mean) // 4
    logs = np.log(history.mean)
    return bool(logs[-quarter:].mean() - logs[-2 * quarter : -quarter].mean() < np.log(FALLING))


def doubt_reach(rows: Sequence[Row]) -> Doubt | None:
    """Returns a doubt if a row cannot see the whole sequence."""
    sentences = describe_short_reach(rows)
    if not sentences:
        return None
    text = sentences[0].removesuffix(".")
    return Doubt(kind="reach", text=text[:1].lower() + text[1:])


def doubt_rules(section: Section) -> Doubt | None:
    """Returns a doubt if rows were not trained under the same rules; tuned ones may differ in what was tuned."""
    if section.studies:
        return None
    faults = broken_rules(section.rows, setting_rules(section.rows))
    if not faults:
        return None
    names = [fault.partition(":")[0] for fault in faults]
    return Doubt(kind="rules", text=f"not all rows were trained alike: {name_some(names)}")


def elsewhere(option: str, folder: str) -> str:
    """Returns the command of the comparison with another option, into a folder beside this one."""
    return f"{COMPARE} {option} --out ../{folder}" if option else ""


def name_some(names: Sequence[str]) -> str:
    """Joins the first few names, and counts the others."""
    if len(names) <= MAX_NAMED + 1:
        return join_names(names)
    return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"
