"""Chapter on the length of memory: conclusions, figures and a table for every task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.figures.axes import SHARE_SCALE
from analysis.figures.learning_curves import FLOOR_LINE
from analysis.figures.panels import REFERENCE_LINE, Line, Panel, curve_line
from analysis.formatting import ABSENT, format_count, format_plain, join_names, pluralize
from analysis.grouping import Row
from analysis.probes.aggregate import RowResults, SectionResults, rows_with_metric
from analysis.probes.result import FLOOR_CURVE, SHOWN_WITHIN
from analysis.report.answers import Decider, Question, describe_answer, is_empty_answer, rows_at_limit
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import (
    MetricColumn,
    PanelGroup,
    build_chapter,
    capitalize_first,
    describe_intervals,
    format_metric,
    labels_by_unavailable,
    panel_figures,
    row_heading,
)
from analysis.statistics import Estimate, wilson_interval

ANCHOR = "memory-length"
MEASURES = {
    "recall": "recall against lag",
    "memory_capacity": "memory capacity",
    "receptive_field": "effective receptive field",
    "extrapolation": "extrapolation",
}
"""Measures that a row may lack, with their titles, in the order of the report."""
COLUMNS: Sequence[MetricColumn] = (
    ("horizon", "horizon,\nsteps", "recall"),
    ("recall_accuracy", "accuracy,\nall lags", "recall"),
    ("accuracy_at_limit", "accuracy,\nlargest lags", "recall"),
    ("memory_capacity", "sum\nof R²", "memory capacity"),
    ("states", "at\nmost", "memory capacity"),
    ("field_50", "50 %", "lag that holds of the squared gradient"),
    ("field_90", "90 %", "lag that holds of the squared gradient"),
    ("field_95", "95 %", "lag that holds of the squared gradient"),
    ("reach", "reach,\nsteps", ""),
    ("extrapolation", "below trivial\nup to, in T", "longer sequences"),
    ("loss_at_limit", "loss there,\nof trivial", "longer sequences"),
    ("solved_up_to", "solved\nup to, in T", "longer sequences"),
    ("solved_sequences", "sequences\nthere", "longer sequences"),
    ("solved_accuracy", "accuracy\nthere", "longer sequences"),
)
LAG = "lag, steps"
LENGTH_FACTOR = "sequence length, times that of training"
BANDS = "Bands: 95 % intervals."

HORIZON = Question(
    text="",
    best_phrase="recalls from farthest back",
    quantity="recall horizon",
    decider=Decider(metric="accuracy_at_limit", quantity="the accuracy there"),
)
ACCURACY = Question(text="", best_phrase="recalls most", quantity="accuracy")
CAPACITY = Question(text="", best_phrase="has the largest memory capacity", quantity="memory capacity")
GRADIENT_REACH = Question(
    text="",
    best_phrase="has 95 % of its squared gradient within the largest lag",
    quantity="lag within which 95 % of the squared gradient lie",
)
EXTRAPOLATION = Question(
    text="",
    best_phrase="stays below the trivial loss on the longest sequences",
    quantity="extrapolation",
    decider=Decider(metric="loss_at_limit", quantity="the loss there, over the trivial one,", highest=False),
)


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How far back they remember",
        sentences=describe_memory,
        evidence=lambda section: (*draw_figures(section, folder), memory_table(section)),
        unavailable=lambda section: describe_unavailable(section.rows),
    )


def draw_figures(section: SectionResults, folder: Path) -> list[Figure]:
    """Draws recall, memory capacity and gradient against lag, and loss and accuracy against sequence length."""
    rows = section.rows
    groups: dict[str, PanelGroup] = {
        "recall": (
            "Accuracy against the lag from where a symbol was shown to where it is recalled, neighbouring lags "
            "together; the horizon is where it falls below the dashed line, half way from chance to 1. " + BANDS,
            [recall_panel(rows)],
        ),
        "capacity": (
            "How well white noise read at a lag can be reconstructed, linearly, from the output, on held-out data; "
            "memory capacity is the sum over all lags, that of lag 0, which a logarithmic axis does not have, "
            "included. " + BANDS,
            [metric_panel(rows, "capacity", LAG, "R²", unit=True, log_x=True)],
        ),
        "gradient": (
            "Share of the squared gradient of the last output that lies within a lag. " + BANDS,
            [metric_panel(rows, "gradient_share", LAG, "share within the lag", unit=True, log_x=True)],
        ),
        "extrapolation": (
            "Test loss, and accuracy where the task has one, on sequences up to 16 times as long as those of "
            "training; the dashed line is the loss of the best answer without memory. " + BANDS,
            [
                extrapolation_panel(rows),
                metric_panel(rows, "extrapolation_accuracy", LENGTH_FACTOR, "accuracy", unit=True, log_x=True),
            ],
        ),
    }
    return panel_figures(section, folder, anchor=ANCHOR, groups=groups)


def metric_panel(
    rows: Sequence[RowResults], name: str, x_label: str, y_label: str, *, unit: bool = False, log_x: bool = False
) -> Panel | None:
    """Returns a panel of the rows' curves of a name; `None` if no row has a curve with two points or more.

    Args:
        rows: rows of a task.
        name: name of the curves.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        unit: whether the vertical axis is from 0 to 1.
        log_x: whether the horizontal axis is logarithmic.
    """
    lines = drawable_lines(rows, name, 1 if log_x else 0)
    if not lines:
        return None
    return Panel(lines=lines, x_label=x_label, y_label=y_label, log_x=log_x, scale=SHARE_SCALE if unit else None)


def recall_panel(rows: Sequence[RowResults]) -> Panel | None:
    """Returns the panel of accuracy against lag, with the bound that defines the horizon."""
    lines = drawable_lines(rows, "recall", 0)
    bound = next((estimate.value for row in rows if (estimate := row.metric("recall_bound")) is not None), None)
    if not lines or bound is None:
        return None
    x = np.array([min(line.x.min() for line in lines), max(line.x.max() for line in lines)])
    half_way = Line(label="half way", x=x, y=np.array([bound, bound]), plot_keywords=REFERENCE_LINE)
    return Panel(lines=[*lines, half_way], x_label=LAG, y_label="accuracy", scale=SHARE_SCALE)


def extrapolation_panel(rows: Sequence[RowResults]) -> Panel | None:
    """Returns the panel of loss against sequence length, with the trivial loss and the floors."""
    lines = drawable_lines(rows, "extrapolation_loss", 1)
    trivial_losses = [curve for row in rows if (curve := row.curve("extrapolation_trivial")) is not None]
    if not lines:
        return None
    longest = max(trivial_losses, key=lambda curve: len(curve.x))
    trivial = Line(label="trivial", x=longest.to_array("x"), y=longest.to_array(), plot_keywords=REFERENCE_LINE)
    names = {name for row in rows for result in row.results for name in result.curves if name.startswith(FLOOR_CURVE)}
    floors = []
    for name in sorted(names):
        curve = max((curve for row in rows if (curve := row.curve(name)) is not None), key=lambda curve: len(curve.x))
        label = name.removeprefix(FLOOR_CURVE).replace("_", " ")
        floors.append(Line(label=label, x=curve.to_array("x"), y=curve.to_array(), plot_keywords=dict(FLOOR_LINE)))
    return Panel(lines=[*lines, trivial, *floors], x_label=LENGTH_FACTOR, y_label="loss", log_x=True)


def drawable_lines(rows: Sequence[RowResults], name: str, least_x: float) -> list[Line]:
    """Returns the rows' curves of a name that have at least two finite values from `least_x` on."""
    curves = [(row, curve) for row in rows if (curve := row.curve(name)) is not None]
    return [
        curve_line(row, curve)
        for row, curve in curves
        if np.isfinite(curve.to_array()[curve.to_array("x") >= least_x]).sum() > 1
    ]


