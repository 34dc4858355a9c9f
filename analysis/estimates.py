"""Estimates as the report prints them."""

from analysis.formats import LARGE, count, number
from analysis.probed import Estimate

UNSAID = ("", "1", "share")
"""Units that say nothing beside a number."""
AT_LEAST = "\u2265 "


def shown(estimate: Estimate, unit: bool = True) -> str:
    """A number with its interval.

    Example:
        >>> shown(Estimate(value=620, low=590, high=650, unit="steps", seeds=3))
        '620 steps [590, 650]'
    """
    said = plain(estimate.value)
    name = f" {singular(estimate.unit) if said == '1' else estimate.unit}"
    value = (AT_LEAST if estimate.at_least else "") + said + (name if unit and estimate.unit not in UNSAID else "")
    if estimate.sure:
        ends = f"{plain(estimate.low)}, {plain(estimate.high)}"
        value += f" [{AT_LEAST}{plain(estimate.low)}]" if estimate.at_least else f" [{ends}]"
    among = f" ({estimate.seeds} of {estimate.seeds + estimate.lacking} seeds)" if estimate.lacking else ""
    return value + among


def singular(unit: str) -> str:
    """The unit of one.

    Example:
        >>> singular("steps"), singular("nats / step"), singular("copies"), singular("s")
        ('step', 'nat / step', 'copy', 's')
    """
    first, *rest = unit.split(" ")
    one = f"{first[:-3]}y" if first.endswith("ies") else first[:-1] if len(first) > 1 and first[-1] == "s" else first
    return " ".join([one, *rest])


def plain(value: float) -> str:
    """A number; a whole one without decimals."""
    whole = abs(value) < LARGE and value == round(value)
    return count(value) if whole else number(value)
