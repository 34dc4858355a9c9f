"""Axes for what is searched: a place from 0 to 1 for every value, and the ticks that name some of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.naming import shown
from analysis.scales import DECADE, tick
from analysis.tuning.domains import Domain, numeric, worded

Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of numbers, or of choices."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    """Whether only whole numbers have ticks."""
    choices: tuple[str, ...] | None = None
    """As `shown` gives them, from low to high; `None` for numbers."""

    def place(self, value: Any) -> float:
        """Where a value stands, from 0 to 1; NaN for what the axis cannot have."""
        if self.choices is not None:
            text = shown(value)
            return (self.choices.index(text) + 0.5) / len(self.choices) if text in self.choices else math.nan
        if not numeric(value) or (self.log and value <= 0):
            return math.nan
        if self.low == self.high:
            return 0.5
        low, high, value = (
            (math.log(each) for each in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return float(min(max((value - low) / (high - low), 0.0), 1.0))

    def ticks(self, most: int = 4) -> Ticks:
        """Places with what stands at them.

        Args:
            most: numbers; all choices have one.
        """
        if self.choices is not None:
            return tuple(((index + 0.5) / len(self.choices), text) for index, text in enumerate(self.choices))
        values = [value for value in rounded(self, most) if self.low <= value <= self.high]
        if len(values) < 2:
            values = sorted({self.low, self.high})
        return tuple((self.place(value), tick(value) if value > 0 else f"{value:g}") for value in values)


def rounded(axis: Axis, most: int) -> list[float]:
    """Round numbers along the axis."""
    if not axis.log:
        locator = MaxNLocator(most - 1, steps=[1, 2, 2.5, 5, 10], integer=axis.whole, min_n_ticks=1)
        return [float(value) for value in locator.tick_values(*ends(axis))]
    for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = LogLocator(subs=subs, numticks=100).tick_values(axis.low, axis.high)
        found = [float(f"{value:.6g}") for value in found if axis.low * 0.999 <= value <= axis.high * 1.001]
        if len(found) <= most:
            return found
    return list(found)[:: -(-len(found) // most)]


def ends(axis: Axis) -> tuple[float, float]:
    """The ends, apart where they are the same."""
    return (axis.low, axis.high) if axis.low < axis.high else (axis.low - 0.5, axis.high + 0.5)


def of_domain(domain: Domain, values: Iterable[Any]) -> Axis:
    """The axis of a parameter, wide enough for what was chosen: the default may lie outside of what is searched."""
    chosen = list(values)
    if domain.choices is not None:
        # As text, so that 1 and True are two.
        return Axis(choices=tuple(dict.fromkeys(shown(value) for value in (*domain.choices, *chosen))))
    kept = [float(value) for value in chosen if domain.holds(value) and numeric(value)]
    low, high = min([domain.low, *kept]), max([domain.high, *kept])
    return Axis(low=low, high=high, log=domain.log, whole=domain.whole)


def of_values(values: Sequence[float]) -> Axis:
    """An axis for losses and the like, logarithmic where all are positive and span over a decade."""
    low, high = min(values), max(values)
    return Axis(low=low, high=high, log=low > 0 and high / low > DECADE)


def named(text: str) -> str:
    """A choice as it stands at its tick."""
    return "none" if text == "null" else worded(text)
