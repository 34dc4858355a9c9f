"""What the first screen shows of a task: its answer, and a row of numbers for each configuration."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analysis.comparison.floors import format_reached_floor
from analysis.comparison.losses import Standing, compare_losses
from analysis.comparison.solve_times import solve_time
from analysis.figures.histories import Histories, load_histories
from analysis.formatting import AT_LEAST, format_count, format_estimate
from analysis.grouping import Row, Section
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.report.first_screen.axis import Axis, fit_axis, format_short
from analysis.report.first_screen.colors import lighten
from analysis.report.first_screen.cost import describe_cost
from analysis.report.first_screen.doubts import Doubt, find_doubts
from analysis.report.summary import headline
from analysis.statistics import mean_interval
from analysis.style import family

BASE = "lstm"
"""The architecture that times are given as multiples of; the first row where there is none."""
MEMORY_PROBE = "memory_length"
SCRIPT_FIELDS = (
    "label",
    "family",
    "color",
    "dark_color",
    "center",
    "low",
    "high",
    "parameters",
    "state",
    "seconds",
)
"""Fields of a row that the script of the page draws from; it finds the others in the table."""
MAX_MEMORY_COLUMNS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryColumn:
    """A measure of how far back a row remembers."""

    name: str
    """Name of the probe's metric."""
    heading: str
    meaning: str
    unit: str = ""
    """Text behind the number."""


MEMORY_COLUMNS = (
    MemoryColumn(name="horizon", heading="recall, steps", meaning="the longest lag from which it recalls symbols"),
    MemoryColumn(
        name="extrapolation",
        heading="works up to",
        meaning="the length of sequences, in lengths of training, up to which its loss is below that without memory",
        unit=" T",
    ),
    MemoryColumn(
        name="memory_capacity",
        heading="memory, inputs",
        meaning="memory capacity: how many past inputs can be read from its output",
    ),
    MemoryColumn(
        name="field_95", heading="gradient, steps", meaning="the lag within which 95 % of its squared gradient lie"
    ),
)
"""Measures in order of what they tell; a task's matrix has the first two that some row of it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How far back a row remembers, by one measure."""

    value: float | None
    text: str
    detail: str
    """The value with its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One run as a dot."""

    seed: int
    loss: float
    """The test loss; of a diverged run the loss that it is counted at."""
    diverged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRow:
    """A configuration with its numbers."""

    label: str
    family: str
    color: str
    dark_color: str
    """The color on a dark page."""
    folder: str
    """Address of the folder of its runs, relative to the page; empty if it is elsewhere."""
    seeds: tuple[Seed, ...]
    center: float
    low: float | None
    high: float | None
    rank: int
    letters: str
    solved: int | None
    """The number of seeds that solved the task; `None` if it has no criterion."""
    step: float | None
    """The median step at which they did; `None` if not half of them did."""
    parameters: float
    state: float
    seconds: float | None
    """Seconds a step, the mean over the runs."""
    time: float | None
    """The same as a multiple of that of the base row."""
    memory: tuple[Memory, ...]
    floor: str
    """The cheap strategies that its runs are no better than; empty if there are none."""

    @property
    def mean(self) -> str:
        """The mean as text; a diverged seed has no loss and counts as the worst of all, which is the least it is."""
        if all(seed.diverged for seed in self.seeds):
            return "diverged"
        return f"{AT_LEAST if any(seed.diverged for seed in self.seeds) else ''}{format_short(self.center)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A task on the first screen."""

    anchor: str
    title: str
    headline: str
    doubts: tuple[Doubt, ...]
    rows: tuple[ScreenRow, ...]
    """The best first; empty if no run has a test loss."""
    trivial: float | None
    floors: tuple[tuple[str, float], ...]
    """Names and losses of what cheap strategies reach."""
    base: str
    """Label of the row that times are multiples of."""
    memory: tuple[MemoryColumn, ...]
    has_criterion: bool

    @property
    def cost(self) -> str:
        """What the best rows cost, in a sentence; empty without rows."""
        return describe_cost(self.rows, self.base)

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """Headings of the matrix that need it, with what they mean."""
        diverged = any(seed.diverged for row in self.rows for seed in row.seeds)
        counted = "; a diverged seed counts as the worst loss of all" if diverged else ""
        entries = [("mean", f"over the seeds, geometric on a logarithmic axis{counted}")]
        if any(row.letters for row in self.rows):
            entries.append(("letter", "rows that share one are not told apart"))
        if any(row.floor for row in self.rows):
            entries.append(("=", "no better than this cheap strategy, whose loss is below the table"))
        if self.has_criterion:
            entries.append(("solved", "seeds that solved the task, by the mean of 50 batches"))
            entries.append(("at step", "the step by which half of the seeds had solved it"))
        entries += [(column.heading, column.meaning) for column in self.memory]
        if any(row.time is not None for row in self.rows):
            entries.append((f"time / {self.base}", f"time of a training step, as a multiple of {self.base}'s"))
        return tuple(entries)

    @property
    def axis(self) -> Axis:
        """The axis of the losses, which all rows of the task share."""
        losses = [seed.loss for row in self.rows for seed in row.seeds]
        return fit_axis([*losses, *self.levels])

    @property
    def levels(self) -> list[float]:
        """The losses of the best answer without memory, if it is known, and of the cheap strategies."""
        return [*([] if self.trivial is None else [self.trivial]), *(loss for _, loss in self.floors)]

    def to_dict(self) -> dict[str, Any]:
        """Returns what the script of the page needs; of each row the values of `SCRIPT_FIELDS`, then its seeds."""
        rows = [
            [
                *(getattr(row, name) for name in SCRIPT_FIELDS),
                [[seed.seed, seed.loss, *([1] if seed.diverged else [])] for seed in row.seeds],
            ]
            for row in self.rows
        ]
        return {
            "anchor": self.anchor,
            "title": self.title,
            "trivial": self.trivial,
            "floors": self.floors,
            "rows": rows,
        }


