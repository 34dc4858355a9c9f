"""Spaces changed by their users, before they are read: plain data laid over plain data."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from architectures.suggest import near
from sweeps import conditions, domains
from sweeps.conditions import NOTHING, meeting
from sweeps.names import has, refuse, setting, settings
from workbench.errors import UserError
from workbench.resolve import users_mistake

EVERY = "all"
"""The section of changes for all architectures."""


def changed(
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
            with users_mistake(f"the space of {architecture}"):
                name = setting(key, architecture).name
            if value is None:
                found.pop(name, None)
                continue
            part = isinstance(value, Mapping) and "choices" not in value and not {"low", "high"} <= value.keys()
            if not part or "when" in value:
                inherited.discard(name)
            found[name] = {**spelled(found.get(name)), **value} if part else value
    kinds = {item.name: item.kind for item in settings(architecture)}
    return settled(found, kinds, known or {}, inherited)


def spelled(plain: Any) -> Mapping[str, Any]:
    """A domain with all of its keys."""
    if isinstance(plain, list | tuple):
        return {"choices": plain}
    return plain if isinstance(plain, Mapping) else {}


def settled(
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
            when = spelled(found[name]).get("when") or {}
            kept = {}
            for parent, plain in when.items():
                condition = conditions.read(plain, kinds.get(parent))
                value = found.get(parent, known.get(parent, NOTHING))
                if parent in left_out or not possible(condition, value, kinds.get(parent)):
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


def possible(condition: conditions.Condition, plain: Any, kind: Any) -> bool:
    """Whether a domain, or the one value that there is, can meet a condition; what cannot be read is left to be."""
    if plain is NOTHING:
        return True
    if not isinstance(plain, Mapping | list | tuple):
        return condition.holds(plain)
    keys = {key: value for key, value in spelled(plain).items() if key != "when"}
    try:
        return meeting(domains.read(keys, kind), [condition]) is not NOTHING
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
        with users_mistake(f"the space of {EVERY}"):
            for architecture in names:
                refuse(name, architecture, "none")
            if not any(had({name: None}, architecture, symbols=symbols) for architecture in names):
                known = dict.fromkeys(item.name for each in names for item in settings(each))
                if has(str(name), names[0]):
                    raise ValueError(f"{name} is given, but no task has symbols to embed")
                raise ValueError(f"no architecture has a parameter {name!r}{near(str(name), known)}")


def had(every: Mapping[str, Any], architecture: str, *, symbols: bool = True) -> dict[str, Any]:
    """Of the changes for all architectures those whose parameter this one has."""
    embedded = () if symbols else ("embedding_size", "model.embedding_size")
    return {name: value for name, value in every.items() if has(name, architecture) and name not in embedded}
