"""The figures of the chapter on discount dynamics."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.figures import heatmaps, panels
from analysis.figures.axes import UNIT, AxisScale
from analysis.figures.heatmaps import HeatPanel
from analysis.figures.panels import AID, Line, Panel, draw
from analysis.probes.aggregate import RowResults
from analysis.probes.result import Heatmap

RETENTION = heatmaps.ColorScale(label="retention", low=0, high=1)
WRITE = heatmaps.ColorScale(label="write (logarithmic)", low=1e-3, high=1, log=True)
FARTHEST = 1e-6
"""The lowest write shown, as a share of the highest."""


def heats(rows: Sequence[RowResults]) -> Figure | None:
    """Retention and write of every row's first seed, unit by unit."""
    found = [
        HeatPanel(title=row.row.label, grids=(grid(row, "retention"), grid(row, "write")))
        for row in rows
        if grid(row, "retention") is not None
    ]
    return heatmaps.draw(found, (RETENTION, WRITE)) if found else None


def grid(row: RowResults, name: str) -> Heatmap | None:
    """A grid of the first seed that has it."""
    return next((each.heatmaps[name] for each in row.results if name in each.heatmaps), None)


def maps(row: RowResults) -> Figure | None:
    """The attention maps of a hierarchy's first seed, lowest level first."""
    found = [name for each in row.results[:1] for name in each.heatmaps if name.startswith("map_")]
    grids = [(name, made) for name in found if (made := grid(row, name)) is not None]
    if not grids:
        return None
    top = max(float(np.nanmax(made.array())) for _, made in grids)
    shown = [HeatPanel(title=level_title(name.removeprefix("map_")), grids=(made,)) for name, made in grids]
    scale = heatmaps.ColorScale(label="attention (logarithmic)", low=top / 1000, high=top, log=True)
    return heatmaps.draw(shown, (scale,))


def level_title(name: str) -> str:
    """`level_2_ahead` in words."""
    _, number, *ahead = name.split("_")
    return f"level {number}{', looking ahead' if ahead else ''}"


def lines(rows: Sequence[RowResults], name: str, *, banded: bool = False) -> list[Line]:
    """A line for each row that has the curve; the band, if any, holds the middle 80 % of units."""
    made = []
    for row in rows:
        curve = row.curve(name)
        if curve is None or not np.isfinite(curve.array()).any():
            continue
        each = panels.line(row, curve)
        low, high = row.curve(f"{name}_p10"), row.curve(f"{name}_p90")
        if banded and low is not None and high is not None:
            each = Line(label=each.label, x=each.x, y=each.y, look=each.look, low=low.array(), high=high.array())
        made.append(each)
    return made


def over_time(rows: Sequence[RowResults]) -> Figure | None:
    """Retention, write and effective window against the step."""
    write = lines(rows, "write_log")
    window = lines(rows, "effective_window")
    if write:
        # What an average over all steps does.
        x = max((each.x for each in write), key=len)
        write.append(Line(label="1 / t", x=x, y=1 / x, look=AID))
    if window:
        x = max((each.x for each in window), key=len)
        window.append(Line(label="all steps", x=x, y=x, look=AID))
    return drawn(
        Panel(lines=lines(rows, "retention"), x_label="step", y_label="retention", scale=UNIT),
        Panel(lines=write, x_label="step (logarithmic)", y_label="write (logarithmic)", log_x=True, scale=scale(write)),
        Panel(lines=window, x_label="step (logarithmic)", y_label="effective window, steps", log_x=True),
    )


def scales(rows: Sequence[RowResults]) -> Figure | None:
    """Time constants over the units, and influence within a lag."""
    return drawn(
        Panel(lines=lines(rows, "time_constants"), x_label="share of units", y_label="time constant, steps"),
        Panel(
            lines=lines(rows, "influence_within_last"),
            x_label="lag in steps (logarithmic)",
            y_label="influence within the lag",
            log_x=True,
            scale=UNIT,
        ),
    )


def discounts(rows: Sequence[RowResults]) -> Figure | None:
    """What is the RDA's and the RWA's own: gamma and log a."""
    attention = lines(rows, "log_attention", banded=True)
    return drawn(
        Panel(lines=lines(rows, "discount", banded=True), x_label="step", y_label="gamma", scale=UNIT),
        Panel(lines=attention, x_label="step", y_label="log a, nats", scale=straight(attention)),
    )


def episodes(rows: Sequence[RowResults]) -> Figure | None:
    """What is held of an episode while it is needed, and after."""
    by_episode = lines(rows, "dropped_by_episode")
    return drawn(
        Panel(
            lines=lines(rows, "held_symbols"),
            x_label="step since an episode's start, to the end of the next",
            y_label="influence of its symbols",
            scale=UNIT,
        ),
        Panel(lines=by_episode, x_label="episode", y_label="dropped after use", scale=UNIT),
    )


def levels(row: RowResults) -> Figure | None:
    """Mean attention of each level of a hierarchy, by how far away it looks."""
    names = sorted({name for each in row.results for name in each.curves if name.startswith("attention_level")})
    made = []
    for name in names:
        if each := lines([row], name):
            title = level_title(name.removeprefix("attention_"))
            made.append(Panel(lines=each, x_label="lag in steps", y_label=f"attention, {title}", scale=from_zero(each)))
    return drawn(*made)


def scale(each: Sequence[Line]) -> AxisScale | None:
    """A logarithmic scale, down to where nothing is to be seen any more."""
    values = [value for line in each for value in panels.finite(line.y) if value > 0]
    if not values:
        return None
    high = max(values)
    low = max(min(values), high * FARTHEST)
    return AxisScale(low=low / 1.2, high=high * 1.2, log=True) if low < high else None


def from_zero(each: Sequence[Line]) -> AxisScale:
    """A linear scale from 0 that shows the lines; bands may leave it."""
    high = max(value for line in each for value in panels.finite(line.y))
    return AxisScale(low=0, high=1.15 * high or 1.0)


def straight(each: Sequence[Line]) -> AxisScale | None:
    """A linear scale that shows lines and bands, of whatever sign."""
    tables = [table for line in each for table in (line.y, line.low, line.high) if table is not None]
    values = [value for table in tables for value in panels.finite(table)]
    if not values:
        return None
    low, high = min(values), max(values)
    room = 0.06 * ((high - low) or 1.0)
    return AxisScale(low=low - room, high=high + room)


def drawn(*panels: Panel) -> Figure | None:
    """Those panels that have lines."""
    kept = [each for each in panels if any(line.look["marker"] for line in each.lines)]
    return draw(kept) if kept else None
