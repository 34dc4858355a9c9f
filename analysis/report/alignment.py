"""Chapter on alignment: conclusions, figures and a table for every task."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from analysis.figures.axes import SHARE_SCALE
from analysis.figures.discount_dynamics import first_heatmap
from analysis.figures.heatmaps import ColorScale, HeatmapRow, draw_heatmaps
from analysis.figures.panels import Panel, curve_line
from analysis.probes.aggregate import RowResults, SectionResults, rows_with_metric
from analysis.report.answers import Question, describe_answer
from analysis.report.blocks import Block, Cell, Chapter, Column, Table
from analysis.report.chapter import (
    MetricColumn,
    PanelGroup,
    build_chapter,
    capitalize_first,
    describe_intervals,
    format_metric,
    labels_by_unavailable,
    panel_figures,
    present_columns,
    row_heading,
)
from analysis.report.output_files import save_and_inline

ANCHOR = "alignment"
COLUMNS: Sequence[MetricColumn] = (
    ("aligned", "strongest at\nthe source", "weights of the input's steps"),
    ("aligned_first", "where it\nchanges", "weights of the input's steps"),
    ("aligned_near", "or\nbeside it", "weights of the input's steps"),
    ("source_weight", "weight of\nthe source", "weights of the input's steps"),
    ("map_entropy", "entropy,\nnats", "weights of the input's steps"),
    ("accuracy_shortest", "shortest", "accuracy by source"),
    ("accuracy_longest", "longest", "accuracy by source"),
    ("free_accuracy_shortest", "shortest", "with answers fed back"),
    ("free_accuracy_longest", "longest", "with answers fed back"),
    ("stored_share", "stored,\nof T", ""),
)
LENGTH = "length of the source, steps"
BANDS = "Bands: 95 % intervals."
QUESTIONS = (
    (
        "aligned_first",
        Question(
            text="",
            best_phrase="has its strongest weight most often at the step that is asked for, where that changes",
            quantity="share of answers with the strongest weight at the step that is asked for, where that changes",
        ),
    ),
    (
        "free_accuracy_longest",
        Question(
            text="",
            best_phrase="is right most often at the longest sources, with its own answers as inputs",
            quantity="accuracy at the longest sources, with its own answers as inputs",
        ),
    ),
    (
        "accuracy_longest",
        Question(
            text="",
            best_phrase="is right most often at the longest sources",
            quantity="accuracy at the longest sources",
        ),
    ),
    (
        "stored_share",
        Question(text="", best_phrase="stores the least", quantity="share of the steps that is stored", highest=False),
    ),
)
MEASURES = {"maps": "Weights of the input's steps", "length": "Accuracy by source", "stored": "What is stored"}
"""Measures that a row may lack, with their titles."""


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="Where they look, and what they store",
        sentences=describe_alignment,
        evidence=lambda section: evidence(section, folder),
        unavailable=lambda section: describe_unavailable(section.rows),
    )


def describe_alignment(section: SectionResults) -> list[str]:
    """Returns the conclusions on a task: who looks at the source, who can do long ones, and who stores least."""
    rows, sentences = section.rows, []
    for name, question in QUESTIONS:
        if answer := [(row.row, estimate) for row, estimate in rows_with_metric(rows, name)]:
            sentence = describe_answer(question, answer)
            # Of a single row the answer does not say what the number is.
            sentence = f"{question.quantity}: {sentence}" if len(answer) == 1 else sentence
            sentences.append(capitalize_first(sentence, rows))
    sentences.append(describe_intervals(rows))
    return [sentence for sentence in sentences if sentence]


def evidence(section: SectionResults, folder: Path) -> list[Block]:
    """Returns the table and the figures on a task."""
    rows, columns = section.rows, present_columns(section.rows, COLUMNS)
    blocks: list[Block] = []
    if columns:
        table = Table(
            caption=f"Alignment on {section.section.title}, with 95 % intervals where there are any",
            columns=(
                Column(heading="architecture", kind="text"),
                *(Column(heading=heading, group=group) for _, heading, group in columns),
            ),
            rows=tuple(
                (row_heading(row), *(Cell(text=format_metric(row, name)) for name, _, _ in columns)) for row in rows
            ),
        )
        blocks.append(table)
    groups: dict[str, PanelGroup] = {
        "length": (
            "Accuracy against the length of the source: with the right answer of the step before as input, and with "
            f"the model's own. {BANDS}",
            [
                curve_panel(rows, "length", LENGTH, "accuracy", share=True),
                curve_panel(rows, "free_length", LENGTH, "accuracy, own answers", share=True),
            ],
        ),
        "aligned": (
            "Share of answers at which the step with the largest weight is the one that is asked for: of all answers, "
            f"and of those that ask for another step than the answer before. {BANDS}",
            [
                curve_panel(rows, "aligned", LENGTH, "share aligned", share=True),
                curve_panel(rows, "aligned_first", LENGTH, "share aligned, where it changes", share=True),
            ],
        ),
        "stored": (
            "Steps that are stored so far, of those that have been read; mean over test sequences.",
            [curve_panel(rows, "stored", "step", "stored")],
        ),
    }
    blocks += panel_figures(section, folder, anchor=ANCHOR, groups=groups)
    if (drawing := draw_maps(rows)) is not None:
        blocks.append(
            save_and_inline(
                drawing,
                folder,
                f"{ANCHOR}-{section.section.anchor}-maps",
                caption="Weight of each step of a source at each step of its answer, on the left, and the step that is "
                "asked for, on the right: a test sequence with the longest source; of several seeds the first.",
            )
        )
    return blocks


def curve_panel(
    rows: Sequence[RowResults], name: str, x_label: str, y_label: str, *, share: bool = False
) -> Panel | None:
    """Returns a panel of the rows' curves of a name; `None` if no row has one with two points or more."""
    curves = [(row, curve) for row in rows if (curve := row.curve(name)) is not None]
    lines = [curve_line(row, curve) for row, curve in curves if np.isfinite(curve.to_array()).sum() > 1]
    if not lines:
        return None
    return Panel(lines=lines, x_label=x_label, y_label=y_label, scale=SHARE_SCALE if share else None)


def draw_maps(rows: Sequence[RowResults]) -> Drawing | None:
    """Draws the map of each row that has one, with the truth beside it."""
    drawn = [
        HeatmapRow(title=row.row.label, heatmaps=(weights, first_heatmap(row, "truth")))
        for row in rows
        if (weights := first_heatmap(row, "map")) is not None
    ]
    scales = (ColorScale(label="weight", low=0, high=1), ColorScale(label="asked for", low=0, high=1))
    return draw_heatmaps(drawn, scales) if drawn else None


def describe_unavailable(rows: Sequence[RowResults]) -> list[str]:
    """Returns a sentence for each measure that rows lack and each reason."""
    return [
        f"{MEASURES[name]} of {', '.join(labels)}: {reason}."
        for (name, reason), labels in labels_by_unavailable(rows, MEASURES).items()
    ]
