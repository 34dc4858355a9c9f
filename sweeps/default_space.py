"""Search spaces of studies: each architecture's default space, and the changes that users make to it."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import architectures
from architectures.registry import get_entry, load_encoder_class
from architectures.suggest import did_you_mean
from sweeps.distributions import NO_VALUE, Condition, find_value, read_condition, read_domain
from sweeps.setting_names import (
    ALL_ARCHITECTURES,
    Match,
    check_searchable,
    find_setting,
    has_setting,
    list_settings,
    settings_by_name,
)
from workbench.config import Optimization
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.size_matching import SIZE_OPTIONS

OPTIMIZATION_SPACE: Mapping[str, Any] = {
    # A decade below and one above the workbench's default, which is Adam's own.
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
}
"""Settings of the optimization that are searched for every architecture."""
HIDDEN_SIZE_SPACE: Mapping[str, Any] = {"low": 16, "high": 128, "log": True}
"""Units, from a quarter of the workbench's default to twice it."""


def study_space(
    architecture: str,
    time: int,
    *,
    match: Match,
    hidden_size: int,
    optimization: Optimization,
    options: Mapping[str, Any],
    embedding_size: int | None = None,
    has_symbols: bool = True,
    shared_changes: Mapping[str, Any],
    own_changes: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the space of one study as plain data: the default space with the user's changes.

    Args:
        architecture: a name, or a dotted path.
        time: the task's steps.
        match: how widths are matched; unless it is none, hidden_size is not searched.
        hidden_size: units of the default configuration.
        optimization: settings of the default configuration.
        options: options of the architecture that the user gave.
        embedding_size: size of the learned vectors of symbols in the default configuration.
        has_symbols: whether the task has symbols; if not, a change of embedding_size for all is ignored.
        shared_changes: changes for all architectures; those of parameters that this one lacks are ignored.
        own_changes: changes for this architecture, made after the shared ones.

    Raises:
        UserError: if the architecture is unknown, or a name is unknown or may not be searched.
    """
    default = default_space(architecture, time, search_width=match == "none", options=options)
    defaults = {key: parameter.default for key, parameter in architectures.options(architecture).items()}
    constants = settings_by_name(
        architecture,
        {
            "optimization": asdict(optimization),
            "architecture": {**defaults, "hidden_size": hidden_size, "reach": time, **options},
            "model": {"embedding_size": embedding_size},
        },
    )
    if match in SIZE_OPTIONS:
        # The width is solved for each trial, so that no condition on it can be resolved beforehand.
        constants = {name: value for name, value in constants.items() if name.rpartition(".")[2] != "hidden_size"}
    applicable = applicable_changes(shared_changes, architecture, has_symbols=has_symbols)
    return apply_changes(architecture, default, applicable, own_changes, constants=constants)


def default_space(
    architecture: str, time: int, *, search_width: bool = True, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns the space that is searched by default, as plain data.

    It has the learning rate and clipping, the width, and what the class itself names (`Encoder.search_space`), except
    what the registry fixes under this name.

    Args:
        architecture: a name, or a dotted path.
        time: the task's steps.
        search_width: whether hidden_size is searched.
        options: options that the user gave; they are not searched.

    Raises:
        UserError: if there is no such architecture, or its class names a parameter that it lacks.
    """
    kinds = {setting.field: setting.kind for setting in list_settings(architecture) if setting.owner == "architecture"}
    with user_errors(f"the default space of {architecture}"):
        space = dict(load_encoder_class(architecture).search_space(time))
        fixed = {**get_entry(architecture).fixed, **(options or {})}
        if search_width and "hidden_size" in kinds:
            space = {"hidden_size": dict(HIDDEN_SIZE_SPACE), **space}
        elif not search_width:
            space.pop("hidden_size", None)
        searched = {key: domain for key, domain in space.items() if key not in fixed}
        space = resolve_conditions(searched, kinds, fixed, inherited=space)

        def with_written_names(plain: Mapping[str, Any], owner: str) -> dict[str, Any]:
            return {find_setting(f"{owner}.{name}", architecture).name: value for name, value in plain.items()}

        def rename(plain: Mapping[str, Any], owner: str) -> dict[str, Any]:
            return {
                name: {**domain, "when": with_written_names(domain["when"], owner)}
                if isinstance(domain, Mapping) and domain.get("when")
                else domain
                for name, domain in with_written_names(plain, owner).items()
            }

        # A copy, so that no caller changes what the next one gets.
        return deepcopy({**rename(OPTIMIZATION_SPACE, "optimization"), **rename(space, "architecture")})


def apply_changes(
    architecture: str,
    default: Mapping[str, Any],
    *changes: Mapping[str, Any],
    constants: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns a space with changes applied to it, name by name.

    A whole range `{low, high, ...}`, choices, or one value (which is then fixed) replaces the previous domain and its
    conditions. A mapping with less than that changes only the keys that it has: `{high: 0.003}` narrows a range,
    `{when: null}` removes the conditions. `null` takes a parameter out of the search, so that it stays at its default;
    to fix it at null, write `[null]`.

    A default's condition on a parameter that the changes have fixed or taken out is resolved: if it holds, the
    parameter is searched without it; if it cannot hold, the parameter is not searched.

    Args:
        architecture: the architecture that the space is for.
        default: the space, by written names (`Setting.name`).
        changes: applied in this order; by any names.
        constants: the values of what is not searched, by written name.

    Raises:
        UserError: if a name is unknown or may not be searched.
    """
    space, inherited = dict(default), set(default)
    for change in changes:
        if not isinstance(change, Mapping):
            raise UserError(f"the space of {architecture} must be a mapping, not {change!r}")
        for key, value in change.items():
            with user_errors(f"the space of {architecture}"):
                name = find_setting(key, architecture).name
            if value is None:
                space.pop(name, None)
                continue
            is_partial = isinstance(value, Mapping) and "choices" not in value and not {"low", "high"} <= value.keys()
            if not is_partial or "when" in value:
                inherited.discard(name)
            space[name] = {**as_mapping(space.get(name)), **value} if is_partial else value
    kinds = {setting.name: setting.kind for setting in list_settings(architecture)}
    return resolve_conditions(space, kinds, constants or {}, inherited)


def check_shared_changes(shared_changes: Mapping[str, Any], names: Sequence[str], *, has_symbols: bool = True) -> None:
    """Refuses a change for all architectures that applies to none of them.

    Args:
        shared_changes: the changes, by parameter.
        names: the architectures.
        has_symbols: whether any task has symbols.

    Raises:
        UserError: if a name may not be searched, or no architecture has it.
    """
    for name in shared_changes:
        with user_errors(f"the space of {ALL_ARCHITECTURES}"):
            for architecture in names:
                check_searchable(name, architecture, "none")
            change = {name: None}
            if not any(applicable_changes(change, architecture, has_symbols=has_symbols) for architecture in names):
                if has_setting(str(name), names[0]):
                    raise ValueError(f"{name} is given, but no task has symbols to embed")
                valid_names = [setting.name for architecture in names for setting in list_settings(architecture)]
                hint = did_you_mean(str(name), dict.fromkeys(valid_names))
                raise ValueError(f"no architecture has a parameter {name!r}{hint}")


def applicable_changes(
    shared_changes: Mapping[str, Any], architecture: str, *, has_symbols: bool = True
) -> dict[str, Any]:
    """Returns the changes for all architectures that are about parameters of this one."""
    ignored = () if has_symbols else ("embedding_size", "model.embedding_size")
    return {
        name: value for name, value in shared_changes.items() if has_setting(name, architecture) and name not in ignored
    }


def resolve_conditions(
    space: Mapping[str, Any], kinds: Mapping[str, Any], constants: Mapping[str, Any], inherited: Collection[str]
) -> dict[str, Any]:
    """Returns the space without inherited conditions on what is not searched, and without those that cannot hold.

    Args:
        space: plain data.
        kinds: declared types, by name.
        constants: the values of what is not searched, by name.
        inherited: the parameters whose conditions were not written by the user.
    """
    resolved, left_out = dict(space), set[str]()
    while True:
        before = len(left_out)
        for name in [name for name in resolved if name in inherited]:
            when = as_mapping(resolved[name]).get("when") or {}
            open_conditions = {}
            for parent, plain in when.items():
                condition = read_condition(plain, kinds.get(parent))
                value = resolved.get(parent, constants.get(parent, NO_VALUE))
                if parent in left_out or not may_hold(condition, value, kinds.get(parent)):
                    left_out.add(name)
                elif value is NO_VALUE or isinstance(value, Mapping | list | tuple):
                    open_conditions[parent] = plain
            if name in left_out:
                del resolved[name]
            elif open_conditions != when:
                domain = {key: value for key, value in resolved[name].items() if key != "when"}
                resolved[name] = {**domain, "when": open_conditions} if open_conditions else domain
        if len(left_out) == before:
            return resolved


def may_hold(condition: Condition, plain: Any, kind: Any) -> bool:
    """Returns whether a domain, or a single value, can meet a condition; true if the domain cannot be read.

    Args:
        condition: the condition.
        plain: the domain or the value, as plain data; `NO_VALUE` if it is unknown.
        kind: the declared type.
    """
    if plain is NO_VALUE:
        return True
    if not isinstance(plain, Mapping | list | tuple):
        return condition.matches(plain)
    domain = {key: value for key, value in as_mapping(plain).items() if key != "when"}
    try:
        return find_value(read_domain(domain, kind), [condition]) is not NO_VALUE
    except ValueError:
        return True


def as_mapping(plain: Any) -> Mapping[str, Any]:
    """Returns a domain as a mapping; an empty one for a single value."""
    if isinstance(plain, list | tuple):
        return {"choices": plain}
    return plain if isinstance(plain, Mapping) else {}
