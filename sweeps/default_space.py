"""What is searched of an architecture where its user says nothing: the same for all, and its own."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import architectures
from architectures.registry import entry, load
from architectures.suggest import did_you_mean
from sweeps import distributions
from sweeps.distributions import NOTHING, restrict
from sweeps.setting_names import Match, check_searchable, has_setting, setting, settings, settings_by_name
from workbench.config import Optimization
from workbench.errors import UserError
from workbench.resolve import user_errors

GENERAL: Mapping[str, Any] = {
    # A decade below and one above the bench's default, which is Adam's own.
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
}
"""Of the optimisation, whatever the architecture."""
WIDTH: Mapping[str, Any] = {"low": 16, "high": 128, "log": True}
"""Units: from a quarter of the bench's default to twice it."""


def study_space(
    architecture: str,
    time: int,
    *,
    match: Match,
    hidden_size: int,
    optimization: Optimization,
    options: Mapping[str, Any],
    embedding_size: int | None = None,
    symbols: bool = True,
    every: Mapping[str, Any],
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """The space of one study, as plain data: the default one, changed for all architectures, then for this one.

    Args:
        architecture, hidden_size, optimization, options, embedding_size: the default configuration's.
        time: the task's steps.
        match: what is done about widths; unless it is none, hidden_size is not searched.
        symbols: whether the task has symbols; without them a change for all of embedding_size is passed over.
        every: changes for all architectures; those of parameters that this one has not are passed over.
        own: changes for this one.

    Raises:
        UserError: if the architecture is unknown, or a name is or may not be searched.
    """
    default = default_space(architecture, time, width=match == "none", given=options)
    open_ = {key: parameter.default for key, parameter in architectures.options(architecture).items()}
    untuned = {
        "optimization": asdict(optimization),
        "architecture": {**open_, "hidden_size": hidden_size, "reach": time, **options},
        "model": {"embedding_size": embedding_size},
    }
    known = settings_by_name(architecture, untuned)
    if match == "parameters":
        # It is solved for each trial, so that no condition on it can be settled beforehand.
        known = {name: value for name, value in known.items() if name.rpartition(".")[2] != "hidden_size"}
    return apply_changes(
        architecture, default, settings_in_common(every, architecture, symbols=symbols), own, known=known
    )


def default_space(
    architecture: str, time: int, *, width: bool = True, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What is searched by default, as plain data: learning rate and clipping for all, the width, and what the class
    itself names (`Encoder.search_space`), save what the catalogue fixes under this name.

    Args:
        architecture: a name, or a dotted path.
        time: the task's steps.
        width: whether hidden_size is searched.
        given: options that the user gave, which are not searched.

    Raises:
        UserError: if there is no such architecture, or its class names a parameter that it has not.
    """
    kinds = {item.field: item.kind for item in settings(architecture) if item.owner == "architecture"}
    with user_errors(f"the default space of {architecture}"):
        own = dict(load(architecture).search_space(time))
        fixed = {**entry(architecture).fixed, **(given or {})}
        if width and "hidden_size" in kinds:
            own = {"hidden_size": dict(WIDTH), **own}
        elif not width:
            own.pop("hidden_size", None)
        own = settle_conditions({key: value for key, value in own.items() if key not in fixed}, kinds, fixed, own)

        def written(plain: Mapping[str, Any], owner: str) -> dict[str, Any]:
            return {setting(f"{owner}.{name}", architecture).name: value for name, value in plain.items()}

        def renamed(plain: Mapping[str, Any], owner: str) -> dict[str, Any]:
            return {
                name: {**value, "when": written(value["when"], owner)}
                if isinstance(value, Mapping) and value.get("when")
                else value
                for name, value in written(plain, owner).items()
            }

        # A copy, so that nobody changes what the next one gets.
        return deepcopy({**renamed(GENERAL, "optimization"), **renamed(own, "architecture")})


EVERY = "all"
"""The section of changes for all architectures."""


def apply_changes(
    architecture: str, default: Mapping[str, Any], *changes: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A space with changes laid over it, name by name.

    A whole range `{low, high, ...}`, choices, or one value (which is then fixed) takes the place of what was there,
    conditions included. A mapping with less than that changes only what it has: `{high: 0.003}` narrows a range,
    `{when: null}` lifts the conditions. `null` takes a parameter out of the search, so that it stays at its default;
    to fix it at null, write `[null]`.

    A default's condition on what the changes have fixed or taken out is settled: where it holds the parameter is
    searched without it, and where it cannot hold the parameter is not searched.

    Args:
        architecture: whose space it is.
        default: the space, in written names (`Setting.name`).
        changes: each laid over what came before; in any names.
        known: the values of what is not searched, by written name.

    Raises:
        UserError: if a name is unknown or may not be searched.
    """
    found, inherited = dict(default), set(default)
    for change in changes:
        if not isinstance(change, Mapping):
            raise UserError(f"the space of {architecture} must be a mapping, not {change!r}")
        for key, value in change.items():
            with user_errors(f"the space of {architecture}"):
                name = setting(key, architecture).name
            if value is None:
                found.pop(name, None)
                continue
            part = isinstance(value, Mapping) and "choices" not in value and not {"low", "high"} <= value.keys()
            if not part or "when" in value:
                inherited.discard(name)
            found[name] = {**spell_out(found.get(name)), **value} if part else value
    kinds = {item.name: item.kind for item in settings(architecture)}
    return settle_conditions(found, kinds, known or {}, inherited)


def spell_out(plain: Any) -> Mapping[str, Any]:
    """A domain with all of its keys."""
    if isinstance(plain, list | tuple):
        return {"choices": plain}
    return plain if isinstance(plain, Mapping) else {}


def settle_conditions(
    space: Mapping[str, Any], kinds: Mapping[str, Any], known: Mapping[str, Any], inherited: Collection[str]
) -> dict[str, Any]:
    """A space in which no inherited condition is on what is not searched, and none is impossible.

    Args:
        space: plain data.
        kinds: declared types, by name.
        known: the values of what is not searched.
        inherited: the parameters whose conditions their user did not write.
    """
    found, left_out = dict(space), set[str]()
    while True:
        before = len(left_out)
        for name in [name for name in found if name in inherited]:
            when = spell_out(found[name]).get("when") or {}
            kept = {}
            for parent, plain in when.items():
                condition = distributions.read_condition(plain, kinds.get(parent))
                value = found.get(parent, known.get(parent, NOTHING))
                if parent in left_out or not is_possible(condition, value, kinds.get(parent)):
                    left_out.add(name)
                elif value is NOTHING or isinstance(value, Mapping | list | tuple):
                    kept[parent] = plain
            if name in left_out:
                del found[name]
            elif kept != when:
                bare = {key: value for key, value in found[name].items() if key != "when"}
                found[name] = {**bare, "when": kept} if kept else bare
        if len(left_out) == before:
            return found


def is_possible(condition: distributions.Condition, plain: Any, kind: Any) -> bool:
    """Whether a domain, or the one value that there is, can meet a condition; what cannot be read is left to be."""
    if plain is NOTHING:
        return True
    if not isinstance(plain, Mapping | list | tuple):
        return condition.holds(plain)
    keys = {key: value for key, value in spell_out(plain).items() if key != "when"}
    try:
        return restrict(distributions.read_domain(keys, kind), [condition]) is not NOTHING
    except ValueError:
        return True


def check_every(every: Mapping[str, Any], names: Sequence[str], *, symbols: bool = True) -> None:
    """Refuses a change for all architectures that none of them can take.

    Args:
        every: the changes, by parameter.
        names: the architectures.
        symbols: whether any task has symbols.

    Raises:
        UserError: if a name may not be searched, or no architecture has it.
    """
    for name in every:
        with user_errors(f"the space of {EVERY}"):
            for architecture in names:
                check_searchable(name, architecture, "none")
            if not any(settings_in_common({name: None}, architecture, symbols=symbols) for architecture in names):
                known = dict.fromkeys(item.name for each in names for item in settings(each))
                if has_setting(str(name), names[0]):
                    raise ValueError(f"{name} is given, but no task has symbols to embed")
                raise ValueError(f"no architecture has a parameter {name!r}{did_you_mean(str(name), known)}")


def settings_in_common(every: Mapping[str, Any], architecture: str, *, symbols: bool = True) -> dict[str, Any]:
    """Of the changes for all architectures those whose parameter this one has."""
    embedded = () if symbols else ("embedding_size", "model.embedding_size")
    return {name: value for name, value in every.items() if has_setting(name, architecture) and name not in embedded}
