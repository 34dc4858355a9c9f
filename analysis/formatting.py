"""Numbers, names and lists as the report and the pages print them."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from analysis.statistics import Estimate, Mean

DASH = "\u2013"
"""An en dash."""

ABSENT = DASH
"""Printed in place of a value that is missing."""

AT_LEAST = "\u2265 "
"""Before a value that is only known to be at least as large."""

SMALL, LARGE = 1e-3, 1e5
"""Outside of these bounds, a number is printed with a power of ten."""

SIGNIFICANT_DIGITS = 3
"""Digits of a printed number."""

MULTIPLICATION_SIGN = "\u00d7"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

HIDDEN_UNITS = ("", "1", "share")
"""Units that add nothing beside a number and are left out."""

UNIT_RANGES = {
    "share": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "R²": (0.0, 1.0),
    "log10 of the share left": (-math.inf, 0.0),
    "s": (0.0, math.inf),
    "outputs": (0.0, math.inf),
    "steps": (0.0, math.inf),
    f"{MULTIPLICATION_SIGN} the training length": (0.0, math.inf),
}
"""The smallest and the largest value that is possible in a unit, whatever the model; other units are unbounded."""


def format_count(value: float | None) -> str:
    """Formats a number as a whole number with thousands separators.

    Example:
        >>> format_count(252251)
        '252,251'
    """
    return ABSENT if value is None or not math.isfinite(value) else f"{value:,.0f}"


def format_number(value: float | None) -> str:
    """Formats a number with three significant digits, and a power of ten if it is very small or very large.

    Example:
        >>> format_number(0.16666), format_number(0.0000123)
        ('0.167', '1.23 × 10⁻⁵')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    power = power_of_ten(value)
    mantissa = value / 10.0**power
    return f"{mantissa:.{decimal_places(mantissa)}f}{format_power(power)}"


def format_plain(value: float) -> str:
    """Formats a whole number without decimals, any other number with three significant digits."""
    is_whole = abs(value) < LARGE and value == round(value)
    return format_count(value) if is_whole else format_number(value)


def format_interval(mean: Mean, min_decimals: int = 0) -> str:
    """Formats a mean and the half-width of its interval, with the same number of decimals.

    Args:
        mean: the mean; without an interval it is printed on its own.
        min_decimals: the least number of decimals; by default, as many as show three significant digits.

    Example:
        >>> format_interval(Mean(mean=0.12345, half_width=0.0021, n=3))
        '0.1235 ± 0.0021'
    """
    if mean.n == 0:
        return ABSENT
    power = 0 if min_decimals else power_of_ten(mean.mean)
    center = mean.mean / 10.0**power
    decimals = min_decimals or decimal_places(center)
    if mean.half_width is None:
        return f"{center:.{decimals}f}{format_power(power)}"
    half_width = mean.half_width / 10.0**power
    if 0 < half_width < abs(center):
        # Two digits of the half-width, as long as the mean stays readable.
        finer = min(max(decimals, decimal_places(half_width, 2)), decimals + SIGNIFICANT_DIGITS)
        decimals = finer if round(half_width, finer) else decimals
    text = f"{center:.{decimals}f} ± {f'{half_width:.{decimals}f}' if round(half_width, decimals) else '0'}"
    return f"({text}){format_power(power)}" if power else text


def format_estimate(estimate: Estimate, show_unit: bool = True) -> str:
    """Formats an estimate with its unit and its interval.

    Example:
        >>> format_estimate(Estimate(value=620, low=590, high=650, unit="steps", seeds=3))
        '620 steps [590, 650]'
    """
    text = format_plain(estimate.value)
    if show_unit and estimate.unit not in HIDDEN_UNITS:
        text += f" {singularize(estimate.unit) if text == '1' else estimate.unit}"
    if estimate.censored:
        text = AT_LEAST + text
    if estimate.has_interval:
        low, high = format_plain(estimate.low), format_plain(estimate.high)
        text += f" [{AT_LEAST}{low}]" if estimate.censored else f" [{low}, {high}]"
    if estimate.seeds_missing:
        text += f" ({estimate.seeds} of {estimate.seeds + estimate.seeds_missing} seeds)"
    return text


