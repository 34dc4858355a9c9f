"""Search space of a study: the domains of its parameters, as text and as axes of figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures.axes import LOG_SCALE_RATIO, format_tick
from analysis.formatting import DASH, join_names, make_printable
from analysis.variant_names import format_option
from workbench.study_files import Study

MAX_VALUE_LENGTH = 24
"""Number of characters above which a value is cut."""

Ticks = tuple[tuple[float, str], ...]
"""Positions on an axis, from 0 to 1, with their labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The values that a parameter may have: a range or choices."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    """Whether the range is of integers."""
    choices: tuple[Any, ...] | None = None
    """`None` for a range."""
    when: Mapping[str, Any] | None = None
    """Condition under which the parameter is used: by name of a parent parameter, the values that it has to have."""

    @property
    def is_fixed(self) -> bool:
        """True if there is only one value."""
        return self.low == self.high if self.choices is None else len(self.choices) == 1

    def fits_axis(self, value: Any) -> bool:
        """Returns whether a value has a position on the domain's axis."""
        if self.choices is not None:
            return True
        return is_finite_number(value) and (value > 0 or not self.log)


def study_domains(study: Study) -> tuple[Domain, ...]:
    """Returns the domains of all parameters: those of the search space in order, then others that trials have."""
    values: dict[str, list[Any]] = {}
    for trial in study.trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    domains = [parse_domain(name, plain) for name, plain in study.space.items()]
    return (*domains, *(infer_domain(name, values[name]) for name in sorted(values.keys() - study.space.keys())))


def searched_domains(study: Study) -> tuple[Domain, ...]:
    """Returns the domains of the parameters with more than one value to choose from."""
    return tuple(domain for domain in study_domains(study) if not domain.is_fixed)


def parse_domain(name: str, plain: Any) -> Domain:
    """Returns the domain described by plain data: a mapping with a range or choices, a list of choices, or a value."""
    if isinstance(plain, Mapping):
        when = plain.get("when")
        if "low" in plain and "high" in plain:
            integer = all(isinstance(plain[end], int) for end in ("low", "high"))
            low, high = float(plain["low"]), float(plain["high"])
            return Domain(name=name, low=low, high=high, log=bool(plain.get("log")), integer=integer, when=when)
        return Domain(name=name, choices=tuple(plain.get("choices", ())) or (None,), when=when)
    return Domain(name=name, choices=tuple(plain) if isinstance(plain, list | tuple) and plain else (plain,))


def infer_domain(name: str, values: Sequence[Any]) -> Domain:
    """Returns the smallest domain with these values."""
    if all(is_finite_number(value) for value in values):
        integer = all(isinstance(value, int) for value in values)
        return Domain(name=name, low=min(values), high=max(values), integer=integer)
    # Compared as text, so that 1 and True are different choices.
    return Domain(name=name, choices=tuple({format_option(value): value for value in values}.values()))


def is_finite_number(value: Any) -> bool:
    """Returns whether a value is a finite number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def format_value(value: Any) -> str:
    """Formats a value of a parameter, cut to `MAX_VALUE_LENGTH` characters."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = make_printable("none" if value is None else format_option(value))
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def format_domain(domain: Domain) -> str:
    """Formats a domain with its condition.

    Example:
        >>> format_domain(Domain(name="dropout", low=0.0, high=0.5, when={"num_layers": {"low": 2}}))
        '0–0.5 (when num_layers ≥ 2)'
    """
    if domain.choices is None:
        text = f"{format_bound(domain.low)}{DASH}{format_bound(domain.high)}{', log' if domain.log else ''}"
    else:
        text = ", ".join(format_value(choice) for choice in domain.choices)
    fixed = "fixed: " if domain.is_fixed else ""
    conditions = [format_condition(parent, values) for parent, values in (domain.when or {}).items()]
    return f"{fixed}{text}{f' (when {join_names(conditions)})' if conditions else ''}"


