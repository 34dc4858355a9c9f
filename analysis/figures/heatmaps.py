"""Heat maps in rows, one below the other, and columns that share a color scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.figures.axes import format_tick
from analysis.figures.labels import wrap_text
from analysis.formatting import format_count
from analysis.palettes import is_grey
from analysis.probes.result import Heatmap
from analysis.style import theme

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440.0, 52.0, 14.0, 20.0, 86.0
"""Points: width of the figure, and its margins; the color bars are in the bottom margin."""
MAP_HEIGHT, ROW_GAP, COLUMN_GAP, BAR_HEIGHT = 84.0, 22.0, 30.0, 7.0
"""Points: height of a map, gaps between rows and between columns, height of a color bar."""
LABEL_CENTER = 12.0
"""Points from the left edge to the center of the label that all vertical axes share."""
NUM_LEVELS = 32
"""Levels of the color map: few, so that images stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorScale:
    """The values that the colors of a column stand for."""

    label: str
    low: float
    high: float
    log: bool = False
    """True if colors follow the logarithm of the value. Values beyond the limits have the color of the nearer limit."""

    def norm(self) -> Normalize:
        """Returns the mapping of values to the range of the color map."""
        return (LogNorm if self.log else Normalize)(self.low, self.high, clip=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatmapRow:
    """A row of heat maps under one title."""

    title: str
    heatmaps: Sequence[Heatmap | None]
    """One per column; the place of `None` stays empty."""


def draw_heatmaps(rows: Sequence[HeatmapRow], color_scales: Sequence[ColorScale]) -> Figure:
    """Draws heat maps as images, a pixel for each value, their rows from bottom to top.

    Args:
        rows: the heat maps, row by row.
        color_scales: the color scale of each column.
    """
    columns = len(color_scales)
    width = (WIDTH - LEFT - RIGHT - COLUMN_GAP * (columns - 1)) / columns
    total = TOP + MAP_HEIGHT * len(rows) + ROW_GAP * (len(rows) - 1) + BOTTOM
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for number, row in enumerate(rows):
            bottom = total - TOP - MAP_HEIGHT - number * (MAP_HEIGHT + ROW_GAP)
            has_title = False
            for column, (heatmap, scale) in enumerate(zip(row.heatmaps, color_scales, strict=True)):
                if heatmap is None:
                    continue
                left = LEFT + column * (width + COLUMN_GAP)
                axes = figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, MAP_HEIGHT / total))
                _draw_heatmap(axes, heatmap, scale, is_last=number == len(rows) - 1, is_first=column == 0)
                if not has_title:
                    title = wrap_text(row.title, 60)[0]
                    axes.set_title(title, loc="left", fontsize=9.5, pad=3, parse_math=False)
                    has_title = True
        for column, scale in enumerate(color_scales):
            left = LEFT + column * (width + COLUMN_GAP)
            _draw_color_bar(figure, scale, (left / WIDTH, 34 / total, width / WIDTH, BAR_HEIGHT / total))
        label = next((heatmap.row_name for row in rows for heatmap in row.heatmaps if heatmap is not None), "")
        middle = (BOTTOM + total - TOP) / 2 / total
        figure.text(LABEL_CENTER / WIDTH, middle, label, rotation=90, ha="center", va="center")
    return figure


def color_map() -> Colormap:
    """Returns a perceptually uniform color map, monotonic in greyscale too; grey if the palette is."""
    return colormaps["Greys" if is_grey() else "viridis"].resampled(NUM_LEVELS)


def _draw_heatmap(axes: Any, heatmap: Heatmap, scale: ColorScale, *, is_last: bool, is_first: bool) -> None:
    """Draws one heat map; only the last row has a labelled horizontal axis, only the first column a vertical one."""
    (low, high), (left, right) = _extent(heatmap.rows), _extent(heatmap.columns)
    axes.imshow(
        np.ma.masked_invalid(heatmap.to_array()),
        cmap=color_map(),
        norm=scale.norm(),
        extent=(left, right, low, high),
        origin="lower",
        aspect="auto",
        interpolation="none",
    )
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10], integer=True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    axes.tick_params(labelbottom=is_last, labelleft=is_first)
    if is_last:
        axes.set_xlabel(heatmap.column_name)


def _extent(centers: Sequence[float]) -> tuple[float, float]:
    """Returns the outer edges of the first and the last of some bins, given their centers."""
    first = (centers[1] - centers[0]) / 2 if len(centers) > 1 else 0.5
    last = (centers[-1] - centers[-2]) / 2 if len(centers) > 1 else 0.5
    return centers[0] - first, centers[-1] + last


def _draw_color_bar(figure: Figure, scale: ColorScale, frame: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(frame)
    bar = figure.colorbar(ScalarMappable(scale.norm(), color_map()), cax=axes, orientation="horizontal")
    assert bar.solids is not None, "it has colors"
    # As an image instead of one rectangle per level.
    bar.solids.set_rasterized(True)
    bar.set_ticks(LogLocator(numticks=6) if scale.log else MaxNLocator(5))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value) if value else "0"))
    bar.ax.grid(False)
    bar.outline.set_visible(False)
    bar.set_label(scale.label)
