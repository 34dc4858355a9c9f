"""Numbers and names as the report prints them."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from analysis.statistics import Estimate, Mean

DASH = "\u2013"
"""An en dash."""

ABSENT = DASH
"""What stands where there is nothing to say."""

SMALL, LARGE = 1e-3, 1e5
"""Outside of these, a number is printed with an exponent."""

DIGITS = 3
"""Significant digits."""

TIMES = "\u00d7"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_count(value: float | None) -> str:
    """A whole number with thousands separators; others are rounded to one.

    Example:
        >>> count(252251)
        '252,251'
    """
    return ABSENT if value is None or not math.isfinite(value) else f"{value:,.0f}"


def format_number(value: float | None) -> str:
    """Three significant digits, with a power of ten where the number is very small or very large.

    Example:
        >>> number(0.16666), number(0.0000123)
        ('0.167', '1.23 × 10⁻⁵')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    power = format_exponent(value)
    return f"{value / 10.0**power:.{decimals(value / 10.0**power)}f}{format_power(power)}"


def format_interval(mean: Mean, least: int = 0) -> str:
    """A mean and the half width of its interval, to the same decimals.

    Args:
        mean: the mean; without an interval it stands alone.
        least: decimals at least; by default, as many as show three significant digits.

    Example:
        >>> interval(Mean(mean=0.12345, half=0.0021, n=3))
        '0.1235 ± 0.0021'
    """
    if mean.n == 0:
        return ABSENT
    power = 0 if least else format_exponent(mean.mean)
    centre = mean.mean / 10.0**power
    places = least or decimals(centre)
    if mean.half is None:
        return f"{centre:.{places}f}{format_power(power)}"
    half = mean.half / 10.0**power
    if 0 < half < abs(centre):
        # Two digits of the half width, as long as the mean stays readable.
        finer = min(max(places, decimals(half, 2)), places + DIGITS)
        places = finer if round(half, finer) else places
    text = f"{centre:.{places}f} ± {f'{half:.{places}f}' if round(half, places) else '0'}"
    return f"({text}){format_power(power)}" if power else text


def format_exponent(value: float) -> int:
    """The power of ten to take out of a number; 0 where it is readable as it is."""
    if value == 0 or SMALL <= abs(value) < LARGE or not math.isfinite(value):
        return 0
    return math.floor(math.log10(abs(value)))


def decimals(value: float, digits: int = DIGITS) -> int:
    """The decimals that show so many significant digits."""
    return max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))


def format_percent(value: float) -> str:
    """Per cent, to two digits where it is small."""
    return f"{value:,.0f} %" if value >= 10 else f"{value:.2g} %"


def format_power(power: int) -> str:
    """` × 10ⁿ`, or nothing."""
    return f" {TIMES} 10{str(power).translate(SUPERSCRIPTS)}" if power else ""


def format_range(values: Iterable[float | None], absent: str = ABSENT) -> str:
    """The one whole number that all values are, or the smallest and the largest."""
    known = sorted({value for value in values if value is not None})
    if not known:
        return absent
    return format_count(known[0]) if len(known) == 1 else f"{format_count(known[0])}{DASH}{format_count(known[-1])}"


def join_names(names: Sequence[str]) -> str:
    """Names as in a sentence.

    Example:
        >>> listed(["gru", "rwa", "tcn"])
        'gru, rwa and tcn'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def pluralize(amount: int, one: str, many: str | None = None) -> str:
    """The amount with its noun.

    Example:
        >>> plural(1, "seed"), plural(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{amount} {one if amount == 1 else many or one + 's'}"


def format_seeds(values: Iterable[int]) -> str:
    """Seeds, with runs of neighbours drawn together.

    Example:
        >>> seeds([0, 1, 2, 7])
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


def printable(text: str) -> str:
    """The text without control characters, which neither XML nor a reader can take."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


UNSAID = ("", "1", "share")
"""Units that say nothing beside a number."""
AT_LEAST = "\u2265 "


def format_estimate(estimate: Estimate, unit: bool = True) -> str:
    """A number with its interval.

    Example:
        >>> shown(Estimate(value=620, low=590, high=650, unit="steps", seeds=3))
        '620 steps [590, 650]'
    """
    said = format_plain(estimate.value)
    name = f" {singular(estimate.unit) if said == '1' else estimate.unit}"
    value = (AT_LEAST if estimate.censored else "") + said + (name if unit and estimate.unit not in UNSAID else "")
    if estimate.has_interval:
        ends = f"{format_plain(estimate.low)}, {format_plain(estimate.high)}"
        value += f" [{AT_LEAST}{format_plain(estimate.low)}]" if estimate.censored else f" [{ends}]"
    among = f" ({estimate.seeds} of {estimate.seeds + estimate.seeds_missing} seeds)" if estimate.seeds_missing else ""
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


def format_plain(value: float) -> str:
    """A number; a whole one without decimals."""
    whole = abs(value) < LARGE and value == round(value)
    return format_count(value) if whole else format_number(value)


RANGES = {
    "share": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "R²": (0.0, 1.0),
    "log10 of the share left": (-math.inf, 0.0),
    "s": (0.0, math.inf),
    "outputs": (0.0, math.inf),
    "steps": (0.0, math.inf),
    f"{TIMES} the training length": (0.0, math.inf),
}


def within(unit: str, ends: np.ndarray) -> np.ndarray:
    """The ends of intervals, cut to where what is given in the unit can lie, whatever the model.

    Student's interval, of few seeds, goes on beyond. The true mean does not, so that this costs no confidence.

    Example:
        >>> within("share", np.array([-0.2, 0.9])).tolist()
        [0.0, 0.9]
    """
    return np.asarray(np.clip(ends, *RANGES.get(unit, (-math.inf, math.inf))))
