"""Figures of the chapter on discount dynamics."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.axes import SHARE_SCALE, AxisScale
from analysis.figures.heatmaps import ColorScale, HeatmapRow, draw_heatmaps
from analysis.figures.panels import REFERENCE_LINE, Line, Panel, curve_line, draw_panels, finite_values
from analysis.probes.aggregate import RowResults
from analysis.probes.result import Heatmap

RETENTION = ColorScale(label="retention", low=0, high=1)
WRITE = ColorScale(label="write (logarithmic)", low=1e-3, high=1, log=True)
MIN_WRITE_SHARE = 1e-6
"""The lowest write that is shown, as a share of the highest."""


def draw_gates(rows: Sequence[RowResults]) -> Figure | None:
    """Draws retention and write of every row's first seed, unit by unit."""
    heatmap_rows = [
        HeatmapRow(title=row.row.label, heatmaps=(first_heatmap(row, "retention"), first_heatmap(row, "write")))
        for row in rows
        if first_heatmap(row, "retention") is not None
    ]
    return draw_heatmaps(heatmap_rows, (RETENTION, WRITE)) if heatmap_rows else None


def draw_attention_maps(row: RowResults) -> Figure | None:
    """Draws the attention maps of the first seed of a hierarchical attention network, lowest level first."""
    names = [name for result in row.results[:1] for name in result.heatmaps if name.startswith("map_")]
    heatmaps = {name: heatmap for name in names if (heatmap := first_heatmap(row, name)) is not None}
    if not heatmaps:
        return None
    top = max(float(np.nanmax(heatmap.to_array())) for heatmap in heatmaps.values())
    heatmap_rows = [
        HeatmapRow(title=level_title(name.removeprefix("map_")), heatmaps=(heatmap,))
        for name, heatmap in heatmaps.items()
    ]
    scale = ColorScale(label="attention (logarithmic)", low=top / 1000, high=top, log=True)
    return draw_heatmaps(heatmap_rows, (scale,))


def draw_attention_levels(row: RowResults) -> Figure | None:
    """Draws the mean attention of each level of a hierarchical attention network against the lag."""
    names = sorted({name for result in row.results for name in result.curves if name.startswith("attention_level")})
    panels = []
    for name in names:
        if lines := finite_lines([row], name):
            title = level_title(name.removeprefix("attention_"))
            scale = scale_from_zero(lines)
            panels.append(Panel(lines=lines, x_label="lag in steps", y_label=f"attention, {title}", scale=scale))
    return draw_nonempty(*panels)


def draw_over_time(rows: Sequence[RowResults]) -> Figure | None:
    """Draws retention, write and effective window against the step."""
    write = finite_lines(rows, "write_log")
    window = finite_lines(rows, "effective_window")
    write_scale = None
    if write:
        # The write of an average over all steps.
        x = max((line.x for line in write), key=len)
        write.append(Line(label="1 / t", x=x, y=1 / x, plot_keywords=REFERENCE_LINE))
        write_scale = log_scale(write)
    if window:
        x = max((line.x for line in window), key=len)
        window.append(Line(label="all steps", x=x, y=x, plot_keywords=REFERENCE_LINE))
    return draw_nonempty(
        Panel(lines=finite_lines(rows, "retention"), x_label="step", y_label="retention", scale=SHARE_SCALE),
        Panel(
            lines=write,
            x_label="step (logarithmic)",
            y_label="write (logarithmic)",
            log_x=True,
            scale=write_scale,
        ),
        Panel(lines=window, x_label="step (logarithmic)", y_label="effective window, steps", log_x=True),
    )


def draw_time_scales(rows: Sequence[RowResults]) -> Figure | None:
    """Draws the distribution of time constants over the units, and the influence within a lag."""
    return draw_nonempty(
        Panel(lines=finite_lines(rows, "time_constants"), x_label="share of units", y_label="time constant, steps"),
        Panel(
            lines=finite_lines(rows, "influence_within_last"),
            x_label="lag in steps (logarithmic)",
            y_label="influence within the lag",
            log_x=True,
            scale=SHARE_SCALE,
        ),
    )


