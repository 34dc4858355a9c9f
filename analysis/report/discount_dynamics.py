"""Chapter on how models discount their past: conclusions, a table and figures for every task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from analysis.figures import discount_dynamics as plots
from analysis.formatting import ABSENT, format_estimate, join_names
from analysis.measures.gates import FROZEN_BELOW, LIVE_ABOVE, diagnose_freeze
from analysis.probes.aggregate import RowResults, SectionResults, rows_with_metric
from analysis.probes.gate_statistics import LINEAR_TANH
from analysis.report.answers import Question, describe_answer, is_empty_answer
from analysis.report.blocks import Block, Cell, Chapter, Column, Table
from analysis.report.chapter import (
    MetricColumn,
    build_chapter,
    capitalize_first,
    format_metric,
    present_columns,
    row_heading,
)
from analysis.report.output_files import save_and_inline
from analysis.statistics import Estimate

ANCHOR = "discount-dynamics"
COLUMNS: Sequence[MetricColumn] = (
    ("retention_mean", "mean retention", ""),
    ("time_constant_median", "median unit", "time constant, steps"),
    ("time_constant_longest", "slowest unit", "time constant, steps"),
    ("gamma_half_life", "of gamma alone", "half-life, steps"),
    ("discount_half_life", "of what is kept", "half-life, steps"),
    ("window_share", "window / t at the end", ""),
    ("write_slope", "slope of log write", "freeze"),
    ("dropped_after_use", "dropped after use", "episodes"),
    ("kept_until_used", "kept until used", "episodes"),
    ("forgets_on_purpose", "on purpose", "episodes"),
)

DrawFunction = Callable[[Sequence[RowResults]], Drawing | None]
FIGURES: Sequence[tuple[str, DrawFunction, str]] = (
    (
        "heat",
        plots.draw_gates,
        "Retention (left) and write (right) of every unit in one test sequence, the same for all: the factor on what "
        "was there, and the weight of what is new. Units by their mean retention; of several seeds the first.",
    ),
    (
        "time",
        plots.draw_over_time,
        "Retention, write and effective window against the step, means over units; the band of the retention holds the "
        "middle 80 % of units, other bands are 95 % intervals over seeds. Dashed: what an average over all steps does.",
    ),
    (
        "scales",
        plots.draw_time_scales,
        "Time constants of the units in ascending order, and the share of the last step's influence that lies within a "
        "lag. Of a hierarchy it is the product of the attention along each path, heads averaged, residual paths left "
        "aside. Bands: 95 % intervals over seeds.",
    ),
    (
        "own",
        plots.draw_discounts,
        "The discount gamma of the RDA, and the logarithm of the attention a of the RDA and the RWA, means over units; "
        "bands: the middle 80 % of units.",
    ),
    (
        "episodes",
        plots.draw_episodes,
        "What is held of an episode's symbols while it lasts and through the next one, as a share of all influence, "
        "mean over units and late episodes; and, episode by episode, the share of what was held after its recall that "
        "is gone at the next mark.",
    ),
)
"""Last part of the file name, function that draws the figure, and caption."""

QUESTIONS: Sequence[tuple[str, Question]] = (
    (
        "dropped_after_use",
        Question(
            text="",
            best_phrase="drops the largest share of what it has output before it is asked again",
            quantity="share dropped after use",
        ),
    ),
    (
        "forgets_on_purpose",
        Question(
            text="",
            best_phrase="forgets on purpose by the widest margin, the share kept while needed less that kept after",
            quantity="share kept while needed, less that kept after,",
            signed=True,
        ),
    ),
    (
        "held_over",
        Question(
            text="",
            best_phrase="still holds the largest share of earlier episodes at an episode's last step",
            quantity="share held of earlier episodes",
        ),
    ),
    (
        "time_constant_longest",
        Question(
            text="",
            best_phrase="has the unit that keeps longest, by its time constant",
            quantity="longest time constant",
        ),
    ),
)
"""Metrics that rows are ranked by, with the question that each answers."""
WINDOW_PREFIX = "attention_window_"
"""Beginning of the metrics that say how widely a level of a hierarchy attends."""
DIAGNOSES = {
    "frozen": "frozen, as the weight of what is new falls about as fast as 1 / t, or faster",
    "live": "live to the end, as the weight of what is new falls far more slowly than 1 / t, or not at all",
    "between": "between the two, or too uncertain to tell",
}


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How the past is discounted",
        sentences=lambda section: [
            capitalize_first(sentence, section.rows) for sentence in describe_discount(section.rows)
        ],
        evidence=lambda section: evidence(section, folder),
    )


def evidence(section: SectionResults, folder: Path) -> list[Block]:
    """Returns the table and the figures on a task."""
    table = discount_table(section)
    blocks: list[Block] = [] if table is None else [table]

    def add_figure(drawing: Drawing | None, name: str, caption: str) -> None:
        if drawing is not None:
            blocks.append(save_and_inline(drawing, folder, name, caption=caption))

    prefix = f"{section.section.anchor}-{ANCHOR}"
    for kind, draw, caption in FIGURES:
        add_figure(draw(section.rows), f"{prefix}-{kind}", caption)
    for index, row in enumerate(section.rows):
        name = f"{prefix}-maps-{index}"
        attention = f"{row.row.label}: the attention of each level"
        add_figure(
            plots.draw_attention_maps(row),
            name,
            f"{attention}, mean over sequences and heads, against step and lag; of several seeds the first.",
        )
        add_figure(
            plots.draw_attention_levels(row),
            f"{name}-mean",
            f"{attention} by lag, mean over all steps whose whole window is there.",
        )
    return blocks


def discount_table(section: SectionResults) -> Table | None:
    """Returns the metrics of every row with gates, with their intervals; `None` if no row has gates."""
    rows = [row for row in section.rows if row.metric("retention_mean") is not None]
    if not rows:
        return None
    metrics = present_columns(rows, COLUMNS)
    columns = [Column(heading="architecture", kind="text")]
    for name, heading, group in metrics:
        columns.append(Column(heading=heading, group=group))
        if name == "write_slope":
            columns.append(Column(heading="so", group=group, kind="text"))
    table_rows = []
    for row in rows:
        cells = [row_heading(row)]
        for name, _, _ in metrics:
            cells.append(Cell(text=format_metric(row, name)))
            if name == "write_slope":
                cells.append(Cell(text=diagnose_row(row) or ABSENT))
        table_rows.append(tuple(cells))
    return Table(
        caption=f"Retention and what follows from it on {section.section.title}, with 95 % intervals; frozen: the "
        f"slope's interval lies below {FROZEN_BELOW:.2f}, live: above {LIVE_ABOVE:.2f}",
        columns=tuple(columns),
        rows=tuple(table_rows),
    )


def describe_discount(rows: Sequence[RowResults]) -> list[str]:
    """Returns the conclusions on a task: rankings, freezing, half-lives, growth of attention and attention windows."""
    sentences = []
    for name, question in QUESTIONS:
        answer = [(row.row, without_unit(estimate)) for row, estimate in rows_with_metric(rows, name)]
        if answer:
            sentence = describe_answer(question, answer)
            # This sentence answers a question that the chapter does not ask, so it needs the question's subject.
            needs_subject = question.signed and is_empty_answer(question, answer)
            sentences.append(f"who forgets on purpose: {sentence}" if needs_subject else sentence)
    sentences += describe_freezing(rows)
    sentences += describe_half_lives(rows)
    sentences += describe_growth(rows)
    sentences += describe_linear_averages(rows)
    sentences += describe_attention(rows)
    return sentences


def describe_freezing(rows: Sequence[RowResults]) -> list[str]:
    """Groups the rows by whether their writes freeze, a sentence for each diagnosis."""
    labels: dict[str, list[str]] = {}
    for row in rows:
        slope, diagnosis = row.metric("write_slope"), diagnose_row(row)
        if slope is not None and diagnosis is not None:
            labels.setdefault(diagnosis, []).append(f"{row.row.label} (slope {format_estimate(slope)})")
    return [f"{text}: {join_names(labels[diagnosis])}." for diagnosis, text in DIAGNOSES.items() if diagnosis in labels]


def describe_half_lives(rows: Sequence[RowResults]) -> list[str]:
    """Compares the half-life of what is kept with that by gamma alone, a sentence for each row."""
    sentences = []
    for row, gamma in rows_with_metric(rows, "gamma_half_life"):
        kept = row.metric("discount_half_life")
        if kept is not None:
            sentences.append(
                f"the median unit of {row.row.label} has a half-life of {format_estimate(kept)}; by gamma alone "
                f"it would be {format_estimate(gamma)}."
            )
    return sentences


def describe_growth(rows: Sequence[RowResults]) -> list[str]:
    """Names the rows whose attention grows with time.

    Without a discount, new steps outweigh old ones only if their attention grows.
    """
    growth = [(row, estimate) for row, estimate in rows_with_metric(rows, "attention_growth") if estimate.has_interval]
    growing = [f"{row.row.label} by {format_estimate(estimate)}" for row, estimate in growth if estimate.low > 0]
    level = [row.row.label for row, estimate in growth if estimate.low <= 0 <= estimate.high]
    sentences = []
    if growing:
        sentences.append(
            f"log a grows with time, so that what is new weighs more than what is old: {join_names(growing)}."
        )
    if level:
        sentences.append(f"no growth of log a can be told from 0: {join_names(level)}.")
    return sentences


def describe_linear_averages(rows: Sequence[RowResults]) -> list[str]:
    """States how often the averages of the RWA and the RDA lie where tanh is nearly linear (RDA paper, section 5.1)."""
    shares = [
        f"{row.row.label} {format_estimate(without_unit(estimate))}"
        for row, estimate in rows_with_metric(rows, "linear_share")
    ]
    if not shares:
        return []
    where = f"within {LINEAR_TANH} of 0, where a tanh is nearly linear"
    return [f"n / d lies {where}, in a share of steps: {join_names(shares)}."]


def describe_attention(rows: Sequence[RowResults]) -> list[str]:
    """States how widely each level of a hierarchy attends, a sentence for each row."""
    sentences = []
    for row in rows:
        names = {name for result in row.results for name in result.metrics if name.startswith(WINDOW_PREFIX)}
        parts = []
        for name in sorted(names):
            level = name.removeprefix(WINDOW_PREFIX)
            estimate, curve = row.metric(name), row.curve(f"attention_{level}")
            if estimate is not None and curve is not None:
                window = format_estimate(without_unit(estimate))
                parts.append(f"{level.replace('_', ' ')} to {window} of {len(curve.x)}")
        if parts:
            sentences.append(f"of the outputs below, {row.row.label} attends, by the entropy, at {join_names(parts)}.")
    return sentences


def without_unit(estimate: Estimate) -> Estimate:
    """Returns an estimate without its unit, if the sentence around it names the unit."""
    return replace(estimate, unit="") if estimate.unit in ("share", "outputs") else estimate


def diagnose_row(row: RowResults) -> str | None:
    """Returns `frozen`, `live` or `between` by the interval of the write slope over the seeds; `None` without a slope.

    The interval of a single seed is the probe's own. Without an interval the diagnosis is `between`.
    """
    slope = row.metric("write_slope")
    if slope is None:
        return None
    return diagnose_freeze(slope.low, slope.high) if slope.has_interval else "between"
