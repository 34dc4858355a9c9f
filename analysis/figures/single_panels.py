"""Single panels on axes of the caller's: learning curves, and the results of every seed."""

import math

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from analysis.figures.axes import SHARE_SCALE, fit_scale, set_step_axis
from analysis.figures.histories import COLUMNS, load_history
from analysis.figures.learning_curves import draw_references, history_scale, plot_history, reference_levels
from analysis.grouping import Section
from analysis.statistics import mean_interval
from architectures.suggest import did_you_mean
from workbench.errors import UserError


def draw_curves(section: Section, column: str, axes: Axes | None = None) -> Axes:
    """Draws the histories of a section on axes, with a legend.

    Args:
        section: the runs.
        column: of `metrics.csv`.
        axes: by default those of a new figure.

    Raises:
        UserError: if no run has logged the column.
    """
    histories = [history for row in section.rows if (history := load_history(row, column)) is not None]
    if not histories:
        known = sorted({name for run in section.runs for name in run.metrics().columns} - {"step"})
        raise UserError(f"no run on {section.title} has logged {column!r}{did_you_mean(column, known)}")
    axes = new_axes() if axes is None else axes
    scale = SHARE_SCALE if column.endswith("/accuracy") else history_scale(section, "val/loss", histories)
    scale.apply(axes)
    set_step_axis(axes, max(history.end[0] for history in histories if history.end is not None))
    draw_references(axes, section, column, named=True)
    for index, history in enumerate(histories):
        plot_history(axes, history, scale, index / len(histories), with_leader=False)
        axes.plot([], [], label=history.row.label, **history.row.line_style.plot_keywords())
    axes.set_xlabel("training step")
    axes.set_ylabel(COLUMNS.get(column, column))
    axes.set_title(section.title)
    axes.legend()
    return axes


def draw_results(section: Section, metric: str, axes: Axes | None = None) -> Axes:
    """Draws a test metric on axes: a line for each row, a dot for each seed that has a value, and a bar at their mean.

    Args:
        section: the runs.
        metric: loss, or another test metric of the task.
        axes: by default those of a new figure.

    Raises:
        UserError: if no run has the metric.
    """
    values = {
        row.label: [value for run in row.runs if math.isfinite(value := run.test_metric(metric))]
        for row in section.rows
    }
    shown = [value for seeds in values.values() for value in seeds]
    if not shown:
        known = ["loss", *section.metrics]
        raise UserError(f"no run on {section.title} has a test {metric}{did_you_mean(metric, known)}")
    axes = new_axes() if axes is None else axes
    levels = reference_levels(section, f"val/{metric}")
    scale = fit_scale([*shown, *(level.value for level in levels)])
    if scale.log:
        axes.set_xscale("log")
    for level in levels:
        axes.axvline(level.value, label=level.name, **level.plot_keywords)
    if levels:
        axes.legend()
    for index, row in enumerate(section.rows):
        style = row.line_style.plot_keywords()
        axes.plot(values[row.label], [index] * len(values[row.label]), **{**style, "linestyle": ""})
        if (mean := mean_interval(values[row.label]).mean) is not None:
            axes.plot([mean], [index], marker="|", markersize=16, color=style["color"])
    axes.set_yticks(range(len(section.rows)), [row.label for row in section.rows])
    axes.set_ylim(len(section.rows) - 0.5, -0.5)
    axes.set_xlabel(f"test {metric}")
    axes.set_title(section.title)
    return axes


def new_axes() -> Axes:
    """Returns the axes of a new figure of pyplot, which a notebook shows."""
    return plt.subplots(layout="constrained")[1]
