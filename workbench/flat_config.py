"""The flat files of comparisons and sweeps: tasks and architectures by name, options and settings side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from architectures.limits import quote
from architectures.suggest import did_you_mean
from workbench.config import Budget, Numerics, Optimization
from workbench.custom_parts import PartKind
from workbench.errors import UserError
from workbench.tasks.file_names import resolve_handles
from workbench.validation import from_mapping

T = TypeVar("T")

NESTED_KEYS: Mapping[str, type[Any]] = {"optimization": Optimization, "budget": Budget, "numerics": Numerics}
"""Fields that are written flat: their own fields stand beside the others."""


def check_names(kind: PartKind, names: Sequence[str], options: Any, verb: str, *, also: Sequence[str] = ()) -> None:
    """Refuses an empty list of names, a name that is listed twice, and options for a name that is not listed.

    Args:
        kind: task or architecture.
        names: the list.
        options: by name.
        verb: what is done with them, as in "compared".
        also: other names that may have options.

    Raises:
        UserError: if one of these is the case.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{kind}s must be a list of names, not {quote(names)}")
    if not names:
        raise UserError(f"name at least one {kind}: --{kind}s NAME,NAME (workbench list shows them)")
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{kind} {quote(name)} is named {count} times; once is enough")
    if not isinstance(options, Mapping):
        raise UserError(f"the options of each {kind} must be a mapping by name, not {quote(options)}")
    choices = (*names, *also)
    for name, values in options.items():
        if name not in choices:
            raise UserError(
                f"options are given for {kind} {quote(name)}, which is not {verb}{did_you_mean(name, choices)}"
            )
        if not isinstance(values, Mapping):
            raise UserError(f"the options of {kind} {name} must be a mapping, not {quote(values)}")


def name_in_full(names: Sequence[str], options: Any) -> Any:
    """Returns the options of tasks by the names of the tasks, where those that read files may be named by handles.

    Args:
        names: of the tasks; with anything else among them the options stay as they are.
        options: by name or handle; anything but a mapping stays as it is.

    Raises:
        UserError: if a handle fits several tasks.
    """
    are_names = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return resolve_handles(names, options) if are_names and isinstance(options, Mapping) else options


def to_flat(config: Any, lists: Sequence[str]) -> dict[str, Any]:
    """Returns plain values, as in the YAML file that `from_flat` reads back.

    Args:
        config: a dataclass that has the fields `NESTED_KEYS`.
        lists: its fields that are lists of names.
    """
    values = asdict(config)
    sections = [values.pop(key) for key in NESTED_KEYS]
    flat = {**values, **{key: list(values[key]) for key in lists}}
    for section in sections:
        flat |= section
    return flat


def from_flat(cls: type[T], values: Mapping[str, Any], lists: Sequence[str], where: str) -> T:
    """Returns the dataclass that `to_flat` wrote.

    Args:
        cls: the dataclass.
        values: by field, those of the `NESTED_KEYS` among them.
        lists: its fields that are lists of names.
        where: what the mapping is, for messages.

    Raises:
        UserError: if a key is unknown or missing, or a value is invalid.
    """
    rest = dict(values)
    nested: dict[str, Any] = {}
    for key, section in NESTED_KEYS.items():
        settings = {item.name: rest.pop(item.name) for item in fields(section) if item.name in rest}
        nested[key] = from_mapping(section, settings, key)
    for item in fields(cls):  # type: ignore[arg-type]
        if item.name in lists and (item.name in rest or item.default is MISSING):
            rest[item.name] = parse_names(rest.get(item.name, ()), item.name)
    return from_mapping(cls, {**rest, **nested}, where)


def parse_names(value: Any, key: str) -> tuple[str, ...]:
    """Returns the names in a list, or in one string with commas between them.

    Raises:
        UserError: if the value is neither.
    """
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{key} must be names separated by commas, not {quote(value)}")
    return tuple(name.strip() for name in names if name.strip())
