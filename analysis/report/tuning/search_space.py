"""What was searched: the space of a study as axes and as words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures.axes import DECADE, tick
from analysis.formatting import DASH, join_names, printable
from analysis.grouping import format_option
from workbench.study_files import Study

LONGEST = 24
"""Characters of a value that are printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What one parameter could be."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    """Whether a range is one of whole numbers."""
    choices: tuple[Any, ...] | None = None
    """`None` for a range."""
    when: Mapping[str, Any] | None = None
    """By parent, what it has to be for this one to be chosen at all."""

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to search."""
        return self.low == self.high if self.choices is None else len(self.choices) == 1

    def holds(self, value: Any) -> bool:
        """Whether a value can be shown on the domain's axis."""
        if self.choices is not None:
            return True
        return numeric(value) and (value > 0 or not self.log)


def domains(study: Study) -> tuple[Domain, ...]:
    """All parameters of a study: those of its space in its order, then those that only its trials know."""
    chosen: dict[str, list[Any]] = {}
    for trial in study.trials:
        for name, value in trial.params.items():
            chosen.setdefault(name, []).append(value)
    found = [read(name, plain) for name, plain in study.space.items()]
    return (*found, *(inferred(name, chosen[name]) for name in sorted(chosen.keys() - study.space.keys())))


def searched(study: Study) -> tuple[Domain, ...]:
    """The parameters that had more than one value to be chosen from."""
    return tuple(domain for domain in domains(study) if not domain.fixed)


def read(name: str, plain: Any) -> Domain:
    """A domain from plain data: a range, choices, or one value."""
    if isinstance(plain, Mapping):
        when = plain.get("when")
        if "low" in plain and "high" in plain:
            whole = all(isinstance(plain[end], int) for end in ("low", "high"))
            low, high = float(plain["low"]), float(plain["high"])
            return Domain(name=name, low=low, high=high, log=bool(plain.get("log")), whole=whole, when=when)
        return Domain(name=name, choices=tuple(plain.get("choices", ())) or (None,), when=when)
    return Domain(name=name, choices=tuple(plain) if isinstance(plain, list | tuple) and plain else (plain,))


def inferred(name: str, values: Sequence[Any]) -> Domain:
    """A domain that holds what was chosen."""
    if all(numeric(value) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return Domain(name=name, low=min(values), high=max(values), whole=whole)
    # As text, so that 1 and True are two.
    return Domain(name=name, choices=tuple({format_option(value): value for value in values}.values()))


def numeric(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def worded(value: Any) -> str:
    """A value of a parameter, as the report prints it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = printable("none" if value is None else format_option(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def said(domain: Domain) -> str:
    """The domain in words.

    Example:
        >>> said(Domain(name="dropout", low=0.0, high=0.5, when={"num_layers": {"low": 2}}))
        '0–0.5 (when num_layers ≥ 2)'
    """
    if domain.choices is None:
        text = f"{plain_number(domain.low)}{DASH}{plain_number(domain.high)}{', log' if domain.log else ''}"
    else:
        text = ", ".join(worded(choice) for choice in domain.choices)
    fixed = "fixed: " if domain.fixed else ""
    conditions = [condition(parent, wanted) for parent, wanted in (domain.when or {}).items()]
    return f"{fixed}{text}{f' (when {join_names(conditions)})' if conditions else ''}"


def condition(parent: str, wanted: Any) -> str:
    """What the parent has to be, in words."""
    name = printable(parent)
    if isinstance(wanted, Mapping):
        low, high = wanted.get("low"), wanted.get("high")
        parts = [f"≥ {plain_number(low)}"] if low is not None else []
        parts += [f"≤ {plain_number(high)}"] if high is not None else []
        return f"{name} {' and '.join(parts)}"
    if isinstance(wanted, list | tuple):
        return f"{name} is {' or '.join(worded(value) for value in wanted)}"
    return f"{name} is {worded(wanted)}"


def plain_number(value: Any) -> str:
    """An end of a range, in as few characters as say it."""
    return f"{float(value):g}"


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
            text = format_option(value)
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
        return Axis(choices=tuple(dict.fromkeys(format_option(value) for value in (*domain.choices, *chosen))))
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
