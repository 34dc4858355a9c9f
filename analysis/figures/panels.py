"""Line plots in panels, one below the other, with labels beside the lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis.figures.axes import MIN_BAND_SEEDS, AxisScale, fit_scale
from analysis.figures.labels import Label, add_labels, labels_height, labels_margin
from analysis.formatting import format_count
from analysis.probes.aggregate import RowResults
from analysis.probes.result import Curve
from analysis.style import TEXT_COLOR, family, in_family_order, theme

WIDTH, LEFT, BOTTOM, TOP, PANEL_GAP = 440.0, 56.0, 38.0, 8.0, 44.0
"""Points: width of the figure, its margins, and the gap between panels."""
MIN_PANEL_HEIGHT = 180.0
"""The least height of a panel, in points; many labels make it higher."""
MIN_FAMILY_HEIGHT, FAMILY_GAP, TITLE_HEIGHT, CHARACTER = 96.0, 32.0, 12.0, 4.9
"""Points: the least height of a family's panel, the gap below it, the height of its title, and the width of a character
of the name of its axis."""
MAX_LINES = 12
"""Most lines of architectures that one panel can show; above, each family has a panel of its own."""
MARKER_COUNT = 6
"""Markers along a line."""
MAX_DECADES = 12
"""Decades that a decay panel shows at most, below its largest value."""
REFERENCE_LINE: dict[str, Any] = {"color": TEXT_COLOR, "linestyle": (0, (4, 2)), "linewidth": 1.1, "marker": ""}
"""Keyword arguments of `Axes.plot` for lines that are not of an architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with its band. NaN is not drawn; values beyond the panel's scale are drawn at its edge."""

    label: str
    x: np.ndarray
    y: np.ndarray
    plot_keywords: dict[str, Any]
    """Keyword arguments of `Axes.plot`: `LineStyle.plot_keywords()` or `REFERENCE_LINE`."""
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    mark_every_point: bool = False
    """Whether each point has a marker, where there are few and what lies between them was not measured."""
    family: str | None = None
    """The family of its architecture; `None` if it is of none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The lines of a panel, and its axes."""

    lines: Sequence[Line]
    x_label: str
    y_label: str
    log_x: bool = False
    scale: AxisScale | None = None
    """Scale of the vertical axis; by default it shows all values, logarithmic if they span more than a decade."""
    margin: float = 0.0
    """Space beyond the ends of a logarithmic horizontal axis, as a share of its length."""
    title: str = ""
    """The family whose lines are shown, if not all are."""
    x_limits: tuple[float, float] | None = None
    """Ends of the horizontal axis, without the space beyond; by default those of the lines."""

    @property
    def min_height(self) -> float:
        """The least height, in points."""
        return max(MIN_FAMILY_HEIGHT, CHARACTER * len(self.y_label)) if self.title else MIN_PANEL_HEIGHT

    @property
    def gap(self) -> float:
        """The points between it and the panel below."""
        return PANEL_GAP if self.x_label else FAMILY_GAP


def draw_panels(panels: Sequence[Panel]) -> Figure:
    """Draws panels one below the other, as high as their labels need, with common left and right margins.

    One with too many lines is drawn family by family, on the same axes.
    """
    with theme():
        panels = [part for panel in panels for part in split_families(panel)]
        scales = [panel_scale(panel) for panel in panels]
        labels = [
            [
                Label(text=line.label, y=scale.fraction(line_end(line, scale)), plot_keywords=line.plot_keywords)
                for line in panel.lines
            ]
            for panel, scale in zip(panels, scales, strict=True)
        ]
        right = max(map(labels_margin, labels))
        heights = [
            max(panel.min_height, labels_height(panel_labels))
            for panel, panel_labels in zip(panels, labels, strict=True)
        ]
        head = TOP + (TITLE_HEIGHT if panels[0].title else 0)
        total = head + sum(heights) + sum(panel.gap for panel in panels[:-1]) + BOTTOM
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        top = total - head
        for panel, scale, panel_labels, height in zip(panels, scales, labels, heights, strict=True):
            frame = (LEFT / WIDTH, (top - height) / total, 1 - (LEFT + right) / WIDTH, height / total)
            _draw_panel(figure.add_axes(frame), panel, scale, panel_labels, WIDTH - LEFT - right)
            top -= height + panel.gap
    return figure


def split_families(panel: Panel) -> list[Panel]:
    """Returns a panel for each family, on the axes of the whole; the panel itself if it can show all its lines.

    Lines of no architecture are in each of them.
    """
    families = [line.family for line in panel.lines if line.family is not None]
    if len(families) <= MAX_LINES or len(set(families)) < 2:
        return [panel]
    names = in_family_order(families)
    common: dict[str, Any] = {"scale": panel_scale(panel), "x_limits": horizontal_limits(panel)}
    return [
        replace(
            panel,
            lines=[line for line in panel.lines if line.family in (name, None)],
            title=name,
            # Named once, below the last.
            x_label=panel.x_label if name == names[-1] else "",
            **common,
        )
        for name in names
    ]


def panel_scale(panel: Panel) -> AxisScale:
    """Returns the scale of a panel's vertical axis."""
    return panel.scale or fit_scale(value for line in panel.lines for value in finite_values(line.y))


