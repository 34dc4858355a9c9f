"""Score against state size: what an architecture reaches with so many numbers carried from step to step.

Drawn where the same architecture was trained in several widths and with all else equal: memory is what recall costs
(Arora et al. 2024, arXiv 2312.04927 and 2402.18668).
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from analysis.comparison.intervals import MeanInterval, loss_interval, loss_scale, share_interval
from analysis.figures.axes import MIN_BAND_SEEDS, SHARE_SCALE
from analysis.figures.learning_curves import reference_levels
from analysis.figures.panels import Line, Panel, draw_panels
from analysis.formatting import format_count, format_number, join_names
from analysis.grouping import Row, Section
from analysis.report.blocks import Block, Text
from analysis.report.output_files import save_and_inline
from analysis.style import family

WIDTH = "hidden_size"
MARGIN = 0.04
"""Space beyond the ends of the horizontal axis, as a share of its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptWidths:
    """One architecture in several widths."""

    label: str
    rows: tuple[Row, ...]
    """In ascending order of state size."""


def blocks(section: Section, folder: Path) -> list[Block]:
    """Returns the figure and its sentence; none where no architecture was trained in several widths.

    Args:
        section: the runs on a variant of a task.
        folder: folder of the figure files.
    """
    if not (swept := swept_widths(section)):
        return []
    drawing = draw_state_sizes(section, swept)
    name = f"{section.anchor}-state-size"
    figure = save_and_inline(drawing, folder, name, caption=caption(section), alt_text=alt_text(section, swept))
    return [figure, Text(sentences=(describe_state_sizes(section, swept),), lead="State.")]


def swept_widths(section: Section) -> list[SweptWidths]:
    """Returns the architectures that were trained in several widths, everything else being equal."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in section.rows:
        configuration = row.experiment.to_dict()
        options = configuration["architecture"]["options"]
        if WIDTH in options:
            del configuration["seed"], options[WIDTH]
            groups[json.dumps(configuration, sort_keys=True)].append(row)
    swept = [sorted(rows, key=state_size) for rows in groups.values() if len({*map(state_size, rows)}) > 1]
    names = [rows[0].experiment.architecture.name for rows in swept]
    return [
        # Several depths of one architecture are told apart as in the tables, by the first of their rows.
        SweptWidths(label=name if names.count(name) == 1 else rows[0].label, rows=tuple(rows))
        for name, rows in zip(names, swept, strict=True)
    ]


def state_size(row: Row) -> int:
    """Returns how many numbers a row's architecture carries after as many steps as the task has."""
    return int(row.result_values("state_size")[0])


def has_accuracy(section: Section) -> bool:
    """Returns whether the accuracy is drawn, and not the loss."""
    return "accuracy" in section.metrics


def mean_score(row: Row, section: Section) -> MeanInterval:
    """Returns the mean test accuracy of a row, or else its loss, over the seeds that did not diverge."""
    name = "accuracy" if has_accuracy(section) else "loss"
    values = [value for run in row.trained_runs if math.isfinite(value := run.test_metric(name))]
    if has_accuracy(section):
        return share_interval(values, row.experiment.budget.evaluation_size)
    return loss_interval(values, loss_scale(values))


def draw_state_sizes(section: Section, swept: Sequence[SweptWidths]) -> Drawing:
    """Draws the test accuracy, or the loss, against the state size, a line for each architecture."""
    lines = []
    for widths in swept:
        scores = [mean_score(row, section) for row in widths.rows]
        # Over fewer seeds, intervals are so wide that they hide all lines.
        banded = all(score.n >= MIN_BAND_SEEDS and score.low is not None for score in scores)
        low, high = (
            np.array([math.nan if (value := getattr(score, end)) is None else value for score in scores])
            for end in ("low", "high")
        )
        lines.append(
            Line(
                label=widths.label,
                x=np.array([float(state_size(row)) for row in widths.rows]),
                y=np.array([score.mean for score in scores]),
                plot_keywords=widths.rows[0].line_style.plot_keywords(),
                low=low if banded else None,
                high=high if banded else None,
                mark_every_point=True,
                family=family(widths.rows[0].experiment.architecture.name),
            )
        )
    ends = np.array([min(line.x.min() for line in lines), max(line.x.max() for line in lines)])
    for level in reference_levels(section, "val/accuracy" if has_accuracy(section) else "val/loss"):
        y = np.full(2, level.value)
        lines.append(Line(label=level.text, x=ends, y=y, plot_keywords=dict(level.plot_keywords)))
    return draw_panels(
        [
            Panel(
                lines=lines,
                x_label="numbers carried from step to step (logarithmic)",
                y_label="accuracy" if has_accuracy(section) else "loss",
                log_x=True,
                scale=SHARE_SCALE if has_accuracy(section) else None,
                margin=MARGIN,
            )
        ]
    )


def caption(section: Section) -> str:
    """Returns the caption."""
    score = "accuracy" if has_accuracy(section) else "loss"
    steps = format_count(section.runs[0].result["time"])
    return (
        f"Test {score} against the state size, the numbers carried after the {steps} steps of a sequence, of "
        "architectures that were trained in several widths with all else equal. Bands: 95 % intervals, from four seeds "
        "on. Attention carries keys and values, so that its state grows with the sequence."
    )


def alt_text(section: Section, swept: Sequence[SweptWidths]) -> str:
    """Describes the figure for screen readers: every point."""
    score = "accuracy" if has_accuracy(section) else "loss"
    texts = []
    for widths in swept:
        points = [
            f"{format_number(mean_score(row, section).mean)} with {format_count(state_size(row))}"
            for row in widths.rows
        ]
        texts.append(f"{widths.label} {', '.join(points)}")
    return f"Test {score} against state size on {section.title}. {'; '.join(texts)}."


def describe_state_sizes(section: Section, swept: Sequence[SweptWidths]) -> str:
    """Says with how few numbers each architecture solves the task on every seed, and which do with none of the widths.

    Where nothing counts as solved, names the best width of each.
    """
    if section.common_result("criterion") is None:
        return f"{join_names([describe_best(section, widths) for widths in swept])}."
    solving, unsolved = [], []
    for widths in swept:
        sizes = [state_size(row) for row in widths.rows if None not in row.result_values("solved_at")]
        if sizes:
            solving.append((sizes[0], f"{format_count(sizes[0])} for {widths.label}"))
        else:
            unsolved.append(f"{widths.label} (up to {format_count(state_size(widths.rows[-1]))} numbers)")
    if not solving:
        return f"No width of {join_names(unsolved)} solved the task on every seed."
    fewest = join_names([text for _, text in sorted(solving)])
    others = f"; no width of {join_names(unsolved)} did" if unsolved else ""
    return f"The fewest numbers carried with which every seed solved the task: {fewest}{others}."


def describe_best(section: Section, widths: SweptWidths) -> str:
    """Names the best score of an architecture, and the state that it has there."""
    best = max if has_accuracy(section) else min
    scores = [(mean_score(row, section).mean, state_size(row)) for row in widths.rows]
    known = [score for score in scores if math.isfinite(score[0])]
    if not known:
        return f"{widths.label} diverges"
    score, size = best(known, key=lambda point: point[0])
    word = "an accuracy of" if has_accuracy(section) else "a loss of"
    return f"{widths.label} reaches {word} {format_number(score)} with {format_count(size)} numbers"
