"""Chapter over all tasks: interquartile means, probabilities of improvement, and performance profiles."""

from collections.abc import Sequence
from pathlib import Path

from analysis.comparison.across_tasks import (
    Scores,
    interquartile_mean,
    probability_of_improvement,
    scores_of,
)
from analysis.figures.performance_profiles import draw_performance_profiles
from analysis.formatting import ABSENT, join_names, pluralize
from analysis.grouping import Section
from analysis.report.blocks import Block, Cell, Chapter, Column, Table, Text
from analysis.report.output_files import save_and_inline
from analysis.statistics import Interval
from analysis.style import family

ANCHOR = "all-tasks"
BASE = "lstm"
"""The row that the others are compared with, if it is there; else the first."""
EXPLANATION = (
    "A run's score is the share of the way from the answer without memory, 0, to the mean of the best architecture on "
    "that task, 1, on a log scale of the test loss.",
    "IQM: the mean of the middle half of all scores. Intervals are 95 %, by a bootstrap of seeds within each task.",
)


def chapter(sections: Sequence[Section], folder: Path) -> Chapter | None:
    """Returns the chapter; `None` unless two tasks have two architectures in common, with five seeds on each.

    Args:
        sections: sections of the report.
        folder: folder of the figure files.
    """
    scores = scores_of(sections)
    if scores is None:
        return None
    styles = {row.label: row.line_style for section in sections for row in section.rows}
    base = scores.labels.index(BASE) if BASE in scores.labels else 0
    means = [interquartile_mean(scores, row) for row in range(len(scores.labels))]
    order = sorted(range(len(scores.labels)), key=lambda row: (-(means[row].value or 0.0), scores.labels[row]))
    wins = {row: probability_of_improvement(scores, row, base) for row in order if row != base}
    families = {row.label: family(row.experiment.architecture.name) for section in sections for row in section.rows}
    drawing = draw_performance_profiles(
        scores, [styles[label] for label in scores.labels], [families[label] for label in scores.labels]
    )
    caption = (
        "Performance profiles: the share of runs whose score is above each value, mean over the tasks. A curve that "
        "lies above another everywhere is better on all of them."
    )
    blocks: list[Block] = [
        Text(sentences=(headline(scores, order, means),), role="summary"),
        save_and_inline(drawing, folder, f"{ANCHOR}-profiles", caption=caption),
        Table(
            caption=f"Over {pluralize(len(scores.titles), 'task')}",
            columns=(
                Column(heading="architecture", kind="text"),
                Column(heading="IQM of scores\n[95 %]"),
                Column(heading=f"beats {scores.labels[base]} with\nprobability [95 %]"),
            ),
            rows=tuple(
                (
                    Cell(text=scores.labels[row], line_style=styles[scores.labels[row]]),
                    Cell(text=format_share(means[row])),
                    Cell(text=ABSENT if row == base else format_share(wins[row])),
                )
                for row in order
            ),
        ),
        Text(sentences=(*EXPLANATION, f"Tasks: {join_names(scores.titles)}."), lead="How it is counted."),
    ]
    return Chapter(anchor=ANCHOR, title="Over all tasks", blocks=tuple(blocks), outline=headline(scores, order, means))


def headline(scores: Scores, order: Sequence[int], means: Sequence[Interval]) -> str:
    """Returns the first row by its interquartile mean, and those whose interval reaches its own."""
    first = order[0]
    low = means[first].low or 0.0
    near = [scores.labels[row] for row in order[1:] if (means[row].high or 0.0) >= low]
    text = (
        f"Over {pluralize(len(scores.titles), 'task')}, {scores.labels[first]} has the highest interquartile mean "
        f"score, {format_share(means[first])}"
    )
    return f"{text}; the intervals of {join_names(near)} reach its own." if near else f"{text}, above all others."


def format_share(interval: Interval) -> str:
    """Formats a score or a probability with its interval."""
    value = f"{interval.value or 0.0:.2f}"
    return (
        value if interval.low is None or interval.high is None else f"{value} [{interval.low:.2f}, {interval.high:.2f}]"
    )
