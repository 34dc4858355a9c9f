"""What is searched of an architecture where its user says nothing: the same for all, and its own."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import architectures
from architectures.catalogue import entry, load
from sweeps.changes import changed, had, settled
from sweeps.names import Match, setting, settings, values
from workbench.config import Optimization
from workbench.resolve import users_mistake

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
    known = values(architecture, untuned)
    if match == "parameters":
        # It is solved for each trial, so that no condition on it can be settled beforehand.
        known = {name: value for name, value in known.items() if name.rpartition(".")[2] != "hidden_size"}
    return changed(architecture, default, had(every, architecture, symbols=symbols), own, known=known)


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
    with users_mistake(f"the default space of {architecture}"):
        own = dict(load(architecture).search_space(time))
        fixed = {**entry(architecture).fixed, **(given or {})}
        if width and "hidden_size" in kinds:
            own = {"hidden_size": dict(WIDTH), **own}
        elif not width:
            own.pop("hidden_size", None)
        own = settled({key: value for key, value in own.items() if key not in fixed}, kinds, fixed, own)

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