def horizontal_limits(panel: Panel) -> tuple[float, float]:
    """Returns the ends of a panel's horizontal axis, without the space beyond."""
    if panel.x_limits is not None:
        return panel.x_limits
    x = np.concatenate([line.x[np.isfinite(line.y)] for line in panel.lines] or [np.array([])])
    x = x[x > 0] if panel.log_x else x
    return (float(x.min()), float(x.max())) if len(x) else (1.0, 10.0)


def curve_line(row: RowResults, curve: Curve) -> Line:
    """Returns the line of a curve, with the row's style and label.

    It has a band if the curve has one, unless that is over fewer than four seeds: over two, 12.7 standard errors wide,
    it would hide all other lines. The band of a single seed is over test sequences.
    """
    low, high = (None if getattr(curve, end) is None else curve.to_array(end) for end in ("low", "high"))
    if 1 < len(row.results) < MIN_BAND_SEEDS:
        low = high = None
    return Line(
        label=row.row.label,
        x=curve.to_array("x"),
        y=curve.to_array(),
        plot_keywords=row.row.line_style.plot_keywords(),
        low=low,
        high=high,
        family=family(row.row.experiment.architecture.name),
    )


def curve_lines(rows: Sequence[RowResults], name: str) -> list[Line]:
    """Returns a line for each row that has a curve of this name."""
    curves = [(row, row.curve(name)) for row in rows]
    return [curve_line(row, curve) for row, curve in curves if curve is not None]


def exponentiate(lines: Sequence[Line]) -> list[Line]:
    """Returns lines of 10 to the power of their values and bands."""

    def power(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.asarray(10.0**values)

    return [replace(line, y=10.0**line.y, low=power(line.low), high=power(line.high)) for line in lines]


def decay_panel(lines: Sequence[Line], x_label: str, y_label: str, *, log_x: bool = False) -> Panel | None:
    """Returns a panel of decaying lines on a logarithmic axis, in which a line ends where it falls too low to show.

    Returns:
        The panel; `None` if no line has two positive values left.
    """
    if log_x:
        lines = [_select_points(line, line.x > 0) for line in lines]
    maxima = [float(line.y[line.y > 0].max()) for line in lines if (line.y > 0).any()]
    if not maxima:
        return None
    top = max(maxima)
    floor = top * 10.0**-MAX_DECADES
    visible = [replace(line, y=np.where(line.y >= floor, line.y, np.nan)) for line in lines]
    visible = [line for line in visible if np.isfinite(line.y).sum() > 1]
    if not visible:
        return None
    low = min(float(np.nanmin(line.y)) for line in visible)
    margin = (top / low) ** 0.05 if top / low > 10 else 10**0.25
    scale = AxisScale(low=low / margin, high=top * margin, log=True)
    return Panel(lines=visible, x_label=x_label, y_label=y_label, log_x=log_x, scale=scale)


def finite_values(values: np.ndarray) -> list[float]:
    """Returns the values that are finite."""
    return [float(value) for value in values[np.isfinite(values)]]


def line_end(line: Line, scale: AxisScale) -> float:
    """Returns the last finite value of a line, which its label belongs to; the lower limit if there is none."""
    values = finite_values(line.y)
    return values[-1] if values else scale.low


def _draw_panel(axes: Any, panel: Panel, scale: AxisScale, labels: Sequence[Label], width: float) -> None:
    low, high = horizontal_limits(panel)
    if panel.log_x:
        axes.set_xscale("log")
        high = high if high > low else 10 * low
        room = (high / low) ** panel.margin
        axes.set_xlim(low / room, high * room)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 30 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(low, high if high > low else low + 1)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: format_count(value) if value == round(value) else f"{value:g}")
    )
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.title:
        axes.set_title(panel.title, loc="left", fontsize=9.5, fontweight="bold", pad=4)
    axes.yaxis.set_label_coords(-46 / width, 0.5)
    scale.apply(axes)
    for order, line in enumerate(panel.lines):
        if line.low is not None and line.high is not None:
            edges = scale.clip(line.low), scale.clip(line.high)
            axes.fill_between(line.x, *edges, color=line.plot_keywords["color"], alpha=0.11, linewidth=0)
        markers = None if line.mark_every_point else _marker_indices(line, panel.log_x, order)
        axes.plot(line.x, scale.clip(line.y), markevery=markers, zorder=3, **line.plot_keywords)
    add_labels(axes, labels)


def _marker_indices(line: Line, log: bool, order: int) -> list[int]:
    """Returns the points of a line that get a marker: evenly along the axis, and apart from those of other lines.

    Args:
        line: the line.
        log: True if the horizontal axis is logarithmic.
        order: number of the line in its panel, which shifts its markers.
    """
    x = np.log(np.maximum(line.x, 1e-300)) if log else line.x
    inside = np.flatnonzero(np.isfinite(line.y) & np.isfinite(x) & ((line.x > 0) | (not log)))
    if not len(inside):
        return []
    first, last = x[inside[0]], x[inside[-1]]
    wanted = first + (last - first) * (np.arange(MARKER_COUNT) + (order * 0.618) % 1) / MARKER_COUNT
    return sorted({int(inside[np.abs(x[inside] - place).argmin()]) for place in wanted})


def _select_points(line: Line, mask: np.ndarray) -> Line:
    low, high = (None if values is None else values[mask] for values in (line.low, line.high))
    return replace(line, x=line.x[mask], y=line.y[mask], low=low, high=high)
