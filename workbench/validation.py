"""Checks of values from users and files, with one-line errors."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from architectures.suggest import did_you_mean
from workbench.errors import UserError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Any, where: str) -> T:
    """Returns `cls(**values)`.

    Args:
        cls: a dataclass.
        values: by field.
        where: what the mapping is, for messages.

    Raises:
        UserError: if the values are not a mapping, or a key is unknown or missing.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be a mapping, not {values!r}")
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise UserError(f"{where} has no key {key!r}{did_you_mean(str(key), names)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(f"{where} cannot be read: {error}") from None


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raises a `UserError` if a value is not among the choices of a `Literal`."""
    if value not in get_args(choices):
        raise UserError(f"{name} {value!r} is unknown{did_you_mean(str(value), get_args(choices))}")


def check_int(name: str, value: Any, *, least: int, most: int | None = None) -> None:
    """Raises a `UserError` if a value is not a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise UserError(f"{name} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise UserError(f"{name} must be at most {most}, not {value}")


def check_number(name: str, value: Any, *, above: float | None = None, least: float | None = None) -> None:
    """Raises a `UserError` if a value is not a finite number, or not above `above`, or below `least`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise UserError(f"{name} must be a number, not {value!r}")
    if above is not None and value <= above:
        raise UserError(f"{name} must be above {above:g}, not {value:g}")
    if least is not None and value < least:
        raise UserError(f"{name} must be at least {least:g}, not {value:g}")
