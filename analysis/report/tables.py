"""Tables of a task's chapter."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from analysis.comparison.floors import format_reached_floor
from analysis.comparison.intervals import loss_interval, loss_scale, share_interval
from analysis.comparison.losses import MIN_SEEDS, compare_losses
from analysis.comparison.solve_times import median_time
from analysis.formatting import ABSENT, format_count, format_number, format_range
from analysis.grouping import Row, Section
from analysis.published_figures import PublishedSource, catalogue_name, find_published
from analysis.report.blocks import Cell, Column, Table
from analysis.report.summary import best_rows, format_standing
from analysis.statistics import mean_interval
from analysis.style import LINE_STYLES
from workbench.custom_parts import split_revision
from workbench.tasks.floors import Floor

ACCURACY_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """A column of the results, with the texts of its cells."""

    column: Column
    text: Callable[[Row], str]
    trivial: str = ""
    """Text in the row of the trivial baseline."""
    floor: Callable[[Floor], str] = lambda floor: ""
    """Returns the text in the row of a floor."""


def results_table(section: Section) -> Table:
    """Returns the results of each row: model, training, test metrics, steps to the goal and published figures."""
    specs = result_columns(section)
    best = best_rows(section) if len(section.rows) > 1 else []
    baseline = (Cell(text="trivial baseline"), *(Cell(text=spec.trivial) for spec in specs))
    floors = tuple(
        (Cell(text=f"floor: {name}"), *(Cell(text=spec.floor(floor)) for spec in specs))
        for name, floor in section.floors.items()
    )
    return Table(
        caption=f"Results on {section.title}",
        columns=(Column(heading="architecture", kind="text"), *(spec.column for spec in specs)),
        rows=tuple(
            (
                Cell(text=row.label, line_style=row.line_style),
                *(Cell(text=spec.text(row), strong=row in best and spec.column.heading == "loss") for spec in specs),
            )
            for row in section.rows
        ),
        footer=floors if section.trivial_loss is None else (baseline, *floors),
    )


def result_columns(section: Section) -> list[ColumnSpec]:
    """Returns the columns of the results, except that of the architecture's name."""
    sources = published_sources(section)
    comparison = compare_losses(section)
    losses = {} if comparison is None else {each.row.label: format_standing(each) for each in comparison.standings}

    def spec(group: str, heading: str, text: Callable[[Row], str], trivial: str = "", **rest: Any) -> ColumnSpec:
        return ColumnSpec(column=Column(heading=heading, group=group), text=text, trivial=trivial, **rest)

    def accuracy_of(name: str) -> dict[str, Any]:
        return {"floor": lambda floor: format_accuracy(floor.accuracy)} if name == "accuracy" else {}

    specs = [
        spec("model", "hidden\nsize", format_hidden_size),
        spec("model", "parameters", lambda row: format_range(row.result_values("parameters"))),
        spec("model", "state", lambda row: format_range(row.result_values("state_size"))),
        spec("model", "reach", lambda row: format_range(row.result_values("receptive_field"), default="all")),
        spec(
            "training", "steps", lambda row: format_range(run.result["steps"] for run in row.trained_runs or row.runs)
        ),
        spec("training", "batch", lambda row: format_count(row.experiment.budget.batch_size)),
        spec("training", "s a\nstep", format_seconds_per_step),
        spec("training", "seeds", lambda row: format_count(len(row.runs))),
        spec("training", "diverged", lambda row: format_count(row.num_diverged)),
        spec(
            "test",
            "loss",
            lambda row: losses.get(row.label, ABSENT),
            format_number(section.trivial_loss),
            floor=lambda floor: format_number(floor.loss),
        ),
        *(spec("test", name, metric_formatter(name), **accuracy_of(name)) for name in section.metrics),
    ]
    if any(format_reached_floor(row, section) for row in section.rows):
        specs.append(spec("test", "at floor", lambda row: format_reached_floor(row, section) or ABSENT))
    if section.common_result("criterion") is not None:
        specs += [
            spec("solved", "seeds", lambda row: format_reached(row, "solved_at")),
            spec("solved", "first\nstep", lambda row: format_median_step(row, "solved_at")),
            spec("solved", "mean\nof 50", lambda row: format_median_step(row, "solved_at_mean50")),
        ]
    if sources:
        column = Column(heading="published", kind="lines")
        specs.append(ColumnSpec(column=column, text=lambda row: format_published(row, sources)))
    return specs


