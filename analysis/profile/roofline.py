"""Roofline plot: throughput of each architecture against its arithmetic intensity, below the limits of the machine.

Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figures.axes import AxisScale, format_tick
from analysis.figures.labels import FONT_SIZE, Label, add_labels, labels_height, labels_margin
from analysis.formatting import pluralize
from analysis.profile.cases import BASELINE
from analysis.profile.machine import Peak
from analysis.profile.profiler import Profile, ProfileRow
from analysis.style import AID_COLOR, DASHED, DOTTED, LINE_STYLES, SOLID, TEXT_COLOR, DashPattern, line_styles, theme

WIDTH, LEFT, BOTTOM, TOP, PANEL_GAP = 500.0, 56.0, 38.0, 22.0, 62.0
"""Points: width of the figure, its margins, and the gap between panels."""
MIN_PANEL_HEIGHT = 240.0
"""The least height of a panel, in points; many labels make it higher."""
MARGIN = 1.6
"""Factor by which the axes extend beyond the points."""


def draw_roofline(profile: Profile) -> Figure | None:
    """Draws a panel for each length: 10^9 operations per second against operations per byte, forward and backward.

    Returns:
        The figure; `None` if the traffic of no architecture is known.
    """
    panels = {
        length: [row for row in profile.rows_of_length(length) if roofline_point(row)]
        for length in profile.settings.lengths
    }
    panels = {length: rows for length, rows in panels.items() if rows}
    if not panels:
        return None
    with theme():
        styles = marker_styles({row.architecture for rows in panels.values() for row in rows})
        scales = {length: throughput_scale(rows, profile.peak) for length, rows in panels.items()}
        labels = {length: build_labels(rows, profile.peak, scales[length], styles) for length, rows in panels.items()}
        right = max(map(labels_margin, labels.values()))
        height = max(MIN_PANEL_HEIGHT, *map(labels_height, labels.values()))
        total = TOP + len(panels) * (height + PANEL_GAP) - PANEL_GAP + BOTTOM
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for index, (length, rows) in enumerate(panels.items()):
            bottom = (total - TOP - height - index * (height + PANEL_GAP)) / total
            axes = figure.add_axes((LEFT / WIDTH, bottom, 1 - (LEFT + right) / WIDTH, height / total))
            title = f"{pluralize(length, 'step')}, batch {rows[0].batch}"
            axes.set_title(title, loc="left", fontsize=FONT_SIZE, color=TEXT_COLOR)
            draw_roofs(axes, rows, profile.peak, scales[length])
            for row in rows:
                x, y = roofline_point(row) or (1.0, 1.0)
                # A thin line from the point to the edge, where the leader of its label starts.
                edge = axes.get_xlim()[1]
                axes.plot([x, edge], [y, y], color=AID_COLOR, linewidth=0.4, alpha=0.6, zorder=2, marker="")
                axes.plot([x], [y], **styles[row.architecture], zorder=3)
            add_labels(axes, labels[length])
    return figure


def roofline_point(row: ProfileRow) -> tuple[float, float] | None:
    """Returns the operations per byte and 10^9 operations per second of a row; `None` if they are unknown."""
    cost = row.forward_backward.cost
    intensity, gflops = None if cost is None else cost.intensity, row.gflops
    return (intensity, gflops) if intensity and gflops else None


def roofline_points(rows: Sequence[ProfileRow]) -> np.ndarray:
    """Returns the points of the rows, (rows, 2)."""
    return np.array([point for row in rows if (point := roofline_point(row))])


def throughput_scale(rows: Sequence[ProfileRow], peak: Peak) -> AxisScale:
    """Returns a vertical scale that shows all rows and the peak."""
    throughputs = roofline_points(rows)[:, 1]
    low, high = float(throughputs.min()), float(throughputs.max())
    return AxisScale(low=low / MARGIN, high=max(high, peak.gflops) * MARGIN, log=True)


def draw_roofs(axes: Axes, rows: Sequence[ProfileRow], peak: Peak, scale: AxisScale) -> None:
    """Applies the scales to the axes, and draws the limits of the machine."""
    scale.apply(axes)
    axes.set_xscale("log")
    intensities = roofline_points(rows)[:, 0]
    # The knees are always visible: traffic limits the points to the left of them.
    knees = [peak.gflops / bandwidth for bandwidth in (peak.memory, peak.cache)]
    low, high = min(*knees, *intensities) / MARGIN, max(*knees, *intensities) * MARGIN
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("floating-point operations a byte")
    axes.set_ylabel("GFLOP/s, forward and backward")
    for bandwidth, dash in ((peak.memory, DASHED), (peak.cache, DOTTED)):
        knee = peak.gflops / bandwidth
        axes.plot([low, knee], [low * bandwidth, peak.gflops], **roof_style(dash))
    axes.plot([min(knees), high], [peak.gflops, peak.gflops], **roof_style(SOLID))


def roof_style(dash: DashPattern) -> dict[str, Any]:
    """Returns the keyword arguments of `Axes.plot` for a roof."""
    return {"color": TEXT_COLOR, "linestyle": dash, "linewidth": 1.1, "marker": ""}


def marker_styles(names: set[str]) -> dict[str, dict[str, Any]]:
    """Returns the keyword arguments of `Axes.plot` for each marker; the baseline has a hollow one of the LSTM."""
    styles = {**line_styles(names - {BASELINE}), BASELINE: replace(LINE_STYLES["lstm"], hollow=True)}
    return {name: {**style.plot_keywords(), "linestyle": "", "markersize": 7.0} for name, style in styles.items()}


def build_labels(
    rows: Sequence[ProfileRow], peak: Peak, scale: AxisScale, styles: Mapping[str, dict[str, Any]]
) -> list[Label]:
    """Returns a label for each roof, at the peak where all of them end, and for each row."""
    top = scale.fraction(peak.gflops)
    roofs = (
        (f"cache {peak.cache:,.0f} GB/s", DOTTED),
        (f"memory {peak.memory:,.0f} GB/s", DASHED),
        (f"products {peak.gflops:,.0f} GFLOP/s", SOLID),
    )
    labels = [Label(text=text, y=top, plot_keywords=roof_style(dash)) for text, dash in roofs]
    for row in rows:
        _, gflops = roofline_point(row) or (1.0, 1.0)
        labels.append(Label(text=row.architecture, y=scale.fraction(gflops), plot_keywords=styles[row.architecture]))
    return labels
