"""Scales of vertical axes, linear or logarithmic, fitted to the values; and axes of training steps."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

from analysis.comparison.losses import MIN_SEEDS
from analysis.formatting import format_count

MIN_BAND_SEEDS = MIN_SEEDS
"""Fewest seeds whose mean has a band: with fewer, Student's interval is so wide that it hides all curves."""
LOG_SCALE_RATIO = 10.0
"""Ratio of the largest to the smallest value above which an axis is logarithmic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisScale:
    """The limits of an axis, and whether it is logarithmic."""

    low: float
    high: float
    log: bool = False

    def apply(self, axes: Axes) -> None:
        """Applies the scale to the vertical axis, with its ticks."""
        if self.log:
            axes.set_yscale("log")
            is_short = self.high / self.low < 100
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_short else (1.0,)))
            axes.yaxis.set_minor_locator(NullLocator() if is_short else LogLocator(subs=tuple(range(2, 10))))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(self.low, self.high)

    def clip(self, values: ArrayLike) -> np.ndarray:
        """Returns the values, clipped to the limits."""
        clipped: np.ndarray = np.clip(np.asarray(values, dtype=float), self.low, self.high)
        return clipped

    def fraction(self, value: float) -> float:
        """Returns the height of a value on the axis, from 0 at the bottom to 1 at the top."""
        clipped = min(max(value, self.low), self.high)
        if self.log:
            return math.log(clipped / self.low) / math.log(self.high / self.low)
        return (clipped - self.low) / (self.high - self.low)


SHARE_SCALE = AxisScale(low=-0.03, high=1.03)
"""Scale for shares from 0 to 1."""


def fit_scale(values: Iterable[float]) -> AxisScale:
    """Returns a scale that shows all values, logarithmic if they span more than a decade.

    Values of 0 and less are below the lower limit of a logarithmic scale.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    positive = [value for value in finite if value > 0]
    if positive and max(positive) / min(positive) > LOG_SCALE_RATIO:
        low, high = min(positive), max(positive)
        margin = (high / low) ** 0.05
        return AxisScale(low=low / margin, high=high * margin, log=True)
    low, high = min(finite), max(finite)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    return AxisScale(low=low - margin, high=high + margin)


def set_step_axis(axes: Axes, last_step: float, num_ticks: int = 5, *, numbered: bool = True) -> None:
    """Makes the horizontal axis one of training steps.

    Args:
        axes: the axes.
        last_step: its upper limit.
        num_ticks: most intervals between ticks.
        numbered: whether the ticks have numbers, and the axis its name; of panels one below the other, the last has.
    """
    axes.set_xlim(0, last_step)
    axes.xaxis.set_major_locator(MaxNLocator(num_ticks, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: format_count(step)))
    axes.tick_params(labelbottom=numbered)
    if numbered:
        axes.set_xlabel("training step")


def set_value_axis(axes: Axes, label: str, scale: AxisScale, width: float) -> None:
    """Applies a scale to the vertical axis, with its label at a fixed distance.

    Args:
        axes: the axes.
        label: what the values are; empty for none.
        scale: the scale.
        width: width of the axes, in points.
    """
    scale.apply(axes)
    axes.set_ylabel(label)
    axes.yaxis.set_label_coords(-40 / width, 0.5)


def format_tick(value: float) -> str:
    """Formats the value at a tick: without an exponent from 1e-4 to 1e6, else with one digit."""
    return f"{value:g}" if 1e-4 <= value < 1e6 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
