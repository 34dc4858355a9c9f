"""Learning curves of a section: validation loss, and accuracy if there is one, against the training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures.axes import SHARE_SCALE, AxisScale, fit_scale
from analysis.figures.labels import Label, add_labels, labels_height, labels_margin
from analysis.formatting import format_count, format_number
from analysis.grouping import Row, Section
from analysis.statistics import half_width
from analysis.style import TEXT_COLOR, theme
from workbench.errors import UserError
from workbench.results import Run

WIDTH, LEFT, BOTTOM, TOP, PANEL_GAP = 440.0, 50.0, 36.0, 8.0, 18.0
"""Points: width of the figure, its margins, and the gap between panels."""
MIN_PANEL_HEIGHT = 180.0
"""The least height of a panel, in points; many labels make it higher."""
MARKER_COUNT = 6
"""Markers along a curve."""
COLUMNS: Mapping[str, str] = {"val/loss": "validation loss", "val/accuracy": "validation accuracy"}
"""The columns of `metrics.csv` that have a panel, with their names."""
TRIVIAL_LINE: Mapping[str, Any] = {"color": TEXT_COLOR, "linestyle": (0, (4, 2)), "linewidth": 1.1, "marker": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergedRun:
    """The values that a diverged run logged before it diverged."""

    step: np.ndarray
    value: np.ndarray
    end: float
    """The step at which it diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A logged metric of a row: the mean over the seeds that did not diverge, and each run that did."""

    row: Row
    step: np.ndarray
    mean: np.ndarray
    half_width: np.ndarray
    """Half the width of the 95 % interval; 0 for one seed."""
    diverged: tuple[DivergedRun, ...]

    @property
    def end(self) -> tuple[float, float] | None:
        """The last step with its value; `None` if nothing was logged."""
        if len(self.step):
            return float(self.step[-1]), float(self.mean[-1])
        ends = [(run.end, float(run.value[-1])) for run in self.diverged if len(run.value)]
        return max(ends, default=None)


Histories = Mapping[str, Sequence[History]]
"""The histories of each column of `metrics.csv`, row by row."""


def load_histories(section: Section) -> Histories:
    """Returns the histories of all rows, for each column of `metrics.csv` that some row has.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    by_column = {
        column: [history for row in section.rows if (history := load_history(row, column))] for column in COLUMNS
    }
    return {column: histories for column, histories in by_column.items() if histories}