def memory_table(section: SectionResults) -> Table:
    """Returns every metric of each row with its interval, without the columns that no row has."""
    columns = [column for column in COLUMNS if any(format_cell(row, column[0]) != ABSENT for row in section.rows)]
    return Table(
        caption=f"Memory on {section.section.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            *(Column(heading=heading, group=group) for _, heading, group in columns),
        ),
        rows=tuple(
            (row_heading(row), *(Cell(text=format_cell(row, name)) for name, _, _ in columns)) for row in section.rows
        ),
    )


def format_cell(row: RowResults, name: str) -> str:
    """Returns a metric of a row as the table shows it."""
    estimate = row.metric(name)
    if estimate is None:
        return "all" if name == "reach" and row.label("reach") == "unbounded" else ABSENT
    if name == "horizon" and estimate.value == 0 and (smallest := row.metric("smallest_lag")) is not None:
        # Not recalled even at the smallest lag that was tested; smaller ones are unknown.
        return f"< {format_plain(smallest.value)}"
    if name == "solved_sequences":
        return format_count(row.least(name))
    # Properties of the model are the same for every seed, and have no interval.
    return format_count(estimate.value) if name in ("reach", "states") else format_metric(row, name)


def describe_memory(section: SectionResults) -> list[str]:
    """Returns the conclusions on a task: recall, memory capacity, reach of the gradient and longer sequences."""
    rows = section.rows
    sentences = [
        describe_recall(rows),
        describe_capacity(rows),
        describe_gradient_reach(rows),
        describe_extrapolation(rows),
        describe_solved_length(rows),
        describe_intervals(rows),
    ]
    return [sentence for sentence in sentences if sentence]


