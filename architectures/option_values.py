"""Values of options in their written form, as files hold it, and as the class that takes them declares them.

What is trained has to be what its file says. So every option goes through its written form once before anything is
built: a tuple is written as a list, a member of an enumeration as its value, a dataclass as a mapping, an infinite
number as "inf"; and is read back by its annotation or, without one, by the type of its default.
"""

import dataclasses
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Literal

from architectures.limits import quote

UNKNOWN = inspect.Parameter.empty
"""Stands for an annotation, or a default, that is not there."""


def write_value(value: Any) -> Any:
    """Returns a value in its written form: `None`, booleans, numbers, strings, and lists and mappings of them.

    Raises:
        ValueError: if the value has no written form.
    """
    if isinstance(value, Enum):
        return write_value(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, float) and not math.isnan(value):
        # JSON has no infinity.
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, list | tuple):
        return [write_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: write_value(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
    if isinstance(value, Mapping):
        written = {_write_key(key): write_value(item) for key, item in value.items()}
        if len(written) == len(value):
            return written
    raise ValueError(f"must be a plain value that a YAML file can hold, not {quote(value)}")


def read_value(value: Any, hint: Any = UNKNOWN, default: Any = UNKNOWN) -> Any:
    """Returns a value as an option has it, from its written form; a value that is so already stays as it is.

    Args:
        value: the value.
        hint: the option's annotation, as `typing.get_type_hints` has it.
        default: the option's default, whose type stands for an annotation that is not there.

    Raises:
        ValueError, TypeError: if the value does not fit an enumeration or a dataclass.
    """
    return _read(value, _effective_hint(hint, default))


def read_values(values: Mapping[str, Any], owner: Callable[..., Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a class as it declares them, from their written form.

    Args:
        values: the options by name.
        owner: what has the annotations: the constructor of an architecture, or the dataclass of a task.
        defaults: the options' defaults; `UNKNOWN` for those that have none.

    Raises:
        ValueError, TypeError: if a value does not fit; the message begins with the option's name.
    """
    hints, result = type_hints(owner), {}
    for key, value in values.items():
        try:
            result[key] = read_value(value, hints.get(key, UNKNOWN), defaults.get(key, UNKNOWN))
        except (ValueError, TypeError) as error:
            raise type(error)(f"{key} {error}") from None
    return result


def write_values(values: Mapping[str, Any], owner: Callable[..., Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a class in their written form, from which they are read back as they are.

    Args:
        values: the options by name, as the class takes them.
        owner: as in `read_values`.
        defaults: as in `read_values`.

    Raises:
        ValueError: if an option has no written form, or would be read back as something else; the message begins with
            the option's name.
    """
    hints, written = type_hints(owner), {}
    for key, value in values.items():
        try:
            written[key] = write_value(value)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from None
        again = read_value(written[key], hints.get(key, UNKNOWN), defaults.get(key, UNKNOWN))
        if type(again) is not type(value) or again != value:
            raise ValueError(
                f"{key} is {quote(value)}, which a file cannot hold: it would come back as {quote(again)}; "
                "annotate the option with its type, or take a number, a string, a list or a mapping"
            )
    return written


@lru_cache(maxsize=256)
def type_hints(owner: Callable[..., Any]) -> dict[str, Any]:
    """Returns the annotations of a class or a function, not to be written to; none if one names what is not there."""
    try:
        return typing.get_type_hints(owner)
    except (NameError, AttributeError, TypeError):
        return {}


def _write_key(key: Any) -> str:
    key = write_value(key)
    if isinstance(key, list | dict):
        raise ValueError(f"must be a plain value that a YAML file can hold, whose keys are no {quote(key)}")
    return key if isinstance(key, str) else str(key)


def _effective_hint(hint: Any, default: Any) -> Any:
    """Returns the annotation; where it is missing, or says no more than tuple or dict, what the default's type says.

    A sequence of any kind is a tuple if the default is one.
    """
    inferred = _hint_of(default)
    if typing.get_origin(hint) in (Sequence, Collection, Iterable) and isinstance(default, tuple):
        return tuple[(*typing.get_args(hint), ...)]  # type: ignore[misc]
    vague = hint in (UNKNOWN, Any, object) or (hint in (tuple, dict, list) and typing.get_origin(inferred) is hint)
    return inferred if vague else hint


def _hint_of(value: Any) -> Any:
    """Returns the annotation that describes a value; `Any` if there is nothing to convert."""
    if isinstance(value, Enum) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return type(value)
    if type(value) is tuple:
        return tuple[tuple(map(_hint_of, value))] if value else tuple  # type: ignore[misc]
    if type(value) is list:
        return list[_hint_of(value[0])] if value else list  # type: ignore[misc]
    if type(value) is dict and value:
        key, item = next(iter(value.items()))
        return dict[_hint_of(key), _hint_of(item)]  # type: ignore[misc]
    return type(value) if type(value) in (int, float, bool) else Any


def _read(value: Any, hint: Any) -> Any:
    """Returns a written value as an annotation has it; unchanged where the annotation has nothing to say."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _read(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _read_union(value, arguments)
    if origin is Literal:
        return next((choice for choice in arguments if write_value(choice) == write_value(value)), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _read_enum(value, hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _read_dataclass(value, hint)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        return _read_float(value)
    kind = origin or hint
    if kind is tuple and isinstance(value, list | tuple):
        return _read_tuple(value, arguments)
    if kind in (list, Sequence, Collection, Iterable) and isinstance(value, list | tuple):
        items = [_read(item, arguments[0] if arguments else Any) for item in value]
        return items if kind is list or isinstance(value, list) else tuple(items)
    if kind in (dict, Mapping) and isinstance(value, Mapping):
        of_key, of_item = arguments or (Any, Any)
        return {_read_key(key, of_key): _read(item, of_item) for key, item in value.items()}
    return value


def _read_union(value: Any, hints: Sequence[Any]) -> Any:
    """Returns a value as the first annotation has it that it fits."""
    if value is None and type(None) in hints:
        return None
    for hint in hints:
        kind = typing.get_origin(hint) or hint
        try:
            candidate = _read(value, hint)
        except (ValueError, TypeError):
            continue
        if kind is Literal or not isinstance(kind, type) or (isinstance(candidate, kind) and not _is_bool(value, kind)):
            return candidate
    return value


def _is_bool(value: Any, kind: type) -> bool:
    """Returns whether a value is a boolean where a number is meant."""
    return isinstance(value, bool) and kind is not bool and issubclass(kind, int)


def _read_enum(value: Any, kind: type[Enum]) -> Enum:
    if isinstance(value, kind):
        return value
    for member in kind:
        if write_value(member) == write_value(value):
            return member
    raise ValueError(f"must be one of {', '.join(str(write_value(member)) for member in kind)}, not {quote(value)}")


def _read_dataclass(value: Any, kind: Any) -> Any:
    if isinstance(value, kind) or not isinstance(value, Mapping):
        return value
    defaults = {
        item.name: UNKNOWN if item.default is dataclasses.MISSING else item.default for item in dataclasses.fields(kind)
    }
    return kind(**read_values(value, kind, defaults))


def _read_float(value: int | str) -> float | int | str:
    """Returns a whole number as a float, so that 1 and 1.0 are one configuration; and the written form of infinity."""
    try:
        return value if isinstance(value, str) and value not in ("inf", "-inf") else float(value)
    except OverflowError:
        # Who takes it says that it is too large.
        return value


def _read_tuple(values: Sequence[Any], hints: Sequence[Any]) -> tuple[Any, ...]:
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_read(value, hints[0]) for value in values)
    if len(hints) == len(values):
        return tuple(_read(value, hint) for value, hint in zip(values, hints, strict=True))
    return tuple(values)


def _read_key(key: Any, hint: Any) -> Any:
    """Returns the key of a mapping, which is written as a string."""
    if isinstance(key, str) and hint in (int, bool):
        written = {"True": True, "False": False} if hint is bool else {}
        return written[key] if key in written else int(key)
    return _read(key, hint)
