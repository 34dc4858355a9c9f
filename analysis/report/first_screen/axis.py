"""Axis of losses or costs: where values lie on it, and its ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.formatting import format_number

PADDING = 0.04
"""Share of the axis that is left free at each end."""
MIN_SPAN = 1.5
"""Least ratio of the ends of a logarithmic axis, so that equal values are drawn in its middle."""
STEPS = {1: (1.0,), 2: (1.0, 3.0), 3: (1.0, 2.0, 5.0)}
"""Multiples of powers of ten that have a tick, from few to many."""
MAX_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis from one end to the other, logarithmic unless a value is not positive."""

    low: float
    high: float
    log: bool

    def place(self, value: float) -> float:
        """Returns where a value lies, from 0 at the lower end to 1 at the upper; beyond them at the nearer end."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def ticks(self) -> list[tuple[float, str]]:
        """Returns up to six round values with their texts."""
        values = self.log_ticks() if self.log else self.linear_ticks()
        return [(value, format_tick(value)) for value in values]

    def log_ticks(self) -> list[float]:
        """Returns powers of ten, with 3 or 2 and 5 times these where there is room, or every other power where not."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in (STEPS[3], STEPS[2], STEPS[1]):
            values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) <= MAX_TICKS:
                return inside
        return inside[:: math.ceil(len(inside) / MAX_TICKS)]

    def linear_ticks(self) -> list[float]:
        """Returns multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / MAX_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
        return [index * step for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def fit_axis(values: Iterable[float]) -> Axis:
    """Returns the axis that holds all values, with room at both ends.

    Args:
        values: finite numbers, at least one.
    """
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    if low > 0:
        if high / low < MIN_SPAN:
            middle = math.sqrt(low) * math.sqrt(high)
            low, high = middle / math.sqrt(MIN_SPAN), middle * math.sqrt(MIN_SPAN)
        factor = (high / low) ** PADDING
        return Axis(low=low / factor, high=high * factor, log=True)
    pad = PADDING * (high - low) or 1.0
    return Axis(low=low - pad, high=high + pad, log=False)


def format_tick(value: float) -> str:
    """Formats the value of a tick as briefly as it goes: `0.001`, `1e-5`, `3,000`."""
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, power = f"{value:.0e}".partition("e")
        return f"{mantissa}e{int(power)}"
    return f"{value:,.10g}" if value else "0"


def format_short(value: float) -> str:
    """Formats a loss with two or three digits: `0.0011`, `2.8e-4`, `0.158`."""
    if 0 < abs(value) < 1e-3:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(power)}"
    return f"{value:.2g}" if 0 < abs(value) < 0.1 else format_number(value)
