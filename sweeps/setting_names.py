"""The names of what a sweep may choose: which setting each stands for, and why some may not be chosen."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import architectures
from architectures.registry import entry, load
from architectures.suggest import did_you_mean
from workbench.config import Budget, Numerics, Optimization
from workbench.errors import UserError
from workbench.resolve import coerce, user_errors

Match = Literal["none", "width", "parameters"]
"""Whether widths are free, the same for all architectures, or solved so that the parameters are equal."""

FOLLOWS = dict.fromkeys(("input_size", "reach"), "it follows from the task")
SHARED = {
    **{item.name: "the budget is the same for every trial" for item in fields(Budget)},
    **dict.fromkeys((item.name for item in fields(Numerics)), "every trial has the same one"),
    "seed": "every trial has the same one",
    "parameters": "a target is the same for every trial; give it with --match parameters",
}
"""Settings of the whole sweep. An architecture's own option of such a name is written with `architecture.` before."""
MATCHED = {"width": "--match width makes it the same for all", "parameters": "--match parameters solves for it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a name stands for.

    Args:
        name: as it is written in a study: alone where that is clear, else `owner.field`.
        owner: what it is a setting of.
        field: its name there.
        kind: its declared type; `None` where none is declared.
    """

    name: str
    owner: Literal["optimization", "architecture", "model"]
    field: str
    kind: Any


def settings(architecture: str) -> tuple[Setting, ...]:
    """Every setting that the architecture leaves open, and those of the optimisation and the model around it.

    Raises:
        UserError: if there is no such architecture.
    """
    with user_errors(f"architecture {architecture}"):
        kinds = typing.get_type_hints(load(architecture).__init__)
        owned: dict[Any, Mapping[str, Any]] = {
            "optimization": typing.get_type_hints(Optimization),
            "architecture": {key: kinds.get(key) for key in architectures.options(architecture)},
            "model": {"embedding_size": int | None},
        }
    found = [(owner, field, kind) for owner, kinds in owned.items() for field, kind in kinds.items()]
    bare = [field for _, field, _ in found]

    def written(owner: str, field: str) -> str:
        return field if bare.count(field) == 1 and field not in SHARED else f"{owner}.{field}"

    return tuple(
        Setting(name=written(owner, field), owner=owner, field=field, kind=kind) for owner, field, kind in found
    )


def setting(name: Any, architecture: str, match: Match = "none") -> Setting:
    """What a name stands for: a field of `Optimization`, `embedding_size`, or an option of the architecture. It may
    always be qualified: `optimization.NAME`, `architecture.NAME`, `model.embedding_size`.

    Raises:
        ValueError: if it stands for nothing or for two things, or may not be searched.
        UserError: if there is no such architecture.
    """
    if not isinstance(name, str):
        raise ValueError(f"a parameter's name must be a string, not {name!r}")
    known = settings(architecture)
    field = name.rpartition(".")[2]
    check_searchable(name, architecture, match)
    meant = [item for item in known if name in (item.field, f"{item.owner}.{item.field}")]
    if len(meant) > 1:
        ways = " or ".join(f"{item.owner}.{item.field}" for item in meant)
        raise ValueError(f"{name} stands for two things; write {ways}")
    if meant:
        return meant[0]
    if field in entry(architecture).fixed:
        fixed = entry(architecture).fixed[field]
        raise ValueError(f"{architecture} fixes {field}={fixed!r}, so it cannot be searched")
    raise ValueError(f"there is no parameter {name!r}{did_you_mean(name, [item.name for item in known])}")


def check_searchable(name: Any, architecture: str, match: Match) -> None:
    """Refuses a name that no search may choose, with the reason.

    Raises:
        ValueError: if it is one.
    """
    field = str(name).rpartition(".")[2]
    reason = FOLLOWS.get(field) or (MATCHED.get(match) if field == "hidden_size" else None)
    if name in SHARED:
        own = any(item.name == f"architecture.{name}" for item in settings(architecture))
        reason = SHARED[name] + (f"; the architecture's own is architecture.{name}" if own else "")
    if reason is not None:
        raise ValueError(f"{name} cannot be searched: {reason}")


def has_setting(name: str, architecture: str) -> bool:
    """Whether the architecture, the optimisation or the model has a setting of this name."""
    return any(name in (item.field, f"{item.owner}.{item.field}") for item in settings(architecture))


def settings_by_name(architecture: str, owned: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by their written names.

    Args:
        architecture: whose names.
        owned: by owner (optimization, architecture, model), the settings by field.
    """
    return {
        item.name: owned[item.owner][item.field]
        for item in settings(architecture)
        if item.field in owned.get(item.owner, {})
    }


def plain_options(architecture: str, options: Any) -> dict[str, Any]:
    """The options as a file would have them, and as they are declared.

    Raises:
        UserError: if they are no mapping of numbers, strings, lists and mappings.
    """
    if not isinstance(options, Mapping):
        raise UserError(f"the options of {architecture} must be a mapping, not {options!r}")
    kinds = {item.field: item.kind for item in settings(architecture) if item.owner == "architecture"}
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError):
        raise UserError(f"the options of {architecture} must be plain values, not {dict(options)!r}") from None
    return {key: coerce_value(value, kinds.get(key)) for key, value in found.items()}


def coerce_value(value: Any, kind: Any) -> Any:
    """A value as its declared type has it: where a float is declared, 1 is 1.0 and "1e-4" is 0.0001."""
    return coerce(value, float) if is_float(kind) else value


def is_float(kind: Any) -> bool:
    """Whether floats are declared, or floats and None."""
    return set(union_members(kind)) - {type(None)} == {float}


def is_integer(kind: Any) -> bool:
    """Whether whole numbers are declared, or whole numbers and None."""
    return set(union_members(kind)) - {type(None)} == {int}


def is_number(kind: Any) -> bool:
    """Whether numbers are declared, or nothing is."""
    return kind is None or kind is Any or not {int, float}.isdisjoint(union_members(kind))


def union_members(kind: Any) -> Iterator[Any]:
    """The types of a union, or the one type that there is."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for each in typing.get_args(kind):
            yield from union_members(each)
    else:
        yield kind
