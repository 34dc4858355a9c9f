"""The tables of the report, and the table of all runs that is written beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import pandas as pd

from analysis.formatting import ABSENT, format_count, format_interval, format_number, format_range
from analysis.grouping import Row, Section, flatten, run_identity
from analysis.published import PublishedSource, catalogue_name, published_for
from analysis.report.blocks import Cell, Column, Table
from analysis.report.summary import rivals
from analysis.statistics import mean_interval, median_reached
from analysis.style import LINE_STYLES
from workbench.results import Run

ACCURACY_DECIMALS = 4
NESTED = ("test", "validation")
"""What `result.json` has a mapping of metrics for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """A column, and what it says of a row and of the trivial baseline."""

    column: Column
    of: Callable[[Row], str]
    trivial: str = ""


def results(section: Section) -> Table:
    """What each row is, what it was given, and what it came to."""
    entries = columns(section)
    best = rivals(section)
    lines = tuple(
        (
            Cell(text=row.label, look=row.look),
            *(Cell(text=each.of(row), strong=row in best and each.column.heading == "loss") for each in entries),
        )
        for row in section.rows
    )
    baseline = (Cell(text="trivial baseline"), *(Cell(text=each.trivial) for each in entries))
    return Table(
        caption=f"Results on {section.title}",
        columns=(Column(heading="architecture", kind="text"), *(each.column for each in entries)),
        lines=lines,
        footer=() if section.trivial_loss is None else (baseline,),
    )


def columns(section: Section) -> list[ColumnSpec]:
    """The columns of the results, beside the architecture's name."""
    sources = published_for(section.rows[0].experiment.task)

    def entry(group: str, heading: str, of: Callable[[Row], str], trivial: str = "") -> ColumnSpec:
        return ColumnSpec(column=Column(heading=heading, group=group), of=of, trivial=trivial)

    found = [
        entry("model", "hidden\nsize", hidden_size),
        entry("model", "parameters", lambda row: format_range(row.results("parameters"))),
        entry("model", "state", lambda row: format_range(row.results("state_size"))),
        entry("model", "reach", lambda row: format_range(row.results("receptive_field"), absent="all")),
        entry("training", "steps", lambda row: format_range(run.result["steps"] for run in row.trained or row.runs)),
        entry("training", "batch", lambda row: format_count(row.experiment.budget.batch_size)),
        entry("training", "s a\nstep", seconds_per_step),
        entry("training", "seeds", lambda row: format_count(len(row.runs))),
        entry("training", "diverged", lambda row: format_count(row.diverged)),
        entry("test", "loss", lambda row: format_interval(row.test("loss")), format_number(section.trivial_loss)),
        *(entry("test", name, metric(name)) for name in section.metrics),
    ]
    if section.agreed("criterion") is not None:
        found += [
            entry("solved", "seeds", lambda row: share(row, "solved_at")),
            entry("solved", "first\nstep", lambda row: median(row, "solved_at")),
            entry("solved", "mean\nof 50", lambda row: median(row, "solved_at_mean50")),
        ]
    if sources:
        column = Column(heading="published", kind="lines")
        found.append(ColumnSpec(column=column, of=lambda row: published_figures(row, sources)))
    return found


def hidden_size(row: Row) -> str:
    """The hidden size, where the architecture has an option of this name."""
    width = row.experiment.architecture.options.get("hidden_size")
    return ABSENT if width is None else str(width)


def seconds_per_step(row: Row) -> str:
    """The mean over the runs that have a timing."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return format_number(mean_interval(time for time in times if time is not None).mean)


def metric(name: str) -> Callable[[Row], str]:
    """A test metric; shares are never rounded to 1."""
    return lambda row: format_interval(row.test(name), least=ACCURACY_DECIMALS if name == "accuracy" else 0)


def share(row: Row, key: str) -> str:
    """How many seeds reached it."""
    return f"{sum(step is not None for step in row.results(key))} of {len(row.runs)}"


def median(row: Row, key: str) -> str:
    """The median step over all seeds."""
    steps = row.results(key)
    if all(step is None for step in steps):
        return ABSENT
    found = median_reached(steps)
    return "not reached" if found is None else format_count(found)


def published_figures(row: Row, sources: Sequence[PublishedSource]) -> str:
    """What the sources have of the row's architecture, a line each, with the letter of the source."""
    name = catalogue_name(row.experiment.architecture)
    figures = [
        f"{source.figures[name]} [{letter}]"
        for letter, source in zip(ascii_lowercase, sources, strict=False)
        if name in source.figures
    ]
    return "\n".join(figures) or ABSENT


def published(section: Section) -> Table | None:
    """All that is published of the section's variant; `None` where nothing is."""
    sources = published_for(section.rows[0].experiment.task)
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
        lines=tuple(
            (
                Cell(text=f"[{letter}] {source.source}"),
                Cell(text=source.measure),
                *(Cell(text=str(source.figures.get(name, ABSENT))) for name in names),
                Cell(text=source.setting),
            )
            for letter, source in zip(ascii_lowercase, sources, strict=False)
        ),
    )


def comparison(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: what it was, all its results and its timing, and how it was trained.

    Nested values are in columns of their own, `test/loss`; what a run does not have is missing.
    """
    metrics = sorted({name for run in runs for key in NESTED for name in run.result.get(key) or {}})
    # Whole numbers stay whole where some runs have none.
    return pd.DataFrame([record(run, metrics) for run in runs]).convert_dtypes()


def record(run: Run, metrics: Sequence[str]) -> dict[str, Any]:
    """A run in one flat row, with a column for each of the metrics in every split."""
    experiment = run.experiment
    flat = run_identity(experiment)
    flat |= {key: value for key, value in run.result.items() if key not in NESTED}
    flat |= {f"{key}/{name}": (run.result.get(key) or {}).get(name) for key in NESTED for name in metrics}
    flat |= run.timing
    chosen = ("optimization.", "budget.", "embedding_size")
    settings = {key.replace(".", "/"): value for key, value in flatten(experiment).items() if key.startswith(chosen)}
    return {**flat, **settings}
