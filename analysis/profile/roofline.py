"""The roofline: what each architecture reaches, under what the machine allows at its arithmetic intensity (Williams,
Waterman and Patterson 2009, doi 10.1145/1498765.1498785)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figures.axes import AxisScale, tick
from analysis.figures.labels import SIZE, Label, add, height, margin
from analysis.formatting import format_number, pluralize
from analysis.profile.cases import BASELINE
from analysis.profile.machine import Peak
from analysis.profile.profiler import Profile, ProfileRow
from analysis.style import DASHED, DOTTED, FAINT, INK, LINE_STYLES, SOLID, line_styles, theme

WIDTH, LEFT, BOTTOM, TOP, BETWEEN = 500.0, 56.0, 38.0, 22.0, 62.0
"""Points: of the figure, and of what surrounds its panels."""
PANEL = 240.0
"""The least height of a panel, in points; more labels make it higher."""
ROOM = 1.6
"""How far the axes go beyond what is drawn, as a factor."""


def draw(profile: Profile) -> Figure | None:
    """A panel for each length: forward and backward, 10^9 operations a second against operations a byte. `None` where
    no architecture's traffic is known."""
    panels = {length: [row for row in profile.at(length) if at(row)] for length in profile.settings.lengths}
    panels = {length: rows for length, rows in panels.items() if rows}
    if not panels:
        return None
    with theme():
        made = marked({row.architecture for rows in panels.values() for row in rows})
        scales = {length: scale(rows, profile.peak) for length, rows in panels.items()}
        labels = {length: labelled(rows, profile.peak, scales[length], made) for length, rows in panels.items()}
        right = max(margin(each) for each in labels.values())
        high = max(PANEL, *(height(each) for each in labels.values()))
        total = TOP + len(panels) * (high + BETWEEN) - BETWEEN + BOTTOM
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for index, (length, rows) in enumerate(panels.items()):
            bottom = (total - TOP - high - index * (high + BETWEEN)) / total
            axes = figure.add_axes((LEFT / WIDTH, bottom, 1 - (LEFT + right) / WIDTH, high / total))
            axes.set_title(f"{pluralize(length, 'step')}, batch {rows[0].batch}", loc="left", fontsize=SIZE, color=INK)
            roofs(axes, rows, profile.peak, scales[length])
            for row in rows:
                x, y = at(row) or (1.0, 1.0)
                # Thin, from the point to where its label's leader starts.
                axes.plot([x, axes.get_xlim()[1]], [y, y], color=FAINT, linewidth=0.4, alpha=0.6, zorder=2, marker="")
                axes.plot([x], [y], **made[row.architecture], zorder=3)
            add(axes, labels[length])
    return figure


def at(row: ProfileRow) -> tuple[float, float] | None:
    """Where a row stands: operations a byte, and 10^9 operations a second."""
    amount = row.forward_backward.amount
    intensity, gflops = None if amount is None else amount.intensity, row.gflops
    return (intensity, gflops) if intensity and gflops else None


def points(rows: Sequence[ProfileRow]) -> np.ndarray:
    """Where the rows stand, (rows, 2)."""
    return np.array([place for row in rows if (place := at(row))])


def scale(rows: Sequence[ProfileRow], peak: Peak) -> AxisScale:
    """Shows the slowest and the peak."""
    lowest, highest = points(rows)[:, 1].min(), points(rows)[:, 1].max()
    return AxisScale(low=float(lowest) / ROOM, high=max(float(highest), peak.gflops) * ROOM, log=True)


def roofs(axes: Axes, rows: Sequence[ProfileRow], peak: Peak, scale: AxisScale) -> None:
    """Scales the axes, and draws what the machine allows."""
    scale.apply(axes)
    axes.set_xscale("log")
    intensities = points(rows)[:, 0]
    # The knees are shown where they are: what lies left of one is held up by traffic.
    knees = [peak.gflops / bandwidth for bandwidth in (peak.memory, peak.cache)]
    low, high = min(*knees, *intensities) / ROOM, max(*knees, *intensities) * ROOM
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("floating-point operations a byte")
    axes.set_ylabel("GFLOP/s, forward and backward")
    for bandwidth, dash in ((peak.memory, DASHED), (peak.cache, DOTTED)):
        knee = peak.gflops / bandwidth
        axes.plot([low, knee], [low * bandwidth, peak.gflops], **roof(dash))
    axes.plot([min(knees), high], [peak.gflops, peak.gflops], **roof(SOLID))


def roof(dash: Any) -> dict[str, Any]:
    """How a roof is drawn."""
    return {"color": INK, "linestyle": dash, "linewidth": 1.1, "marker": ""}


def marked(names: set[str]) -> dict[str, dict[str, Any]]:
    """How each architecture is marked: as everywhere, without a line. The baseline is the LSTM's mark, hollow."""
    made = {**line_styles(names - {BASELINE}), BASELINE: replace(LINE_STYLES["lstm"], hollow=True)}
    return {name: {**look.line(), "linestyle": "", "markersize": 7.0} for name, look in made.items()}


def labelled(
    rows: Sequence[ProfileRow], peak: Peak, scale: AxisScale, made: Mapping[str, dict[str, Any]]
) -> list[Label]:
    """A label for each row, and for each roof; all roofs end at the peak."""
    top = scale.fraction(peak.gflops)
    told = (
        (f"cache {peak.cache:,.0f} GB/s", DOTTED),
        (f"memory {peak.memory:,.0f} GB/s", DASHED),
        (f"products {peak.gflops:,.0f} GFLOP/s", SOLID),
    )
    labels = [Label(text=text, y=top, line=roof(dash)) for text, dash in told]
    for row in rows:
        _, gflops = at(row) or (1.0, 1.0)
        labels.append(Label(text=row.architecture, y=scale.fraction(gflops), line=made[row.architecture]))
    return labels


def described(profile: Profile) -> str:
    """The figure in words."""
    told = "; ".join(
        f"{row.architecture} {format_number(place[1])} GFLOP/s at {format_number(place[0])} operations a byte"
        for row in profile.rows
        if (place := at(row))
    )
    return f"Roofline, forward and backward, under {format_number(profile.peak.gflops)} GFLOP/s: {told}."
