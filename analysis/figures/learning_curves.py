"""The learning curves of a section: validation loss, and accuracy where there is one, against the training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures.axes import UNIT, AxisScale, fit_scale
from analysis.figures.labels import Label, add, height, margin
from analysis.formatting import format_count, format_number
from analysis.grouping import Row, Section
from analysis.statistics import half_width
from analysis.style import INK, theme
from workbench.errors import UserError
from workbench.results import Run

WIDTH, LEFT, BOTTOM, TOP, BETWEEN = 440.0, 50.0, 36.0, 8.0, 18.0
"""Points: of the figure, and of what surrounds its panels."""
PANEL = 180.0
"""The least height of a panel, in points; more labels make it higher."""
MARKS = 6
"""Markers along a curve."""
COLUMNS: Mapping[str, str] = {"val/loss": "validation loss", "val/accuracy": "validation accuracy"}
TRIVIAL: Mapping[str, Any] = {"color": INK, "linestyle": (0, (4, 2)), "linewidth": 1.1, "marker": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A run that diverged: what it logged until then."""

    step: np.ndarray
    value: np.ndarray
    end: float
    """The step at which it diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A logged value of a row: the mean over the seeds that were trained to the end, and the runs that were lost."""

    row: Row
    step: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    """Half the width of the 95 % interval; 0 for one seed."""
    lost: tuple[Lost, ...]

    @property
    def end(self) -> tuple[float, float] | None:
        """The last step with its value; `None` where nothing was logged."""
        if len(self.step):
            return float(self.step[-1]), float(self.mean[-1])
        ends = [(lost.end, float(lost.value[-1])) for lost in self.lost if len(lost.value)]
        return max(ends, default=None)


Panels = Mapping[str, Sequence[History]]


def panels(section: Section) -> Panels:
    """What there is to draw: for each column of `metrics.csv` the histories of the rows that have it."""
    drawn = {column: [found for row in section.rows if (found := history(row, column))] for column in COLUMNS}
    return {column: histories for column, histories in drawn.items() if histories}


def draw(section: Section, drawn: Panels) -> Figure:
    """Draws panels, one below the other.

    Each curve is the mean over the seeds that did not diverge, with its 95 % interval as a band; each run that did is
    a thin line of its own, to a cross where it ended.
    """
    with theme():
        scales = {column: scale(section, column, histories) for column, histories in drawn.items()}
        labels = {column: labels_of(section, column, drawn[column], scales[column]) for column in drawn}
        right = max(margin(each) for each in labels.values())
        high = max(PANEL, *(height(each) for each in labels.values()))
        total = BOTTOM + TOP + len(drawn) * (high + BETWEEN) - BETWEEN
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        last = max((step for histories in drawn.values() for each in histories for step in steps(each)), default=0)
        for index, (column, histories) in enumerate(drawn.items()):
            bottom = total - TOP - high - index * (high + BETWEEN)
            axes = figure.add_axes((LEFT / WIDTH, bottom / total, 1 - (LEFT + right) / WIDTH, high / total))
            axes.set_xlim(0, last or 1)
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: format_count(step)))
            axes.tick_params(labelbottom=column == list(drawn)[-1])
            axes.set_ylabel(COLUMNS[column])
            axes.yaxis.set_label_coords(-40 / (WIDTH - LEFT - right), 0.5)
            scales[column].apply(axes)
            if column == "val/loss" and section.trivial_loss is not None:
                axes.axhline(section.trivial_loss, zorder=1.5, **TRIVIAL)
            for order, each in enumerate(histories):
                plot(axes, each, scales[column], order / len(histories))
            add(axes, labels[column])
        axes.set_xlabel("training step")
    return figure


