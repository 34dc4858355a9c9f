"""What comparisons and sweeps are asked for: tasks and architectures by name, options by name, all in one flat file."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from architectures.suggest import did_you_mean
from workbench.config import Budget, Numerics, Optimization
from workbench.errors import UserError
from workbench.validation import from_mapping

T = TypeVar("T")

NESTED_KEYS: Mapping[str, type[Any]] = {"optimization": Optimization, "budget": Budget, "numerics": Numerics}
"""Whose fields stand beside the others."""


def check_names(kind: str, names: Sequence[str], given: Any, what: str, *, also: Sequence[str] = ()) -> None:
    """Refuses names that are missing or there twice, and options for what is not named.

    Args:
        kind: task or architecture.
        names: what is named.
        given: options by name.
        what: is done with them, as in "compared".
        also: other names that options may be given for.

    Raises:
        UserError: in one line.
    """
    if not names:
        raise UserError(f"name at least one {kind}: --{kind}s NAME,NAME (workbench list shows them)")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{kind} {name!r} is named {names.count(name)} times; once is enough")
    if not isinstance(given, Mapping):
        raise UserError(f"the options of each {kind} must be a mapping by name, not {given!r}")
    known = (*names, *also)
    for name, options in given.items():
        if name not in known:
            raise UserError(
                f"options are given for {kind} {name!r}, which is not {what}{did_you_mean(str(name), known)}"
            )
        if not isinstance(options, Mapping):
            raise UserError(f"the options of {kind} {name} must be a mapping, not {options!r}")


def to_flat(asked: Any, lists: Sequence[str]) -> dict[str, Any]:
    """Plain values, as in the YAML file that `from_flat` reads back.

    Args:
        asked: a dataclass with fields called as those of `NESTED`.
        lists: its fields that are names.
    """
    values = asdict(asked)
    nested = [values.pop(key) for key in NESTED_KEYS]
    flat = {**values, **{key: list(values[key]) for key in lists}}
    for each in nested:
        flat |= each
    return flat


def from_flat(cls: type[T], values: Mapping[str, Any], lists: Sequence[str], where: str) -> T:
    """The inverse of `to_flat`.

    Raises:
        UserError: if a key is unknown or missing, or a value cannot be.
    """
    rest = dict(values)
    inner: dict[str, Any] = {}
    for key, kind in NESTED_KEYS.items():
        chosen = {item.name: rest.pop(item.name) for item in fields(kind) if item.name in rest}
        inner[key] = from_mapping(kind, chosen, key)
    for item in fields(cls):  # type: ignore[arg-type]
        if item.name in lists and (item.name in rest or item.default is MISSING):
            rest[item.name] = join_names(rest.get(item.name, ()), item.name)
    return from_mapping(cls, {**rest, **inner}, where)


def join_names(value: Any, key: str) -> tuple[str, ...]:
    """A list of names, or one string with commas between them."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{key} must be names separated by commas, not {value!r}")
    return tuple(name.strip() for name in names if name.strip())
