"""Domains of parameters (ranges and choices), and conditions on the values of other parameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import optuna

from architectures.suggest import did_you_mean
from sweeps.setting_names import coerce_value, is_float_type, is_integer_type, is_number_type

Scalar = None | bool | int | float | str
RANGE_KEYS = ("low", "high", "log", "step")
GRID_TOLERANCE = 1e-8
"""Distance from a grid, in steps, within which a float counts as on it; Optuna's own tolerance."""
NO_VALUE = object()
"""Marks a missing value, as None is a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from low to high, both included; whole numbers if both ends are.

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
            if not (is_finite_number(value) or (name == "step" and value is None)):
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
            if self.is_integer and not isinstance(self.step, int):
                raise ValueError(f"step must be a whole number as low and high are, not {self.step:g}")

    @property
    def is_integer(self) -> bool:
        """True if only whole numbers are possible."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def highest(self) -> float:
        """The highest possible number; below `high` if the steps do not meet it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        highest = low + (high - low) // step * step
        return int(highest) if self.is_integer else float(highest)

    @property
    def corner_values(self) -> tuple[float, ...]:
        """The lowest and the highest possible number; only one if they are the same."""
        return (self.low, self.highest) if self.low < self.highest else (self.low,)

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Returns a number chosen by the trial's sampler."""
        if self.is_integer:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(name, int(self.low), int(self.highest), log=self.log, step=step)
        return trial.suggest_float(name, self.low, self.highest, log=self.log, step=self.step)

    def contains(self, value: Any) -> bool:
        """Returns whether the value is a number of this range."""
        if not is_finite_number(value) or (self.is_integer and not isinstance(value, int)):
            return False
        if not self.low <= value <= self.highest:
            return False
        steps = 0 if self.step is None else (value - self.low) / self.step
        return bool(abs(steps - round(steps)) < GRID_TOLERANCE)

    def lowest_at_least(self, bound: float) -> float:
        """Returns the lowest number of the range that is at least this bound; it may lie above `highest`."""
        if bound <= self.low:
            return self.low
        spacing = self.step if self.step is not None else 1 if self.is_integer else None
        if spacing is None:
            return bound
        return self.low + math.ceil((bound - self.low) / spacing - GRID_TOLERANCE) * spacing

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as `read_domain` takes them."""
        log = {"log": True} if self.log else {}
        step = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **log, **step}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A list of values, each as likely as any other.

    Raises:
        ValueError: if the list is empty, two values are the same, or one is not a plain value.
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
    def corner_values(self) -> tuple[Scalar, ...]:
        """All choices."""
        return self.values

    def suggest(self, trial: optuna.Trial, name: str) -> Scalar:
        """Returns a value chosen by the trial's sampler."""
        return trial.suggest_categorical(name, list(self.values))

    def contains(self, value: Any) -> bool:
        """Returns whether the value is one of the choices; true is not 1."""
        return any(values_equal(value, choice) for choice in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as `read_domain` takes them."""
        return {"choices": list(self.values)}


Domain = Range | Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """A condition that is met by any of these values."""

    values: tuple[Scalar, ...]

    def matches(self, value: Any) -> bool:
        """Returns whether the value meets the condition."""
        return any(values_equal(value, allowed) for allowed in self.values)

    def to_plain(self) -> Any:
        """Returns plain values, as `read_condition` takes them."""
        return self.values[0] if len(self.values) == 1 else list(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A condition that is met by numbers from low to high, both included; `None` stands for no bound."""

    low: float | None = None
    high: float | None = None

    def matches(self, value: Any) -> bool:
        """Returns whether the value meets the condition."""
        if not is_finite_number(value):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def to_plain(self) -> Any:
        """Returns plain values, as `read_condition` takes them."""
        return {key: value for key, value in (("low", self.low), ("high", self.high)) if value is not None}


Condition = OneOf | Between


def read_domain(plain: Mapping[str, Any] | Sequence[Any], kind: Any = None) -> Domain:
    """Reads a domain from plain data: a range `{low, high, log, step}`, or choices, `[...]` or `{choices: [...]}`.

    Args:
        plain: the data; a number may be a string such as "1e-4", as YAML reads it as a string.
        kind: the parameter's declared type; a range is of whole numbers only if no float is declared.

    Raises:
        ValueError: if it is not a domain, or one that the declared type cannot have.
    """
    if not isinstance(plain, Mapping):
        plain = {"choices": plain}
    for key in plain:
        if key not in (*RANGE_KEYS, "choices"):
            raise ValueError(f"it has no key {key!r}{did_you_mean(str(key), (*RANGE_KEYS, 'choices', 'when'))}")
    if "choices" in plain:
        if len(plain) > 1:
            raise ValueError("it has both choices and the ends of a range; give only one of them")
        if not isinstance(plain["choices"], list | tuple):
            raise ValueError(f"choices must be a list, not {plain['choices']!r}")
        return Choices(values=tuple(coerce_value(value, kind) for value in plain["choices"]))
    missing = [key for key in ("low", "high") if key not in plain]
    if missing:
        raise ValueError(f"a range needs low and high; {' and '.join(missing)} is missing")
    if not is_number_type(kind):
        raise ValueError("it is not a number, so it takes a list of choices, not a range")
    numbers = {key: parse_number(plain[key]) for key in ("low", "high", "step") if plain.get(key) is not None}
    if is_float_type(kind) or not all(isinstance(numbers.get(key), int) for key in ("low", "high")):
        if is_integer_type(kind):
            raise ValueError("it is a whole number, so low and high must be whole")
        numbers = {key: float(value) if is_finite_number(value) else value for key, value in numbers.items()}
    return Range(**{"low": None, "high": None, **numbers, "log": plain.get("log", False)})


def read_condition(plain: Any, kind: Any = None) -> Condition:
    """Reads a condition from plain data: a value, a list of values, or `{low, high}`, of which one may be left out.

    Args:
        plain: the data.
        kind: the declared type of the parameter that the condition is about.

    Raises:
        ValueError: if it is not a condition.
    """
    if isinstance(plain, Mapping):
        for key in plain:
            if key not in ("low", "high"):
                raise ValueError(f"a condition has no key {key!r}{did_you_mean(str(key), ('low', 'high'))}")
        bounds = {key: parse_number(value) for key, value in plain.items()}
        if not bounds or not all(is_finite_number(value) for value in bounds.values()):
            raise ValueError(f"a condition's low and high must be numbers, not {dict(plain)!r}")
        return Between(**bounds)
    values = plain if isinstance(plain, list | tuple) else [plain]
    if not values or not all(isinstance(value, Scalar) for value in values):
        raise ValueError(f"a condition must be a value, a list of values, or {{low, high}}, not {plain!r}")
    return OneOf(values=tuple(coerce_value(value, kind) for value in values))


def find_value(domain: Domain, conditions: Sequence[Condition], preferred: Any = NO_VALUE) -> Any:
    """Returns a value of the domain that meets all conditions, preferably this one; `NO_VALUE` if none does."""

    def is_valid(value: Any) -> bool:
        return domain.contains(value) and all(condition.matches(value) for condition in conditions)

    listed = [value for condition in conditions if isinstance(condition, OneOf) for value in condition.values]
    candidates = [preferred, *domain.corner_values, *listed]
    if not isinstance(domain, Choices):
        # If any number is valid, so is the lowest one above all bounds.
        bounds = [
            condition.low for condition in conditions if isinstance(condition, Between) and condition.low is not None
        ]
        candidates.append(domain.lowest_at_least(max([domain.low, *bounds])))
    return next((value for value in candidates if is_valid(value)), NO_VALUE)


def parse_number(value: Any) -> Any:
    """Returns the number that a string stands for; any other value unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def is_finite_number(value: Any) -> bool:
    """Returns whether the value is a finite number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def values_equal(value: Any, other: Any) -> bool:
    """Returns whether two plain values are equal; true is not equal to 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