def load_history(row: Row, column: str) -> History | None:
    """Returns the history of a column of `metrics.csv`; `None` if no run of the row has the column.

    The mean ends where the first seed ends: beyond, it would be the mean of other runs.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    logged = [(run, finite_column(run, column)) for run in row.runs]
    if all(values is None for _, values in logged):
        return None
    finished = [values for run, values in logged if not run.diverged and values is not None]
    table = pd.concat(finished, axis=1, join="inner") if finished else pd.DataFrame(dtype=float)
    values = table.to_numpy(float).T
    return History(
        row=row,
        step=table.index.to_numpy(float),
        mean=values.mean(0) if len(values) else np.empty(0),
        half_width=half_width(values) if len(values) else np.empty(0),
        diverged=tuple(
            DivergedRun(step=values.index.to_numpy(float), value=values.to_numpy(float), end=end_step(run, values))
            for run, values in logged
            if run.diverged and values is not None
        ),
    )


def finite_column(run: Run, column: str) -> pd.Series | None:
    """Returns the finite values of a column of `metrics.csv`, by step; `None` if the run does not have the column.

    Raises:
        UserError: if the run's metrics cannot be read.
    """
    try:
        table = run.metrics()
        steps = pd.to_numeric(table["step"])
        if column not in table:
            return None
        values = pd.Series(pd.to_numeric(table[column]).to_numpy(float), index=steps)
    except (OSError, ValueError, KeyError, pd.errors.EmptyDataError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{run.folder / 'metrics.csv'} is not a readable table of metrics: {reason}") from None
    values = values[~values.index.duplicated(keep="last")]
    return values[np.isfinite(values)].sort_index()


def end_step(run: Run, values: pd.Series) -> float:
    """Returns the step at which a run diverged; if unknown, the last that it logged, or else the last of the run."""
    step = run.result["diverged_at"]
    if step is not None:
        return float(step)
    return float(values.index[-1]) if len(values) else float(run.result["steps"])


def draw_learning_curves(section: Section, histories: Histories) -> Figure:
    """Draws a panel for each column, one below the other.

    Each curve is the mean over the seeds that did not diverge, with its 95 % interval as a band; each run that diverged
    is a thin line, which ends with a cross.

    Args:
        section: the section.
        histories: its histories, as `load_histories` returns them.
    """
    with theme():
        scales = {column: history_scale(section, column, rows) for column, rows in histories.items()}
        labels = {column: build_labels(section, column, rows, scales[column]) for column, rows in histories.items()}
        right = max(map(labels_margin, labels.values()))
        height = max(MIN_PANEL_HEIGHT, *map(labels_height, labels.values()))
        total = BOTTOM + TOP + len(histories) * (height + PANEL_GAP) - PANEL_GAP
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        last_step = max((step for rows in histories.values() for row in rows for step in end_steps(row)), default=0)
        for index, (column, rows) in enumerate(histories.items()):
            bottom = total - TOP - height - index * (height + PANEL_GAP)
            axes = figure.add_axes((LEFT / WIDTH, bottom / total, 1 - (LEFT + right) / WIDTH, height / total))
            axes.set_xlim(0, last_step or 1)
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: format_count(step)))
            axes.tick_params(labelbottom=column == list(histories)[-1])
            axes.set_ylabel(COLUMNS[column])
            axes.yaxis.set_label_coords(-40 / (WIDTH - LEFT - right), 0.5)
            scales[column].apply(axes)
            if column == "val/loss" and section.trivial_loss is not None:
                axes.axhline(section.trivial_loss, zorder=1.5, **TRIVIAL_LINE)
            for order, history in enumerate(rows):
                plot_history(axes, history, scales[column], order / len(rows))
            add_labels(axes, labels[column])
        axes.set_xlabel("training step")
    return figure


def plot_history(axes: Axes, history: History, scale: AxisScale, phase: float) -> None:
    """Draws the curve of a row, with its band and the runs that diverged.

    Args:
        axes: the axes, with the scale applied.
        history: the history of the row.
        scale: the vertical scale; values beyond it are drawn at its edge.
        phase: shift of the markers in [0, 1), so that those of curves on top of each other do not coincide.
    """
    keywords = history.row.line_style.plot_keywords()
    low, high = scale.clip(history.mean - history.half_width), scale.clip(history.mean + history.half_width)
    axes.fill_between(history.step, low, high, color=keywords["color"], alpha=0.11, linewidth=0)
    stride = max(1, len(history.step) // MARKER_COUNT)
    markers = (int(phase * stride), stride)
    axes.plot(history.step, scale.clip(history.mean), markevery=markers, zorder=3, **keywords)
    for run in history.diverged:
        last_value = run.value[-1] if len(run.value) else scale.high
        axes.plot(
            [*run.step, run.end],
            scale.clip([*run.value, last_value]),
            zorder=2.5,
            **{**keywords, "marker": "", "linewidth": 0.9},
        )
        cross = {"marker": "x", "markersize": 8, "markeredgewidth": 2, "markeredgecolor": keywords["color"]}
        axes.plot([run.end], scale.clip([last_value]), linestyle="", zorder=4, clip_on=False, **cross)
    if history.end is not None and history.end[0] < axes.get_xlim()[1]:
        step, value = history.end
        # Leads from the end of the curve to its label at the right edge.
        leader = [step, axes.get_xlim()[1]]
        axes.plot(leader, scale.clip([value, value]), color=keywords["color"], linewidth=0.6, alpha=0.5)


def history_scale(section: Section, column: str, histories: Sequence[History]) -> AxisScale:
    """Returns the scale of a panel: it shows the means and the trivial loss, and diverged runs only without means."""
    if column != "val/loss":
        return SHARE_SCALE
    values = [float(value) for history in histories for value in history.mean]
    values = values or [float(value) for history in histories for run in history.diverged for value in run.value]
    return fit_scale([*values, *([] if section.trivial_loss is None else [section.trivial_loss])])


def end_steps(history: History) -> list[float]:
    """Returns the steps at which the mean and the diverged runs of a row end."""
    return [*map(float, history.step[-1:]), *(run.end for run in history.diverged)]


def build_labels(section: Section, column: str, histories: Sequence[History], scale: AxisScale) -> list[Label]:
    """Returns a label for each row, and for the trivial loss."""
    labels = [
        Label(
            text=history.row.label,
            y=scale.fraction(scale.high if history.end is None else history.end[1]),
            plot_keywords=history.row.line_style.plot_keywords(),
        )
        for history in histories
    ]
    if column == "val/loss" and section.trivial_loss is not None:
        text = f"trivial {format_number(section.trivial_loss)}"
        labels.append(Label(text=text, y=scale.fraction(section.trivial_loss), plot_keywords=dict(TRIVIAL_LINE)))
    return labels


def caption(histories: Histories) -> str:
    """Returns the caption of the figure."""
    text = "Mean over the seeds that did not diverge; the band is its 95 % interval."
    if all(len(history.row.trained_runs) < 2 for rows in histories.values() for history in rows):
        text = "One seed each, and so no interval."
    has_diverged = any(history.diverged for rows in histories.values() for history in rows)
    return text + (" Thin lines are runs that diverged; the cross marks where." if has_diverged else "")


def alt_text(section: Section, histories: Histories) -> str:
    """Returns the text alternative of the figure: the end of each curve."""
    sentences = []
    for column, rows in histories.items():
        ends = "; ".join(
            f"{history.row.label} {format_number(history.end[1])} at step {format_count(history.end[0])}"
            for history in rows
            if history.end
        )
        sentences.append(f"At the end, {COLUMNS[column]}: {ends or 'nothing was logged'}.")
    return f"Learning curves on {section.title}. {' '.join(sentences)}"
