"""Importances of the searched parameters in each study, as a heat map."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.labels import max_text_width
from analysis.formatting import format_range, make_printable
from analysis.report.tuning.tuned_tasks import TunedTask
from analysis.style import theme

WIDTH, RIGHT, TOP, CELL_HEIGHT = 440.0, 10.0, 6.0, 19.0
"""Width of the figure, margins around its cells, and height of a cell, in points."""
NAME_LENGTH, HEADING_LENGTH = 26, 16
"""Characters on a line of a parameter's and of an architecture's name."""
ENOUGH_TRIALS = 30
"""Number of complete trials below which importances depend much on the trials that were drawn."""


def draw_importances(task: TunedTask) -> Figure | None:
    """Draws a cell for each parameter and architecture; `None` if no study has importances."""
    frame = importance_table(task)
    if frame.empty:
        return None
    names = {architecture.slug: architecture.name for architecture in task.architectures}
    headings = [labels.wrap_text(names[slug], HEADING_LENGTH) for slug in frame.columns]
    rows = [labels.wrap_text(make_printable(name), NAME_LENGTH) for name in frame.index]
    left = 12 + max_text_width((line for lines in rows for line in lines), 9)
    width = WIDTH - left - RIGHT
    longest = max_text_width((line for lines in headings for line in lines), 9)
    # Headings are upright if they do not fit side by side.
    upright = longest > width / len(headings) - 4
    bottom = (longest if upright else labels.LINE_HEIGHT * max(map(len, headings))) + 12
    one_line = all(len(lines) == 1 for lines in rows)
    cell_height = CELL_HEIGHT if one_line else labels.LINE_HEIGHT * max(map(len, rows)) + 4
    height = TOP + cell_height * len(rows) + bottom
    values = frame.to_numpy(float)
    with theme():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        axes = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, cell_height * len(rows) / height))
        sns.heatmap(
            values,
            ax=axes,
            mask=~np.isfinite(values),
            annot=True,
            fmt=".2f",
            annot_kws={"fontsize": 8.5},
            cmap="viridis_r",
            vmin=0,
            vmax=1,
            cbar=False,
            linewidths=1.5,
            linecolor="white",
            xticklabels=["\n".join(lines) for lines in headings],
            yticklabels=["\n".join(lines) for lines in rows],
        )
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
        for label in axes.get_xticklabels():
            label.set_rotation(90 if upright else 0)
        for label in axes.get_yticklabels():
            label.set_rotation(0)
    return figure


def caption(task: TunedTask) -> str:
    """Returns the caption, with a warning if importances come from few trials."""
    complete = [
        len(architecture.study.trials_in("complete"))
        for architecture in task.architectures
        if architecture.study.importances
    ]
    warning = ""
    if min(complete, default=ENOUGH_TRIALS) < ENOUGH_TRIALS:
        warning = f" With fewer than {ENOUGH_TRIALS} they are a hint, no more."
    return (
        f"How much of the differences in {task.measure.words} each parameter accounts for, by PED-ANOVA; the "
        "importances of an architecture add up to 1. Empty where it was not searched. From "
        f"{format_range(complete)} complete trials of each.{warning}"
    )


def alt_text(task: TunedTask) -> str:
    """Describes the figure for screen readers: the most important parameter of each study."""
    frame = importance_table(task)
    names = {architecture.slug: architecture.name for architecture in task.architectures}
    most_important = "; ".join(f"{names[slug]} {make_printable(str(frame[slug].idxmax()))}" for slug in frame.columns)
    return f"Importances on {task.title}. The most important parameter: {most_important}."


def importance_table(task: TunedTask) -> pd.DataFrame:
    """Returns the importances, (parameters, architectures), in descending order of their mean.

    Values are NaN for parameters that were not searched.
    """
    importances = {
        architecture.slug: architecture.study.importances
        for architecture in task.architectures
        if architecture.study.importances
    }
    frame = pd.DataFrame({slug: pd.Series(dict(values), dtype=float) for slug, values in importances.items()})
    means = frame.mean(axis=1)
    return frame.loc[sorted(frame.index, key=lambda name: (-means[name], name))]
