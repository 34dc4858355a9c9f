"""When a parameter is chosen at all: conditions on the values of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architectures.suggest import near
from sweeps.domains import Choices, Domain, Scalar, is_finite, same, to_number
from sweeps.names import typed

NOTHING = object()
"""No value at all, which None is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The value is one of these."""

    values: tuple[Scalar, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value meets it."""
        return any(same(value, each) for each in self.values)

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


def read(plain: Any, kind: Any = None) -> Condition:
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
                raise ValueError(f"a condition has no key {key!r}{near(str(key), ('low', 'high'))}")
        bounds = {key: to_number(value) for key, value in plain.items()}
        if not bounds or not all(is_finite(value) for value in bounds.values()):
            raise ValueError(f"a condition's low and high must be numbers, not {dict(plain)!r}")
        return Between(**bounds)
    values = plain if isinstance(plain, list | tuple) else [plain]
    if not values or not all(isinstance(value, Scalar) for value in values):
        raise ValueError(f"a condition must be a value, a list of values, or {{low, high}}, not {plain!r}")
    return OneOf(values=tuple(typed(value, kind) for value in values))


def meeting(domain: Domain, conditions: Sequence[Condition], preferred: Any = NOTHING) -> Any:
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