def describe_recall(rows: Sequence[RowResults]) -> str:
    """Names the row that recalls from farthest back; if all is recalled at one lag, the row that recalls most."""
    answer = rank_rows(rows, "horizon")
    # The task decides on the lags, so they are taken over all rows.
    lags = [[estimate.value for _, estimate in rank_rows(rows, name)] for name in ("smallest_lag", "largest_lag")]
    if not answer or not all(lags):
        return ""
    smallest, largest = min(lags[0]), max(lags[1])
    if smallest == largest:
        shares = [(row, replace(estimate, unit="1")) for row, estimate in rank_rows(rows, "recall_accuracy")]
        most = describe_answer(ACCURACY, shares)
        return f"Everything is recalled at one lag, {format_plain(smallest)} steps: {most}"
    tested = f"The lags run from {format_plain(smallest)} to {format_plain(largest)} steps"
    if is_empty_answer(HORIZON, answer):
        return f"{tested}, and none of {join_names([row.label for row, _ in answer])} recalls at the smallest of them."
    sentence = describe_question(rows, HORIZON, "horizon")
    reached = "; who reaches the largest still recalls more than half way from chance to all there"
    end = reached if rows_at_limit(answer) else ""
    return f"{sentence} {tested}{end}."


def describe_capacity(rows: Sequence[RowResults]) -> str:
    """Names the row with the largest memory capacity, and states the upper bound of its capacity."""
    answer = rank_rows(rows, "memory_capacity")
    if not answer:
        return ""
    sentence = capitalize_first(describe_answer(CAPACITY, answer), rows)
    states = next(row for row in rows if row.row is answer[0][0]).metric("states")
    if states is None or is_empty_answer(CAPACITY, answer):
        return sentence
    return f"{sentence} It can be at most {format_plain(states.value)}, the number of its outputs."


def describe_gradient_reach(rows: Sequence[RowResults]) -> str:
    """Names the row whose gradient reaches farthest back."""
    return describe_question(rows, GRADIENT_REACH, "field_95") if rank_rows(rows, "field_95") else ""


def describe_extrapolation(rows: Sequence[RowResults]) -> str:
    """Names the row that stays below the trivial loss on the longest sequences."""
    answer = rank_rows(rows, "extrapolation")
    if not answer:
        return ""
    if is_empty_answer(EXTRAPOLATION, answer):
        labels = join_names([row.label for row, _ in answer])
        return (
            f"The loss of none of {labels} can be told to lie below the trivial loss, not even at the training length."
        )
    return describe_question(rows, EXTRAPOLATION, "extrapolation")


def describe_solved_length(rows: Sequence[RowResults]) -> str:
    """Says on how many sequences it rests that a task is solved up to a length; empty if that is not known."""
    counts = [count for row in rows if (count := row.least("solved_sequences")) is not None]
    if not counts:
        return ""
    fewest = int(min(counts))
    sentence = (
        "Solved up to a length means that the criterion holds at every length tested up to it, on at least "
        f"{pluralize(fewest, 'test sequence')} of each."
    )
    if not any(row.metric("solved_accuracy") for row in rows):
        return sentence
    shown, _ = wilson_interval(np.array(1.0), np.array(fewest))
    return (
        f"{sentence} So many without a mistake show an accuracy of at least {shown:.2f}; the lower end of the interval "
        f"asks for the criterion's accuracy less {SHOWN_WITHIN:.3g}."
    )


def describe_question(rows: Sequence[RowResults], question: Question, name: str) -> str:
    """Returns the answer to a question by the metric of a name, as a sentence that says what it is about."""
    answer = rank_rows(rows, name)
    deciding = [] if question.decider is None else rank_rows(rows, question.decider.metric)
    sentence = describe_answer(question, answer, deciding=deciding)
    if len(rows_at_limit(answer)) > 1:
        sentence = f"{question.quantity}: {sentence}"
    return capitalize_first(sentence, rows)


def rank_rows(rows: Sequence[RowResults], name: str) -> list[tuple[Row, Estimate]]:
    """Returns the rows that have a metric, with its value, the largest first."""
    return [(row.row, estimate) for row, estimate in rows_with_metric(rows, name)]


def describe_unavailable(rows: Sequence[RowResults]) -> list[str]:
    """Returns a sentence for each measure that rows lack and each reason, naming the rows unless all lack it."""

    def order(name: str) -> tuple[int, int, str]:
        return list(MEASURES).index(measure_group(name)), len(name), name

    by_measure = sorted(labels_by_unavailable(rows).items(), key=lambda item: order(item[0][0]))
    return [
        f"{measure_title(name)}{'' if len(labels) == len(rows) else f' of {join_names(labels)}'}: {reason}."
        for (name, reason), labels in by_measure
    ]


def measure_group(name: str) -> str:
    """Returns the entry of `MEASURES` that an unavailable measure belongs to: `extrapolation` of `extrapolation_16`."""
    return next((group for group in MEASURES if name == group or name.startswith(f"{group}_")), "extrapolation")


def measure_title(name: str) -> str:
    """Returns the title of an unavailable measure, with a capital letter."""
    title = MEASURES[measure_group(name)]
    factor = name.removeprefix(f"{measure_group(name)}_")
    title += f" at {factor} times the training length" if factor.isdecimal() else ""
    return title[:1].upper() + title[1:]
