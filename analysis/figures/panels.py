"""Lines against a lag or a step, one panel below the other, each with its labels beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis.figures.axes import AxisScale, fit_scale
from analysis.figures.labels import Label, add, height, margin
from analysis.formatting import format_count
from analysis.probes.aggregate import RowResults
from analysis.probes.result import Curve
from analysis.style import INK, theme

WIDTH, LEFT, BOTTOM, TOP, BETWEEN = 440.0, 56.0, 38.0, 8.0, 44.0
"""Points: of the figure, and of what surrounds its panels."""
PANEL = 180.0
"""The least height of a panel, in points; more labels make it higher."""
MARKS = 6
"""Markers along a line."""
AID: dict[str, Any] = {"color": INK, "linestyle": (0, (4, 2)), "linewidth": 1.1, "marker": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. NaN is not drawn; values beyond the panel's scale are drawn at its edge."""

    label: str
    x: np.ndarray
    y: np.ndarray
    look: dict[str, Any]
    """Keywords of `Axes.plot`, as `Look.line()` gives them; `AID` for what is no architecture."""
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel."""

    lines: Sequence[Line]
    x_label: str
    y_label: str
    log_x: bool = False
    scale: AxisScale | None = None
    """Of the vertical axis; by default one that shows all values, logarithmic where they span over a decade."""


def line(probed: RowResults, curve: Curve) -> Line:
    """A row's curve in the row's look, under its label."""
    low, high = (None if getattr(curve, end) is None else curve.array(end) for end in ("low", "high"))
    return Line(
        label=probed.row.label, x=curve.array("x"), y=curve.array(), look=probed.row.look.line(), low=low, high=high
    )


def draw(panels: Sequence[Panel]) -> Figure:
    """Draws panels one below the other, as high as their labels need, with one left and one right margin."""
    with theme():
        scales = [panel.scale or fit_scale(v for each in panel.lines for v in finite(each.y)) for panel in panels]
        labels = [
            [Label(text=each.label, y=scale.fraction(end(each, scale)), line=each.look) for each in panel.lines]
            for panel, scale in zip(panels, scales, strict=True)
        ]
        right = max(margin(each) for each in labels)
        heights = [max(PANEL, height(each)) for each in labels]
        total = TOP + sum(heights) + BETWEEN * (len(panels) - 1) + BOTTOM
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        top = total - TOP
        for panel, scale, mine, high in zip(panels, scales, labels, heights, strict=True):
            frame = (LEFT / WIDTH, (top - high) / total, 1 - (LEFT + right) / WIDTH, high / total)
            _fill(figure.add_axes(frame), panel, scale, mine, WIDTH - LEFT - right)
            top -= high + BETWEEN
    return figure


def _fill(axes: Any, panel: Panel, scale: AxisScale, labels: Sequence[Label], width: float) -> None:
    xs = np.concatenate([each.x[np.isfinite(each.y)] for each in panel.lines] or [np.array([])])
    xs = xs[xs > 0] if panel.log_x else xs
    low, high = (float(xs.min()), float(xs.max())) if len(xs) else (1.0, 10.0)
    if panel.log_x:
        axes.set_xscale("log")
        axes.set_xlim(low, high if high > low else 10 * low)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 30 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(low, high if high > low else low + 1)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_count(x) if x == round(x) else f"{x:g}"))
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.yaxis.set_label_coords(-46 / width, 0.5)
    scale.apply(axes)
    for order, each in enumerate(panel.lines):
        if each.low is not None and each.high is not None:
            edges = scale.clip(each.low), scale.clip(each.high)
            axes.fill_between(each.x, *edges, color=each.look["color"], alpha=0.11, linewidth=0)
        axes.plot(each.x, scale.clip(each.y), markevery=_marked(each, panel.log_x, order), zorder=3, **each.look)
    add(axes, labels)


def _marked(each: Line, log: bool, order: int) -> list[int]:
    """Where the markers stand: evenly along the axis, and apart from those of the other lines."""
    x = np.log(np.maximum(each.x, 1e-300)) if log else each.x
    inside = np.flatnonzero(np.isfinite(each.y) & np.isfinite(x) & ((each.x > 0) | (not log)))
    if not len(inside):
        return []
    ends = x[inside[0]], x[inside[-1]]
    wanted = ends[0] + (ends[1] - ends[0]) * (np.arange(MARKS) + (order * 0.618) % 1) / MARKS
    return sorted({int(inside[np.abs(x[inside] - place).argmin()]) for place in wanted})


def finite(values: np.ndarray) -> list[float]:
    """The finite values."""
    return [float(value) for value in values[np.isfinite(values)]]


def end(each: Line, scale: AxisScale) -> float:
    """The height at which a line ends, where its label's leader starts."""
    values = finite(each.y)
    return values[-1] if values else scale.low


DECADES = 12
"""That a panel shows at most, from its largest value down; a line ends where it falls below."""


def lines_of(rows: Sequence[RowResults], name: str) -> list[Line]:
    """The rows' curves of that name."""
    found = [(probed, probed.curve(name)) for probed in rows]
    return [_banded(line(probed, curve), probed) for probed, curve in found if curve is not None]


def from_logs(lines: Sequence[Line]) -> list[Line]:
    """Lines of what their values are the logarithms to base 10 of."""

    def power(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.asarray(10.0**values)

    return [replace(each, y=10.0**each.y, low=power(each.low), high=power(each.high)) for each in lines]


def falling(lines: Sequence[Line], x_label: str, y_label: str, *, log_x: bool = False) -> Panel | None:
    """A panel of lines on a logarithmic axis; `None` if nothing positive is left to be drawn."""
    if log_x:
        lines = [_picked(each, each.x > 0) for each in lines]
    tops = [float(each.y[each.y > 0].max()) for each in lines if (each.y > 0).any()]
    if not tops:
        return None
    top = max(tops)
    floor = top * 10.0**-DECADES
    shown = [replace(each, y=np.where(each.y >= floor, each.y, np.nan)) for each in lines]
    shown = [each for each in shown if np.isfinite(each.y).sum() > 1]
    if not shown:
        return None
    low = min(float(np.nanmin(each.y)) for each in shown)
    room = (top / low) ** 0.05 if top / low > 10 else 10**0.25
    scale = AxisScale(low=low / room, high=top * room, log=True)
    return Panel(lines=shown, x_label=x_label, y_label=y_label, log_x=log_x, scale=scale)


def _banded(each: Line, probed: RowResults) -> Line:
    """Without its band where that is over two seeds: 12.7 standard errors wide, it would hide all other lines."""
    return replace(each, low=None, high=None) if len(probed.results) == 2 else each


def _picked(each: Line, where: np.ndarray) -> Line:
    low, high = (None if values is None else values[where] for values in (each.low, each.high))
    return replace(each, x=each.x[where], y=each.y[where], low=low, high=high)
