"""Lines against a lag or a step, one panel below the other, each with its labels beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis import direct_labels
from analysis.direct_labels import Label
from analysis.findings import Curve
from analysis.formats import count
from analysis.probed import Probed
from analysis.scales import Scale, fitting
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
    scale: Scale | None = None
    """Of the vertical axis; by default one that shows all values, logarithmic where they span over a decade."""


def line(probed: Probed, curve: Curve) -> Line:
    """A row's curve in the row's look, under its label."""
    low, high = (None if getattr(curve, end) is None else curve.array(end) for end in ("low", "high"))
    return Line(
        label=probed.row.label, x=curve.array("x"), y=curve.array(), look=probed.row.look.line(), low=low, high=high
    )


def draw(panels: Sequence[Panel]) -> Figure:
    """Draws panels one below the other, as high as their labels need, with one left and one right margin."""
    with theme():
        scales = [panel.scale or fitting(v for each in panel.lines for v in finite(each.y)) for panel in panels]
        labels = [
            [Label(text=each.label, y=scale.fraction(end(each, scale)), line=each.look) for each in panel.lines]
            for panel, scale in zip(panels, scales, strict=True)
        ]
        right = max(direct_labels.margin(each) for each in labels)
        heights = [max(PANEL, direct_labels.height(each)) for each in labels]
        total = TOP + sum(heights) + BETWEEN * (len(panels) - 1) + BOTTOM
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        top = total - TOP
        for panel, scale, mine, high in zip(panels, scales, labels, heights, strict=True):
            frame = (LEFT / WIDTH, (top - high) / total, 1 - (LEFT + right) / WIDTH, high / total)
            _fill(figure.add_axes(frame), panel, scale, mine, WIDTH - LEFT - right)
            top -= high + BETWEEN
    return figure


def _fill(axes: Any, panel: Panel, scale: Scale, labels: Sequence[Label], width: float) -> None:
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: count(x) if x == round(x) else f"{x:g}"))
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.yaxis.set_label_coords(-46 / width, 0.5)
    scale.apply(axes)
    for order, each in enumerate(panel.lines):
        if each.low is not None and each.high is not None:
            edges = scale.clip(each.low), scale.clip(each.high)
            axes.fill_between(each.x, *edges, color=each.look["color"], alpha=0.11, linewidth=0)
        axes.plot(each.x, scale.clip(each.y), markevery=_marked(each, panel.log_x, order), zorder=3, **each.look)
    direct_labels.add(axes, labels)


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


def end(each: Line, scale: Scale) -> float:
    """The height at which a line ends, where its label's leader starts."""
    values = finite(each.y)
    return values[-1] if values else scale.low
