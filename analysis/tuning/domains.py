"""What was searched: the space of a study as axes and as words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.formats import DASH, listed, printable
from analysis.naming import shown
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
    return Domain(name=name, choices=tuple({shown(value): value for value in values}.values()))


def numeric(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def worded(value: Any) -> str:
    """A value of a parameter, as the report prints it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = printable("none" if value is None else shown(value))
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
    return f"{fixed}{text}{f' (when {listed(conditions)})' if conditions else ''}"


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
