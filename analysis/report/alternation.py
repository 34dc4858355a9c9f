"""Chapter on lemma 1 of the RDA paper: conclusions, a table and a figure for every task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from analysis.figures.discount_dynamics import draw_nonempty, finite_lines, linear_scale, log_scale
from analysis.figures.panels import REFERENCE_LINE, Line, Panel
from analysis.formatting import format_estimate, join_names
from analysis.probes.aggregate import RowResults, SectionResults, rows_with_metric
from analysis.report.answers import Question, describe_answer, rank
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
from analysis.report.ranking import geometric_estimate
from analysis.statistics import Estimate
from analysis.style import DOTTED

ANCHOR = "alternation"
COLUMNS: Sequence[MetricColumn] = (
    ("loss", "loss", "at the training length"),
    ("loss_share", "of the trivial loss", "at the training length"),
    ("amplitude", "amplitude / c", "at the training length"),
    ("loss_beyond", "loss", "on to 4 times as much"),
    ("amplitude_beyond", "amplitude / c", "on to 4 times as much"),
    ("write_last", "write at the end", "write"),
    ("write_slope", "slope of log write", "write"),
    ("attention_growth", "measured", "growth of log a, nats a step"),
    ("growth_needed", "needed", "growth of log a, nats a step"),
    ("growth_of_lemma", "by the lemma as it stands", "growth of log a, nats a step"),
)
CAPTION = (
    "Squared error, growth of log a, and write against the step, on to four times the length of training. log a and "
    "write are means over units, each by how far it can move the answer in a step. Dashed: what log a has to grow by, "
    "at least, for the answer to keep alternating, with the read-out and the features of the first average without a "
    "discount; dotted: the same by the lemma as it stands, where the state itself is the answer; and 1 / t, the write "
    "of an average whose attention no longer grows. Means of two steps; bands: 95 % intervals over seeds."
)
LOWEST_LOSS = Question(text="", best_phrase="has the lowest loss", quantity="loss", highest=False)


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="Lemma 1: alternation",
        sentences=lambda section: [
            capitalize_first(sentence, section.rows) for sentence in describe_alternation(section.rows)
        ],
        evidence=lambda section: evidence(section, folder),
    )


def evidence(section: SectionResults, folder: Path) -> list[Block]:
    """Returns the table and the figure on a task."""
    blocks: list[Block] = [alternation_table(section)]
    if (drawing := draw_alternation(section.rows)) is not None:
        blocks.append(save_and_inline(drawing, folder, f"{section.section.anchor}-lemma", caption=CAPTION))
    return blocks


def alternation_table(section: SectionResults) -> Table:
    """Returns the metrics of every row with their intervals."""
    columns = present_columns(section.rows, COLUMNS)
    return Table(
        caption=f"Lemma 1 on {section.section.title}, with 95 % intervals where there are any",
        columns=(
            Column(heading="architecture", kind="text"),
            *(Column(heading=heading, group=group) for _, heading, group in columns),
        ),
        rows=tuple(
            (row_heading(row), *(Cell(text=format_metric(row, name)) for name, _, _ in columns)) for row in section.rows
        ),
    )


def draw_alternation(rows: Sequence[RowResults]) -> Drawing | None:
    """Draws error, growth of log a with its lower bounds, and write against the step; `None` without curves."""
    error, attention, write = (finite_lines(rows, name) for name in ("error", "log_attention", "write"))
    without_bands = [replace(line, low=None, high=None) for line in attention]
    attention_scale = linear_scale(without_bands)
    if attention_scale is not None:
        for name, label, dash in (
            ("growth_needed", "needed", REFERENCE_LINE["linestyle"]),
            ("growth_of_lemma", "lemma as it stands", DOTTED),
        ):
            growth = next((estimate for row in rows if (estimate := row.metric(name)) is not None), None)
            if growth is not None:
                x = attention[0].x
                y = growth.value * (x - x[0])
                # The bound is drawn no higher than the measured lines.
                y = np.where(y <= attention_scale.high, y, np.nan)
                attention.append(Line(label=label, x=x, y=y, plot_keywords={**REFERENCE_LINE, "linestyle": dash}))
    if write:
        x = max((line.x for line in write), key=len)
        write.append(Line(label="1 / t", x=x, y=1 / x, plot_keywords=REFERENCE_LINE))
    return draw_nonempty(
        Panel(lines=error, x_label="step", y_label="squared error (logarithmic)", scale=log_scale(error)),
        Panel(lines=attention, x_label="step", y_label="log a, nats", scale=attention_scale),
        Panel(
            lines=write,
            x_label="step (logarithmic)",
            y_label="write (logarithmic)",
            log_x=True,
            scale=log_scale(write),
        ),
    )


def describe_alternation(rows: Sequence[RowResults]) -> list[str]:
    """Returns the conclusions on a task: losses, growth of attention, and amplitude beyond the training length."""
    sentences = []
    # Losses are compared on a log scale: a single seed with a large one would decide on an arithmetic mean.
    losses = [(row.row, estimate) for row in rows if (estimate := mean_loss(row)) is not None]
    if losses:
        sentences.append(describe_answer(LOWEST_LOSS, rank(losses, highest=False)))
    shares = [(row.row.label, estimate.value) for row, estimate in rows_with_metric(rows, "loss_share")]
    if constant := [label for label, share in shares if 0.9 < share <= 1.1]:
        sentences.append(f"within a tenth of the trivial loss, that of a constant answer: {join_names(constant)}.")
    if worse := [label for label, share in shares if share > 1.1]:
        sentences.append(f"above the trivial loss, and so worse than a constant answer: {join_names(worse)}.")
    for row in rows:
        sentences += describe_growth(row)
    fading = []
    for row in rows:
        near, far = row.metric("amplitude"), row.metric("amplitude_beyond")
        if near is not None and far is not None and near.value > 0.5 and far.value < 0.5 * near.value:
            if near.has_interval and far.has_interval and near.overlaps(far):
                continue
            near, far = replace(near, unit=""), replace(far, unit="")
            fading.append(f"{row.row.label} from {format_estimate(near)} to {format_estimate(far)} of c")
    if fading:
        sentences.append(f"beyond the length of training the amplitude falls by more than half: {', '.join(fading)}.")
    return sentences


def mean_loss(row: RowResults) -> Estimate | None:
    """Returns the geometric mean of the loss over the seeds; `None` without one."""
    losses = [result.metrics["loss"].value for result in row.results if "loss" in result.metrics]
    return geometric_estimate([loss for loss in losses if loss is not None], "")


def describe_growth(row: RowResults) -> list[str]:
    """Compares the growth of attention in an average without a discount with the growth that lemma 1 needs."""
    measured, needed = row.metric("attention_growth"), row.metric("growth_needed")
    margin, margin_beyond = row.metric("growth_margin"), row.metric("growth_margin_beyond")
    if measured is None or needed is None or margin is None:
        return []
    growth = f"the attention of {row.row.label} grows by {format_estimate(measured)}"
    bound = f"the {format_estimate(needed)} that lemma 1 asks for with its read-out and features"
    if not margin.has_interval:
        sentences = [f"{growth}, beside {bound}."]
    elif margin.low > 0:
        sentences = [f"{growth}, more than {bound}."]
    elif margin.high < 0:
        sentences = [f"{growth}, less than {bound}: it cannot go on like this."]
    else:
        sentences = [f"{growth}, which cannot be told from {bound}."]
    if margin_beyond is not None and margin_beyond.has_interval and margin_beyond.high < 0:
        sentences.append(
            f"after the length of training it falls short of that by {format_estimate(_negated(margin_beyond))}, as "
            "corollary 2 says of any bounded attention."
        )
    elif margin_beyond is not None and margin_beyond.has_interval and margin_beyond.low > 0:
        sentences.append(f"it still grows faster, by {format_estimate(margin_beyond)}, at the steps that follow.")
    return sentences


def _negated(estimate: Estimate) -> Estimate:
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)