def format_hidden_size(row: Row) -> str:
    """Returns the hidden size, if the architecture has an option of this name."""
    hidden_size = row.experiment.architecture.options.get("hidden_size")
    return ABSENT if hidden_size is None else str(hidden_size)


def format_seconds_per_step(row: Row) -> str:
    """Returns the mean seconds per step over the runs that have a timing."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return format_number(mean_interval(time for time in times if time is not None).mean)


def metric_formatter(name: str) -> Callable[[Row], str]:
    """Returns a function that formats a test metric of a row: its mean, from four seeds on with its interval.

    Accuracies are shares, with enough decimals that none is rounded to 1; the sequences of the test set are at least as
    many independent answers as count for their interval. Other metrics are averaged as losses are.
    """

    def format_metric(row: Row) -> str:
        values = [value for run in row.runs if math.isfinite(value := run.test_metric(name))]
        if not values:
            return ABSENT
        is_share = name == "accuracy"
        answers = row.experiment.budget.evaluation_size
        interval = share_interval(values, answers) if is_share else loss_interval(values, loss_scale(values))
        show = format_accuracy if is_share else format_number
        if len(values) < MIN_SEEDS or interval.low is None:
            return show(interval.mean)
        return f"{show(interval.mean)} [{show(interval.low)}, {show(interval.high)}]"

    return format_metric


def format_accuracy(value: float | None) -> str:
    """Formats an accuracy with four decimals."""
    return ABSENT if value is None else f"{value:.{ACCURACY_DECIMALS}f}"


def format_reached(row: Row, key: str) -> str:
    """Returns the number of seeds that have reached a goal, such as `2 of 3`."""
    return f"{sum(step is not None for step in row.result_values(key))} of {len(row.runs)}"


def format_median_step(row: Row, key: str) -> str:
    """Returns the median step, over all seeds, at which a goal was reached."""
    steps = row.result_values(key)
    if all(step is None for step in steps):
        return ABSENT
    median = median_time(steps).median
    return "not reached" if median is None else format_count(median)


def format_published(row: Row, sources: Sequence[PublishedSource]) -> str:
    """Returns the published figures of the row's architecture, one a line, each with the letter of its source."""
    name = catalogue_name(row.experiment.architecture)
    figures = [
        f"{source.figures[name]} [{letter}]"
        for letter, source in zip(ascii_lowercase, sources, strict=False)
        if name in source.figures
    ]
    return "\n".join(figures) or ABSENT


def published_sources(section: Section) -> tuple[PublishedSource, ...]:
    """Returns all sources that report the section's variant of the task; none if its data are the user's own."""
    task = section.rows[0].experiment.task
    return find_published(task) if split_revision(task.source)[1] is None else ()


def published_table(section: Section) -> Table | None:
    """Returns all published figures on the section's variant of the task; `None` if there are none."""
    sources = published_sources(section)
    if not sources:
        return None
    names = [name for name in LINE_STYLES if any(name in source.figures for source in sources)]
    return Table(
        caption=f"Published figures on {section.title}",
        columns=(
            Column(heading="source", kind="text"),
            Column(heading="measure", kind="text"),
            *(Column(heading=name, group="architecture") for name in names),
            Column(heading="setting", kind="prose"),
        ),
        rows=tuple(
            (
                Cell(text=f"[{letter}] {source.source}"),
                Cell(text=source.measure),
                *(Cell(text=str(source.figures.get(name, ABSENT))) for name in names),
                Cell(text=f"{source.setting}. From {source.reference}."),
            )
            for letter, source in zip(ascii_lowercase, sources, strict=False)
        ),
    )