def plot(axes: Axes, history: History, scale: AxisScale, phase: float) -> None:
    """Draws a row's curve.

    Args:
        axes: with the scale applied.
        history: of the row.
        scale: values beyond it are drawn at its edge.
        phase: in [0, 1), where the markers stand, so that those of curves on top of each other do not coincide.
    """
    line = history.row.look.line()
    low, high = scale.clip(history.mean - history.half), scale.clip(history.mean + history.half)
    axes.fill_between(history.step, low, high, color=line["color"], alpha=0.11, linewidth=0)
    stride = max(1, len(history.step) // MARKS)
    every = (int(phase * stride), stride)
    axes.plot(history.step, scale.clip(history.mean), markevery=every, zorder=3, **line)
    for lost in history.lost:
        end = lost.value[-1] if len(lost.value) else scale.high
        axes.plot(
            [*lost.step, lost.end],
            scale.clip([*lost.value, end]),
            zorder=2.5,
            **{**line, "marker": "", "linewidth": 0.9},
        )
        cross = {"marker": "x", "markersize": 8, "markeredgewidth": 2, "markeredgecolor": line["color"]}
        axes.plot([lost.end], scale.clip([end]), linestyle="", zorder=4, clip_on=False, **cross)
    if history.end is not None and history.end[0] < axes.get_xlim()[1]:
        step, value = history.end
        # The label stands at the right edge: this leads to it from where the curve ends.
        axes.plot([step, axes.get_xlim()[1]], scale.clip([value, value]), color=line["color"], linewidth=0.6, alpha=0.5)


def scale(section: Section, column: str, histories: Sequence[History]) -> AxisScale:
    """A scale for the means and the trivial baseline; for the lost runs only where there are no means."""
    if column != "val/loss":
        return UNIT
    values = [float(value) for each in histories for value in each.mean]
    values = values or [float(value) for each in histories for lost in each.lost for value in lost.value]
    return fit_scale([*values, *([] if section.trivial_loss is None else [section.trivial_loss])])


def steps(history: History) -> list[float]:
    """Where the curves of a row end."""
    return [*map(float, history.step[-1:]), *(lost.end for lost in history.lost)]


def labels_of(section: Section, column: str, histories: Sequence[History], scale: AxisScale) -> list[Label]:
    """A label for each row, and for the trivial baseline."""
    labels = [
        Label(
            text=each.row.label,
            y=scale.fraction(scale.high if each.end is None else each.end[1]),
            line=each.row.look.line(),
        )
        for each in histories
    ]
    if column == "val/loss" and section.trivial_loss is not None:
        text = f"trivial {format_number(section.trivial_loss)}"
        labels.append(Label(text=text, y=scale.fraction(section.trivial_loss), line=dict(TRIVIAL)))
    return labels


def caption(drawn: Panels) -> str:
    """What the figure shows, in words."""
    shown = "Mean over the seeds that did not diverge; the band is its 95 % interval."
    if all(len(each.row.trained) < 2 for histories in drawn.values() for each in histories):
        shown = "One seed each, and so no interval."
    lost = any(each.lost for histories in drawn.values() for each in histories)
    return shown + (" Thin lines are runs that diverged; the cross marks where." if lost else "")


def described(section: Section, drawn: Panels) -> str:
    """The figure for those who cannot see it: where each curve ends."""
    told = []
    for column, histories in drawn.items():
        ends = "; ".join(
            f"{each.row.label} {format_number(each.end[1])} at step {format_count(each.end[0])}"
            for each in histories
            if each.end
        )
        told.append(f"At the end, {COLUMNS[column]}: {ends or 'nothing was logged'}.")
    return f"Learning curves on {section.title}. {' '.join(told)}"


def history(row: Row, column: str) -> History | None:
    """The history of a column of `metrics.csv`; `None` where no run of the row has it.

    The mean goes as far as all seeds go: from where one has ended, a mean over the others would be of other runs.

    Raises:
        UserError: if a run's metrics cannot be read.
    """
    logged = [(run, finite(run, column)) for run in row.runs]
    if all(values is None for _, values in logged):
        return None
    kept = [values for run, values in logged if not run.diverged and values is not None]
    table = pd.concat(kept, axis=1, join="inner") if kept else pd.DataFrame(dtype=float)
    values = table.to_numpy(float).T
    return History(
        row=row,
        step=table.index.to_numpy(float),
        mean=values.mean(0) if len(values) else np.empty(0),
        half=half_width(values) if len(values) else np.empty(0),
        lost=tuple(
            Lost(step=values.index.to_numpy(float), value=values.to_numpy(float), end=ended(run, values))
            for run, values in logged
            if run.diverged and values is not None
        ),
    )


def finite(run: Run, column: str) -> pd.Series | None:
    """The finite values of a column by step; `None` where the run has no such column."""
    try:
        table = run.metrics()
        steps = pd.to_numeric(table["step"])
        if column not in table:
            return None
        values = pd.Series(pd.to_numeric(table[column]).to_numpy(float), index=steps)
    except (OSError, ValueError, KeyError, pd.errors.EmptyDataError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{run.folder / 'metrics.csv'} is no readable table of metrics: {reason}") from None
    values = values[~values.index.duplicated(keep="last")]
    return values[np.isfinite(values)].sort_index()


def ended(run: Run, values: pd.Series) -> float:
    """The step at which a run diverged, or else the last that it logged or made."""
    step = run.result["diverged_at"]
    if step is not None:
        return float(step)
    return float(values.index[-1]) if len(values) else float(run.result["steps"])