def format_percent(value: float) -> str:
    """Formats a percentage: a whole number from 10 on, two significant digits below."""
    return f"{value:,.0f} %" if value >= 10 else f"{value:.2g} %"


def format_power(power: int) -> str:
    """Formats a power of ten as the factor ` × 10ⁿ`; the power 0 as an empty text."""
    return f" {MULTIPLICATION_SIGN} 10{str(power).translate(SUPERSCRIPTS)}" if power else ""


def format_range(values: Iterable[float | None], default: str = ABSENT) -> str:
    """Formats the smallest and the largest of some whole numbers, or the single number that all of them are.

    Args:
        values: the numbers; `None` is left out.
        default: the text if no number is left.
    """
    numbers = sorted({value for value in values if value is not None})
    if not numbers:
        return default
    low, high = format_count(numbers[0]), format_count(numbers[-1])
    return low if len(numbers) == 1 else f"{low}{DASH}{high}"


def format_seeds(values: Iterable[int]) -> str:
    """Formats seeds as a list, in which three or more consecutive ones are a range.

    Example:
        >>> format_seeds([0, 1, 2, 7])
        '0–2, 7'
    """
    groups: list[list[int]] = []
    for value in sorted(set(values)):
        if groups and value == groups[-1][-1] + 1:
            groups[-1].append(value)
        else:
            groups.append([value])
    return ", ".join(
        f"{group[0]}{DASH}{group[-1]}" if len(group) > 2 else ", ".join(str(value) for value in group)
        for group in groups
    )


def join_names(names: Sequence[str]) -> str:
    """Joins names as in a sentence.

    Example:
        >>> join_names(["gru", "rwa", "tcn"])
        'gru, rwa and tcn'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def pluralize(amount: int, singular: str, plural: str | None = None) -> str:
    """Returns an amount with its noun.

    Example:
        >>> pluralize(1, "seed"), pluralize(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{amount} {singular if amount == 1 else plural or singular + 's'}"


def singularize(unit: str) -> str:
    """Returns the singular of a unit that is written in the plural.

    Example:
        >>> singularize("steps"), singularize("nats / step"), singularize("copies"), singularize("s")
        ('step', 'nat / step', 'copy', 's')
    """
    noun, *rest = unit.split(" ")
    if noun.endswith("ies"):
        noun = f"{noun[:-3]}y"
    elif len(noun) > 1 and noun.endswith("s"):
        noun = noun[:-1]
    return " ".join([noun, *rest])


def make_printable(text: str) -> str:
    """Replaces control characters, which neither XML nor a terminal can show."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def power_of_ten(value: float) -> int:
    """Returns the power of ten to factor out of a number; 0 if the number is readable without one."""
    if value == 0 or SMALL <= abs(value) < LARGE or not math.isfinite(value):
        return 0
    return math.floor(math.log10(abs(value)))


def decimal_places(value: float, significant: int = SIGNIFICANT_DIGITS) -> int:
    """Returns the number of decimals that shows a value with this many significant digits."""
    return max(0, significant - 1 - (math.floor(math.log10(abs(value))) if value else 0))


def clip_to_unit_range(unit: str, ends: np.ndarray) -> np.ndarray:
    """Clips the ends of intervals to the values that are possible in a unit.

    Student's interval over few seeds extends beyond them. The true mean does not, so clipping costs no confidence.

    Example:
        >>> clip_to_unit_range("share", np.array([-0.2, 0.9])).tolist()
        [0.0, 0.9]
    """
    return np.asarray(np.clip(ends, *UNIT_RANGES.get(unit, (-math.inf, math.inf))))


def format_time_left(seconds: float) -> str:
    """Formats a time left, no more precisely than it is known."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {round(seconds / 3600)} h" if seconds < 48 * 3600 else f"about {round(seconds / 86400)} days"
