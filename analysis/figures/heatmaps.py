"""Heat maps one below the other, in columns that share a scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.figures import labels
from analysis.figures.axes import tick
from analysis.formatting import format_count
from analysis.probes.result import Heatmap
from analysis.style import theme

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440.0, 52.0, 14.0, 20.0, 86.0
"""Points: of the figure, and of what surrounds its maps; the colour bars are below them."""
HEIGHT, BETWEEN, APART, BAR = 84.0, 22.0, 30.0, 7.0
"""Points: of a map, between maps one below the other, between columns, and of a colour bar."""
LABEL = 12.0
"""Points from the left edge to the middle of the label that all vertical axes share."""
COLOURS = colormaps["viridis"].resampled(32)
"""Perceptually uniform, and as dark to bright in grey as in colour. Of few levels, so that images stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorScale:
    """What the colours of a column mean."""

    label: str
    low: float
    high: float
    log: bool = False
    """Whether colours follow the logarithm. Values outside have the colour of the end that they lie beyond."""

    def norm(self) -> Normalize:
        """From values to colours."""
        return (LogNorm if self.log else Normalize)(self.low, self.high, clip=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatPanel:
    """One row of maps under one title."""

    title: str
    grids: Sequence[Heatmap | None]
    """One a column; nothing is drawn where there is none."""


def draw(heats: Sequence[HeatPanel], scales: Sequence[ColorScale]) -> Figure:
    """Draws the maps as images, each pixel a value, whatever the vertical unit from bottom to top."""
    columns = len(scales)
    width = (WIDTH - LEFT - RIGHT - APART * (columns - 1)) / columns
    total = TOP + HEIGHT * len(heats) + BETWEEN * (len(heats) - 1) + BOTTOM
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for number, heat in enumerate(heats):
            bottom = total - TOP - HEIGHT - number * (HEIGHT + BETWEEN)
            titled = False
            for column, (grid, scale) in enumerate(zip(heat.grids, scales, strict=True)):
                if grid is None:
                    continue
                left = LEFT + column * (width + APART)
                axes = figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, HEIGHT / total))
                _fill(axes, grid, scale, last=number == len(heats) - 1, first=column == 0)
                if not titled:
                    title = labels.wrapped(heat.title, 60)[0]
                    axes.set_title(title, loc="left", fontsize=9.5, pad=3, parse_math=False)
                    titled = True
        for column, scale in enumerate(scales):
            left = LEFT + column * (width + APART)
            _bar(figure, scale, (left / WIDTH, 34 / total, width / WIDTH, BAR / total))
        shared = next((grid.row_name for heat in heats for grid in heat.grids if grid is not None), "")
        middle = (BOTTOM + total - TOP) / 2 / total
        figure.text(LABEL / WIDTH, middle, shared, rotation=90, ha="center", va="center")
    return figure


def _fill(axes: Any, grid: Heatmap, scale: ColorScale, *, last: bool, first: bool) -> None:
    values = grid.array()
    (low, high), (left, right) = _edges(grid.rows), _edges(grid.columns)
    axes.imshow(
        np.ma.masked_invalid(values),
        cmap=COLOURS,
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
    axes.tick_params(labelbottom=last, labelleft=first)
    if last:
        axes.set_xlabel(grid.column_name)


def _edges(centres: Sequence[float]) -> tuple[float, float]:
    """Where the first bin begins and the last one ends."""
    half = (centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.5
    end = (centres[-1] - centres[-2]) / 2 if len(centres) > 1 else 0.5
    return centres[0] - half, centres[-1] + end


def _bar(figure: Figure, scale: ColorScale, frame: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(frame)
    bar = figure.colorbar(ScalarMappable(scale.norm(), COLOURS), cax=axes, orientation="horizontal")
    # An image in place of 256 rectangles.
    assert bar.solids is not None, "it has colours"
    bar.solids.set_rasterized(True)
    bar.set_ticks(LogLocator(numticks=6) if scale.log else MaxNLocator(5))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value) if value else "0"))
    bar.ax.grid(False)
    bar.outline.set_visible(False)
    bar.set_label(scale.label)
