"""Values that a user or a file gives, and the line that refuses those that cannot be."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from architectures.suggest import did_you_mean
from workbench.errors import UserError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Any, where: str) -> T:
    """`cls(**values)`, where an unknown or missing key is the user's mistake."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be a mapping, not {values!r}")
    known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UserError(f"{where} has no key {key!r}{did_you_mean(str(key), known)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(f"{where} cannot be read: {error}") from None


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuses a value that is none of a Literal's."""
    if value not in get_args(choices):
        raise UserError(f"{name} {value!r} is unknown{did_you_mean(str(value), get_args(choices))}")


def check_int(name: str, value: Any, *, least: int, most: int | None = None) -> None:
    """Refuses what is no whole number of at least `least`, and at most `most` where that is given."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise UserError(f"{name} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise UserError(f"{name} must be at most {most}, not {value}")


def check_number(name: str, value: Any, *, above: float | None = None, least: float | None = None) -> None:
    """Refuses what is no finite number, or lies too low."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise UserError(f"{name} must be a number, not {value!r}")
    if above is not None and value <= above:
        raise UserError(f"{name} must be above {above:g}, not {value:g}")
    if least is not None and value < least:
        raise UserError(f"{name} must be at least {least:g}, not {value:g}")