def build_screen(
    section: Section, out: Path, results: SectionResults | None = None, histories: Histories | None = None
) -> Screen:
    """Returns what the first screen shows of a section.

    Args:
        section: the section.
        out: folder of the report, which the addresses of runs are relative to.
        results: results of the probe of memory on the section, if there are any.
        histories: its learning curves (`analysis.figures.histories.load_histories`); `None`: they are read.
    """
    comparison = compare_losses(section)
    standings = () if comparison is None else comparison.standings
    memory_results = {row.row.label: row for row in results.rows} if results else {}
    columns = [
        column
        for column in MEMORY_COLUMNS
        if any(
            (estimate := row.metric(column.name)) and math.isfinite(estimate.value) for row in memory_results.values()
        )
    ][:MAX_MEMORY_COLUMNS]
    base = base_row(section)
    base_seconds = seconds_per_step(base)
    return Screen(
        anchor=section.anchor,
        title=section.title,
        headline=headline(section),
        doubts=find_doubts(section, comparison, load_histories(section) if histories is None else histories),
        rows=tuple(
            build_row(standing, section, out, base_seconds, memory_results.get(standing.row.label), columns)
            for standing in standings
        ),
        trivial=section.trivial_loss,
        floors=tuple((name, round_value(floor.loss)) for name, floor in section.floors.items()),
        base=base.label,
        memory=tuple(columns),
        has_criterion=section.common_result("criterion") is not None,
    )


def build_row(
    standing: Standing,
    section: Section,
    out: Path,
    base_seconds: float | None,
    results: RowResults | None,
    columns: Sequence[MemoryColumn],
) -> ScreenRow:
    """Returns the numbers of a row.

    Args:
        standing: the row's place in the comparison of losses.
        section: the section.
        out: folder of the report.
        base_seconds: seconds a step of the base row, if known.
        results: what a probe found of the row's memory.
        columns: the measures of memory to give.
    """
    row = standing.row
    time, seconds = solve_time(row), seconds_per_step(row)
    return ScreenRow(
        label=row.label,
        family=family(row.experiment.architecture.name),
        color=row.line_style.color,
        dark_color=lighten(row.line_style.color),
        folder=folder_address(row, out),
        seeds=tuple(
            Seed(seed=run.experiment.seed, loss=round_value(loss), diverged=run.diverged)
            for run, loss in zip(row.runs, standing.values, strict=True)
        ),
        center=round_value(standing.center),
        low=standing.low,
        high=standing.high,
        rank=standing.rank,
        letters=standing.letters,
        solved=None if time is None else time.solved,
        step=None if time is None else time.median,
        parameters=max(row.result_values("parameters")),
        state=max(row.result_values("state_size")),
        seconds=None if seconds is None else round_value(seconds),
        time=round_value(seconds / base_seconds) if seconds and base_seconds else None,
        memory=tuple(memory_cell(results, column) for column in columns),
        floor=format_reached_floor(row, section),
    )


def round_value(value: float) -> float:
    """Returns a number as exactly as a drawing or a reader needs it."""
    return float(f"{value:.6g}")


def memory_cell(results: RowResults | None, column: MemoryColumn) -> Memory:
    """Returns how far back a row remembers; without a value if the probe has none."""
    estimate = None if results is None else results.metric(column.name)
    if estimate is None or not math.isfinite(estimate.value):
        return Memory(value=None, text="", detail="")
    number = f"{estimate.value:.2g}" if 0.01 <= abs(estimate.value) < 10 else format_count(estimate.value)
    text = f"{AT_LEAST if estimate.censored else ''}{number}{column.unit}"
    return Memory(value=round_value(estimate.value), text=text, detail=format_estimate(estimate))


def base_row(section: Section) -> Row:
    """Returns the row that times are multiples of."""
    named = [row for row in section.rows if row.experiment.architecture.name == BASE]
    return (named or section.rows)[0]


def seconds_per_step(row: Row) -> float | None:
    """Returns the mean seconds a step over the runs that have a timing; `None` if none has."""
    times = [run.timing["seconds_per_step"] for run in row.runs if run.timing.get("seconds_per_step") is not None]
    mean = mean_interval(times).mean if times else math.nan
    return mean if math.isfinite(mean) and mean > 0 else None


def folder_address(row: Row, out: Path) -> str:
    """Returns the address of the folder with a row's runs, relative to the page; empty if it is outside of it."""
    folder = Path(os.path.relpath(row.runs[0].folder.parent, out))
    return "" if folder.is_absolute() or ".." in folder.parts else f"{quote(folder.as_posix())}/"


def memory_by_anchor(results: Mapping[str, Sequence[SectionResults]]) -> dict[str, SectionResults]:
    """Returns the results of the probe of memory by the section's anchor.

    Args:
        results: results by probe (`analysis.probes.aggregate.by_probe`).
    """
    return {result.section.anchor: result for result in results.get(MEMORY_PROBE, ())}
