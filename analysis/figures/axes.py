"""The vertical axis of a panel."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

DECADE = 10.0
"""A ratio of the largest to the smallest value above which the axis is logarithmic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisScale:
    """What an axis shows, and how."""

    low: float
    high: float
    log: bool = False

    def apply(self, axes: Axes) -> None:
        """Gives the axes this scale."""
        if self.log:
            axes.set_yscale("log")
            few = self.high / self.low < 100
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
            axes.yaxis.set_minor_locator(NullLocator() if few else LogLocator(subs=tuple(range(2, 10))))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(self.low, self.high)

    def clip(self, values: ArrayLike) -> np.ndarray:
        """The values, those outside moved to the edge that they lie beyond."""
        clipped: np.ndarray = np.clip(np.asarray(values, dtype=float), self.low, self.high)
        return clipped

    def fraction(self, value: float) -> float:
        """How far up the axis the value lies, from 0 to 1."""
        clipped = min(max(value, self.low), self.high)
        if self.log:
            return math.log(clipped / self.low) / math.log(self.high / self.low)
        return (clipped - self.low) / (self.high - self.low)


UNIT = AxisScale(low=-0.03, high=1.03)
"""For a share of 0 to 1."""


def fit_scale(values: Iterable[float]) -> AxisScale:
    """A scale that shows all the values, logarithmic where they span over a decade. 0 and less lie below such a one."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    positive = [value for value in finite if value > 0]
    if positive and max(positive) / min(positive) > DECADE:
        low, high = min(positive), max(positive)
        room = (high / low) ** 0.05
        return AxisScale(low=low / room, high=high * room, log=True)
    low, high = min(finite), max(finite)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return AxisScale(low=low - room, high=high + room)


def tick(value: float) -> str:
    """A power of ten, written out where that is short."""
    return f"{value:g}" if 1e-4 <= value < 1e6 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
