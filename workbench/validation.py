"""Checks of values from users and files, with one-line errors."""

import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from architectures.limits import MAX_WIDTH, quote
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
        raise UserError(f"{where} must be a mapping, not {quote(values)}")
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise UserError(f"{where} has no key {quote(key)}{did_you_mean(key, names)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(f"{where} cannot be read: {error}") from None


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raises a `UserError` if a value is not among the choices of a `Literal`."""
    if value not in get_args(choices):
        raise UserError(f"{name} {quote(value)} is unknown{did_you_mean(value, get_args(choices))}")


def check_int(name: str, value: Any, *, least: int, most: int | None = None, why: str | None = None) -> None:
    """Raises a `UserError` if a value is not a whole number from `least` to `most`.

    Args:
        name: of the option.
        value: its value.
        least: the lower bound, itself included.
        most: the upper bound, itself included; `None` if there is none.
        why: the reason for it, for the message.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name} must be a whole number, not {quote(value)}")
    if value < least:
        raise UserError(f"{name} must be at least {least}, not {quote(value)}")
    if most is not None and value > most:
        raise UserError(f"{name} must be at most {most}, not {quote(value)}{f': {why}' if why else ''}")


def check_size(name: str, value: Any, *, most: int = MAX_WIDTH) -> None:
    """Raises a `UserError` if a value is not a whole number from 1 to the most that a machine could have memory for."""
    check_int(name, value, least=1, most=most, why="no machine has the memory for more")


def check_number(
    name: str, value: Any, *, above: float | None = None, least: float | None = None, most: float | None = None
) -> None:
    """Raises a `UserError` if a value is not finite, not above `above`, below `least`, or above `most`."""
    # A whole number may be finite, and yet larger than any number with a point.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise UserError(f"{name} must be a number, not {quote(value)}")
    if above is not None and value <= above:
        raise UserError(f"{name} must be above {above:g}, not {value:g}")
    if least is not None and value < least:
        raise UserError(f"{name} must be at least {least:g}, not {value:g}")
    if most is not None and value > most:
        raise UserError(f"{name} must be at most {most:g}, not {value:g}")
