"""Names of the settings that a sweep may search, and the reasons why some may not be searched."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import architectures
from architectures.registry import get_entry, load_encoder_class
from architectures.suggest import did_you_mean
from workbench.config import Budget, Numerics, Optimization
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.size_matching import SIZE_OPTIONS

Match = Literal["none", "width", "parameters", "state"]
"""Widths are free (`none`), the same for all architectures, or solved so that numbers of parameters, or sizes of the
state, are equal."""

ALL_ARCHITECTURES = "all"
"""Section of a sweep's space that holds the changes for all architectures."""
SET_BY_TASK = dict.fromkeys(("input_size", "reach"), "it follows from the task")
SAME_FOR_ALL_TRIALS = {
    **{field.name: "the budget is the same for every trial" for field in fields(Budget)},
    **dict.fromkeys((field.name for field in fields(Numerics)), "every trial has the same one"),
    "seed": "every trial has the same one",
    "parameters": "a target is the same for every trial; give it with --match parameters",
    "state_size": "a target is the same for every trial; give it with --match state",
}
"""Settings of the whole sweep. An architecture's own option of such a name is written as `architecture.NAME`."""
SET_BY_MATCH: dict[str, str] = {"width": "--match width makes it the same for all"}
SET_BY_MATCH |= {name: f"--match {name} solves for it" for name in SIZE_OPTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of a run that a sweep may search.

    Args:
        name: as it is written in a study: the field alone where that is unambiguous, else `owner.field`.
        owner: the part of a run that has the setting.
        field: its name there.
        kind: its declared type; `None` if none is declared.
    """

    name: str
    owner: Literal["optimization", "architecture", "model"]
    field: str
    kind: Any


def list_settings(architecture: str) -> tuple[Setting, ...]:
    """Returns every setting that the architecture leaves open, and those of the optimization and the model around it.

    Raises:
        UserError: if there is no such architecture.
    """
    with user_errors(f"architecture {architecture}"):
        hints = typing.get_type_hints(load_encoder_class(architecture).__init__)
        kinds_by_owner: dict[Any, Mapping[str, Any]] = {
            "optimization": typing.get_type_hints(Optimization),
            "architecture": {key: hints.get(key) for key in architectures.options(architecture)},
            "model": {"embedding_size": int | None},
        }
    triples = [(owner, field, kind) for owner, kinds in kinds_by_owner.items() for field, kind in kinds.items()]
    bare_names = [field for _, field, _ in triples]

    def written_name(owner: str, field: str) -> str:
        unambiguous = bare_names.count(field) == 1 and field not in SAME_FOR_ALL_TRIALS
        return field if unambiguous else f"{owner}.{field}"

    return tuple(
        Setting(name=written_name(owner, field), owner=owner, field=field, kind=kind) for owner, field, kind in triples
    )


def find_setting(name: Any, architecture: str, match: Match = "none") -> Setting:
    """Returns the setting of a name: a field of `Optimization`, `embedding_size`, or an option of the architecture.

    A name may always be qualified: `optimization.NAME`, `architecture.NAME`, `model.embedding_size`.

    Raises:
        ValueError: if no setting or two settings have the name, or it may not be searched.
        UserError: if there is no such architecture.
    """
    if not isinstance(name, str):
        raise ValueError(f"a parameter's name must be a string, not {name!r}")
    settings = list_settings(architecture)
    field = name.rpartition(".")[2]
    check_searchable(name, architecture, match)
    matches = [setting for setting in settings if name in (setting.field, f"{setting.owner}.{setting.field}")]
    if len(matches) > 1:
        qualified = " or ".join(f"{setting.owner}.{setting.field}" for setting in matches)
        raise ValueError(f"{name} stands for two things; write {qualified}")
    if matches:
        return matches[0]
    if field in get_entry(architecture).fixed:
        fixed = get_entry(architecture).fixed[field]
        raise ValueError(f"{architecture} fixes {field}={fixed!r}, so it cannot be searched")
    raise ValueError(f"there is no parameter {name!r}{did_you_mean(name, [setting.name for setting in settings])}")


def check_searchable(name: Any, architecture: str, match: Match) -> None:
    """Refuses a name that no sweep may search.

    Raises:
        ValueError: if the name is such a one; the message gives the reason.
    """
    field = str(name).rpartition(".")[2]
    reason = SET_BY_TASK.get(field) or (SET_BY_MATCH.get(match) if field == "hidden_size" else None)
    if name in SAME_FOR_ALL_TRIALS:
        is_option = any(setting.name == f"architecture.{name}" for setting in list_settings(architecture))
        hint = f"; the architecture's own is architecture.{name}" if is_option else ""
        reason = SAME_FOR_ALL_TRIALS[name] + hint
    if reason is not None:
        raise ValueError(f"{name} cannot be searched: {reason}")


def has_setting(name: str, architecture: str) -> bool:
    """Returns whether the architecture, the optimization or the model has a setting of this name."""
    return any(name in (setting.field, f"{setting.owner}.{setting.field}") for setting in list_settings(architecture))


def settings_by_name(architecture: str, values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns values of settings by their written names.

    Args:
        architecture: the architecture whose names are used.
        values: by owner (optimization, architecture, model), the values by field.
    """
    return {
        setting.name: values[setting.owner][setting.field]
        for setting in list_settings(architecture)
        if setting.field in values.get(setting.owner, {})
    }


def normalize_options(architecture: str, options: Any) -> dict[str, Any]:
    """Returns an architecture's options as a JSON file would hold them, converted to their declared types.

    Raises:
        UserError: if they are not a mapping of numbers, strings, lists and mappings.
    """
    if not isinstance(options, Mapping):
        raise UserError(f"the options of {architecture} must be a mapping, not {options!r}")
    kinds = {setting.field: setting.kind for setting in list_settings(architecture) if setting.owner == "architecture"}
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError):
        raise UserError(f"the options of {architecture} must be plain values, not {dict(options)!r}") from None
    return {key: coerce_value(value, kinds.get(key)) for key, value in plain.items()}


def coerce_value(value: Any, kind: Any) -> Any:
    """Returns a value as its declared type has it: where a float is declared, 1 is 1.0 and "1e-4" is 0.0001."""
    if not is_float_type(kind) or isinstance(value, bool) or not isinstance(value, int | str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def is_float_type(kind: Any) -> bool:
    """Returns whether the declared type is float, or float and None."""
    return set(union_members(kind)) - {type(None)} == {float}


def is_integer_type(kind: Any) -> bool:
    """Returns whether the declared type is int, or int and None."""
    return set(union_members(kind)) - {type(None)} == {int}


def is_number_type(kind: Any) -> bool:
    """Returns whether the declared type has numbers; true if no type is declared."""
    return kind is None or kind is Any or not {int, float}.isdisjoint(union_members(kind))


def union_members(kind: Any) -> Iterator[Any]:
    """Yields the types of a union, or the type itself if it is not a union."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for member in typing.get_args(kind):
            yield from union_members(member)
    else:
        yield kind