def draw_discounts(rows: Sequence[RowResults]) -> Figure | None:
    """Draws the discount gamma of the RDA, and log a of the RDA and the RWA, against the step."""
    attention = finite_lines(rows, "log_attention", with_band=True)
    return draw_nonempty(
        Panel(lines=finite_lines(rows, "discount", with_band=True), x_label="step", y_label="gamma", scale=SHARE_SCALE),
        Panel(lines=attention, x_label="step", y_label="log a, nats", scale=linear_scale(attention)),
    )


def draw_episodes(rows: Sequence[RowResults]) -> Figure | None:
    """Draws the influence of an episode's symbols until the end of the next, and how much is dropped after use."""
    return draw_nonempty(
        Panel(
            lines=finite_lines(rows, "held_symbols"),
            x_label="step since an episode's start, to the end of the next",
            y_label="influence of its symbols",
            scale=SHARE_SCALE,
        ),
        Panel(
            lines=finite_lines(rows, "dropped_by_episode"),
            x_label="episode",
            y_label="dropped after use",
            scale=SHARE_SCALE,
        ),
    )


def draw_nonempty(*panels: Panel) -> Figure | None:
    """Draws the panels that have lines other than reference lines; `None` if there are none."""
    nonempty = [panel for panel in panels if any(line.plot_keywords["marker"] for line in panel.lines)]
    return draw_panels(nonempty) if nonempty else None


def finite_lines(rows: Sequence[RowResults], name: str, *, with_band: bool = False) -> list[Line]:
    """Returns a line for each row that has a curve of this name with a finite value.

    Args:
        rows: the rows.
        name: name of the curve.
        with_band: whether the band holds the middle 80 % of units, if known, instead of the interval.
    """
    lines = []
    for row in rows:
        curve = row.curve(name)
        if curve is None or not np.isfinite(curve.to_array()).any():
            continue
        line = curve_line(row, curve)
        low, high = row.curve(f"{name}_p10"), row.curve(f"{name}_p90")
        if with_band and low is not None and high is not None:
            line = replace(line, low=low.to_array(), high=high.to_array())
        lines.append(line)
    return lines


def first_heatmap(row: RowResults, name: str) -> Heatmap | None:
    """Returns a heat map of the first seed that has it."""
    return next((result.heatmaps[name] for result in row.results if name in result.heatmaps), None)


def level_title(name: str) -> str:
    """Returns the title of a level from its name, such as `level_2_ahead`."""
    _, number, *ahead = name.split("_")
    return f"level {number}{', looking ahead' if ahead else ''}"


def log_scale(lines: Sequence[Line]) -> AxisScale | None:
    """Returns a logarithmic scale that shows the positive values of the lines, down to a small share of the highest."""
    values = [value for line in lines for value in finite_values(line.y) if value > 0]
    if not values:
        return None
    high = max(values)
    low = max(min(values), high * MIN_WRITE_SHARE)
    return AxisScale(low=low / 1.2, high=high * 1.2, log=True) if low < high else None


def scale_from_zero(lines: Sequence[Line]) -> AxisScale:
    """Returns a linear scale from 0 that shows the lines; bands may exceed it."""
    high = max(value for line in lines for value in finite_values(line.y))
    return AxisScale(low=0, high=1.15 * high or 1.0)


def linear_scale(lines: Sequence[Line]) -> AxisScale | None:
    """Returns a linear scale that shows lines and bands, whatever their sign."""
    arrays = [array for line in lines for array in (line.y, line.low, line.high) if array is not None]
    values = [value for array in arrays for value in finite_values(array)]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.06 * ((high - low) or 1.0)
    return AxisScale(low=low - margin, high=high + margin)