def format_condition(parent: str, values: Any) -> str:
    """Formats the values that a parent parameter has to have: a range, a list or one value."""
    name = make_printable(parent)
    if isinstance(values, Mapping):
        low, high = values.get("low"), values.get("high")
        parts = [f"≥ {format_bound(low)}"] if low is not None else []
        parts += [f"≤ {format_bound(high)}"] if high is not None else []
        return f"{name} {' and '.join(parts)}"
    if isinstance(values, list | tuple):
        return f"{name} is {' or '.join(format_value(value) for value in values)}"
    return f"{name} is {format_value(values)}"


def format_bound(value: Any) -> str:
    """Formats an end of a range."""
    return f"{float(value):g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of numbers or of choices, with positions from 0 to 1."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    integer: bool = False
    """Whether ticks are at integers only."""
    choices: tuple[str, ...] | None = None
    """Choices as `format_option` gives them, in order of position; `None` for numbers."""

    def position(self, value: Any) -> float:
        """Returns the position of a value, from 0 to 1; NaN if it has none."""
        if self.choices is not None:
            text = format_option(value)
            return (self.choices.index(text) + 0.5) / len(self.choices) if text in self.choices else math.nan
        if not is_finite_number(value) or (self.log and value <= 0):
            return math.nan
        if self.low == self.high:
            return 0.5
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return float(min(max((value - low) / (high - low), 0.0), 1.0))

    def ticks(self, max_ticks: int = 4) -> Ticks:
        """Returns the ticks of the axis.

        Args:
            max_ticks: largest number of ticks on an axis of numbers; an axis of choices has one for each.
        """
        if self.choices is not None:
            return tuple(((index + 0.5) / len(self.choices), text) for index, text in enumerate(self.choices))
        values = [value for value in round_values(self, max_ticks) if self.low <= value <= self.high]
        if len(values) < 2:
            values = sorted({self.low, self.high})
        return tuple((self.position(value), format_tick(value) if value > 0 else f"{value:g}") for value in values)


def round_values(axis: Axis, max_values: int) -> list[float]:
    """Returns round numbers along an axis; on a linear axis, some may lie beyond its ends."""
    if not axis.log:
        locator = MaxNLocator(max_values - 1, steps=[1, 2, 2.5, 5, 10], integer=axis.integer, min_n_ticks=1)
        return [float(value) for value in locator.tick_values(*padded_limits(axis))]
    values: list[float] = []
    for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        ticks = LogLocator(subs=subs, numticks=100).tick_values(axis.low, axis.high)
        values = [float(f"{value:.6g}") for value in ticks if axis.low * 0.999 <= value <= axis.high * 1.001]
        if len(values) <= max_values:
            return values
    return values[:: math.ceil(len(values) / max_values)]


def padded_limits(axis: Axis) -> tuple[float, float]:
    """Returns the ends of an axis, moved apart if they are equal."""
    return (axis.low, axis.high) if axis.low < axis.high else (axis.low - 0.5, axis.high + 0.5)


def domain_axis(domain: Domain, values: Iterable[Any]) -> Axis:
    """Returns the axis of a parameter, wide enough for values outside the domain, such as the default.

    Args:
        domain: domain of the parameter.
        values: values that trials have.
    """
    values = list(values)
    if domain.choices is not None:
        # Compared as text, so that 1 and True are different choices.
        return Axis(choices=tuple(dict.fromkeys(format_option(value) for value in (*domain.choices, *values))))
    numbers = [float(value) for value in values if domain.fits_axis(value) and is_finite_number(value)]
    low, high = min([domain.low, *numbers]), max([domain.high, *numbers])
    return Axis(low=low, high=high, log=domain.log, integer=domain.integer)


def values_axis(values: Sequence[float]) -> Axis:
    """Returns an axis for numbers such as losses, logarithmic if all are positive and span more than a decade."""
    low, high = min(values), max(values)
    return Axis(low=low, high=high, log=low > 0 and high / low > LOG_SCALE_RATIO)


def format_choice(text: str) -> str:
    """Formats a choice of an axis as a tick label."""
    return "none" if text == "null" else format_value(text)
