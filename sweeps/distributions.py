"""What a parameter may be: a range of numbers, or one of some choices."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import optuna

from architectures.suggest import did_you_mean
from sweeps.setting_names import coerce_value, is_float, is_integer, is_number

Scalar = None | bool | int | float | str
RANGE = ("low", "high", "log", "step")
ON_GRID = 1e-8
"""Optuna's own tolerance, in steps, for a float that lies on a grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from low to high, both included: whole ones where both ends are.

    Args:
        low, high: the ends.
        log: whether equal ratios are equally likely, rather than equal differences.
        step: the distance from one possible number to the next, counted from low.

    Raises:
        ValueError: if there is no such range.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if not (is_finite(value) or (name == "step" and value is None)):
                raise ValueError(f"{name} must be a number, not {value!r}")
        if not isinstance(self.log, bool):
            raise ValueError(f"log must be true or false, not {self.log!r}")
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} lies above high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0, not at {self.low:g}")
        if self.step is not None:
            if self.log:
                raise ValueError("a logarithmic range has no step; drop log or step")
            if self.step <= 0:
                raise ValueError(f"step must be above 0, not {self.step:g}")
            if self.whole and not isinstance(self.step, int):
                raise ValueError(f"step must be a whole number as low and high are, not {self.step:g}")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are possible."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def top(self) -> float:
        """The highest number that is possible: below `high`, where the steps do not meet it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        found = low + (high - low) // step * step
        return int(found) if self.whole else float(found)

    @property
    def ends(self) -> tuple[float, ...]:
        """The lowest and the highest number that are possible; one, where they are the same."""
        return (self.low, self.top) if self.low < self.top else (self.low,)

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """A number chosen by the trial's sampler."""
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(name, int(self.low), int(self.top), log=self.log, step=step)
        return trial.suggest_float(name, self.low, self.top, log=self.log, step=self.step)

    def holds(self, value: Any) -> bool:
        """Whether the value is one of its numbers."""
        if not is_finite(value) or (self.whole and not isinstance(value, int)) or not self.low <= value <= self.top:
            return False
        steps = 0 if self.step is None else (value - self.low) / self.step
        return bool(abs(steps - round(steps)) < ON_GRID)

    def from_(self, least: float) -> float:
        """The lowest of its numbers that is at least this; it may lie beyond the top."""
        if least <= self.low:
            return self.low
        grain = self.step if self.step is not None else 1 if self.whole else None
        return least if grain is None else self.low + math.ceil((least - self.low) / grain - ON_GRID) * grain

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `read` takes them."""
        log = {"log": True} if self.log else {}
        step = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **log, **step}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """One of some values, each as likely as any other.

    Raises:
        ValueError: if there are none, two are the same, or one is no plain value.
    """

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("there are no choices")
        for index, value in enumerate(self.values):
            if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
                raise ValueError(f"a choice must be a number, a string, true, false or null, not {value!r}")
            # Optuna cannot tell 1, 1.0 and True apart.
            for other in self.values[:index]:
                if other == value:
                    raise ValueError(f"the choices {other!r} and {value!r} are the same")

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """All choices."""
        return self.values

    def suggest(self, trial: optuna.Trial, name: str) -> Scalar:
        """A value chosen by the trial's sampler."""
        return trial.suggest_categorical(name, list(self.values))

    def holds(self, value: Any) -> bool:
        """Whether the value is one of them; true is not 1."""
        return any(same_value(value, each) for each in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `read` takes them."""
        return {"choices": list(self.values)}


Domain = Range | Choices


def read_domain(plain: Mapping[str, Any] | Sequence[Any], kind: Any = None) -> Domain:
    """A domain from plain data: a range `{low, high, log, step}`, or choices, `[...]` or `{choices: [...]}`.

    Args:
        plain: the data; a number may be a string such as "1e-4", which YAML takes for none.
        kind: the parameter's declared type; a range is of whole numbers only where no float is declared.

    Raises:
        ValueError: if it is no domain, or one that the type cannot have.
    """
    if not isinstance(plain, Mapping):
        plain = {"choices": plain}
    for key in plain:
        if key not in (*RANGE, "choices"):
            raise ValueError(f"it has no key {key!r}{did_you_mean(str(key), (*RANGE, 'choices', 'when'))}")
    if "choices" in plain:
        if len(plain) > 1:
            raise ValueError("it has choices and the ends of a range; only one can be")
        if not isinstance(plain["choices"], list | tuple):
            raise ValueError(f"choices must be a list, not {plain['choices']!r}")
        return Choices(values=tuple(coerce_value(value, kind) for value in plain["choices"]))
    missing = [key for key in ("low", "high") if key not in plain]
    if missing:
        raise ValueError(f"a range needs low and high; {' and '.join(missing)} is missing")
    if not is_number(kind):
        raise ValueError("it is no number, so it takes a list of choices, not a range")
    numbers = {key: to_number(plain[key]) for key in ("low", "high", "step") if plain.get(key) is not None}
    if is_float(kind) or not all(isinstance(numbers.get(key), int) for key in ("low", "high")):
        if is_integer(kind):
            raise ValueError("it is a whole number, so low and high must be whole")
        numbers = {key: float(value) if is_finite(value) else value for key, value in numbers.items()}
    return Range(**{"low": None, "high": None, **numbers, "log": plain.get("log", False)})


def to_number(value: Any) -> Any:
    """The number that a string stands for; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def is_finite(value: Any) -> bool:
    """Whether it is a number, and no infinite one; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def same_value(one: Any, other: Any) -> bool:
    """Equality of plain values in which true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


NOTHING = object()
"""No value at all, which None is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The value is one of these."""

    values: tuple[Scalar, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value meets it."""
        return any(same_value(value, each) for each in self.values)

    def to_plain(self) -> Any:
        """Plain values, as `read` takes them."""
        return self.values[0] if len(self.values) == 1 else list(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """The value is a number from low to high, both included; `None` is no bound."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: Any) -> bool:
        """Whether the value meets it."""
        if not is_finite(value):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def to_plain(self) -> Any:
        """Plain values, as `read` takes them."""
        return {key: value for key, value in (("low", self.low), ("high", self.high)) if value is not None}


Condition = OneOf | Between


def read_condition(plain: Any, kind: Any = None) -> Condition:
    """A condition from plain data: a value, a list of values, or bounds `{low, high}` of which one may be left out.

    Args:
        plain: the data.
        kind: the declared type of the parameter that it is about.

    Raises:
        ValueError: if it is no condition.
    """
    if isinstance(plain, Mapping):
        for key in plain:
            if key not in ("low", "high"):
                raise ValueError(f"a condition has no key {key!r}{did_you_mean(str(key), ('low', 'high'))}")
        bounds = {key: to_number(value) for key, value in plain.items()}
        if not bounds or not all(is_finite(value) for value in bounds.values()):
            raise ValueError(f"a condition's low and high must be numbers, not {dict(plain)!r}")
        return Between(**bounds)
    values = plain if isinstance(plain, list | tuple) else [plain]
    if not values or not all(isinstance(value, Scalar) for value in values):
        raise ValueError(f"a condition must be a value, a list of values, or {{low, high}}, not {plain!r}")
    return OneOf(values=tuple(coerce_value(value, kind) for value in values))


def restrict(domain: Domain, conditions: Sequence[Condition], preferred: Any = NOTHING) -> Any:
    """A value of the domain that meets all conditions: the preferred one if it does; `NOTHING` where there is none."""

    def meets(value: Any) -> bool:
        return domain.holds(value) and all(condition.holds(value) for condition in conditions)

    named = [value for condition in conditions if isinstance(condition, OneOf) for value in condition.values]
    tried = [preferred, *domain.ends, *named]
    if not isinstance(domain, Choices):
        # The lowest number above all bounds is possible, or none is.
        lows = [each.low for each in conditions if isinstance(each, Between) and each.low is not None]
        tried.append(domain.from_(max([domain.low, *lows])))
    return next((value for value in tried if meets(value)), NOTHING)
