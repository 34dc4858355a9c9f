"""A search space: what may be chosen of one architecture, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import optuna

from architectures.suggest import near
from sweeps.conditions import NOTHING, Condition, meeting
from sweeps.domains import Scalar
from sweeps.names import Match, Setting, setting, typed
from sweeps.parameters import Parameter, fixed_value, ordered, read_parameter
from workbench.errors import UserError
from workbench.resolve import users_mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may be chosen of one architecture.

    Args:
        architecture: its name.
        parameters: what is searched, each behind those that its conditions name.
        fixed: what has one value in every trial.
        settings: what the names of the fixed ones stand for.
    """

    architecture: str
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Scalar]
    settings: tuple[Setting, ...]

    @classmethod
    def read(cls, plain: Mapping[str, Any], architecture: str, *, match: Match = "none") -> Self:
        """A space from plain data.

        Args:
            plain: by name a range `{low, high, log, step}`, a list of choices or `{choices: [...]}`, a range or
                choices with `when: {OTHER: condition}`, or one value, which is then fixed.
            architecture: whose space it is.
            match: what is done about widths; unless it is none, hidden_size is not searched.

        Raises:
            UserError: if a name is unknown or may not be searched, a domain or a condition is impossible, or nothing
                is left to search.
        """
        if not isinstance(plain, Mapping):
            raise UserError(f"the space of {architecture} must be a mapping, not {plain!r}")
        found: dict[str, tuple[Setting, Any]] = {}
        for name, value in plain.items():
            with users_mistake(f"the space of {architecture}"):
                of = setting(name, architecture, match)
                if of.name in found:
                    raise ValueError(f"{of.name} is there twice, once as {name}")
                found[of.name] = (of, value)
        fixed = {}
        for name, (of, value) in found.items():
            if not isinstance(value, Mapping | list | tuple):
                with users_mistake(f"the space of {architecture}: {name}"):
                    fixed[name] = fixed_value(value, of.kind)
        kinds = {name: of.kind for name, (of, _) in found.items()}
        read = {}
        for name, (of, value) in found.items():
            if name not in fixed:
                with users_mistake(f"the space of {architecture}: {name}"):
                    read[name] = read_parameter(of, value, architecture, kinds, fixed)
        space = cls(
            architecture=architecture,
            parameters=tuple(read[name] for name in ordered(read, architecture)),
            fixed=fixed,
            settings=tuple(of for name, (of, _) in found.items() if name in fixed),
        )
        for parameter in space.parameters:
            if space.way_to(parameter.name) is None:
                raise UserError(f"the space of {architecture}: {parameter.name}: its conditions can never hold")
        if all(len(parameter.domain.ends) == 1 for parameter in space.parameters):
            raise UserError(f"the space of {architecture} leaves nothing to search: every parameter has one value")
        return space

    def choose(self, trial: optuna.Trial) -> dict[str, Any]:
        """What the trial's sampler chooses, with what is fixed. A parameter whose conditions fail is left out."""
        chosen: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.active(chosen):
                chosen[parameter.name] = parameter.domain.suggest(trial, parameter.name)
        return self.filled(chosen)

    def filled(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """What was chosen, with what is fixed: a trial's parameters as `choose` gave them."""
        return {**self.fixed, **chosen}

    def inside(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that could have been chosen: within their domains, where their conditions hold."""
        found: dict[str, Any] = {}
        for parameter in self.parameters:
            value = values.get(parameter.name, NOTHING)
            if parameter.active(found) and parameter.domain.holds(value):
                found[parameter.name] = value
        return found

    def complete(self, chosen: Mapping[str, Any]) -> bool:
        """Whether it leaves a sampler nothing to choose."""
        return all(parameter.name in chosen for parameter in self.parameters if parameter.active(chosen))

    def way_to(self, name: str, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Values of other parameters under which this one is chosen; `None` where there are none.

        Args:
            name: of a parameter.
            values: preferred where they will do.
        """
        by_name = {parameter.name: parameter for parameter in self.parameters}
        asked: dict[str, list[Condition]] = {}
        waiting = [name]
        while waiting:
            for parent, condition in by_name[waiting.pop()].when:
                asked.setdefault(parent, []).append(condition)
                waiting.append(parent)
        preferred = values or {}
        found = {
            parent: meeting(by_name[parent].domain, wanted, preferred.get(parent, NOTHING))
            for parent, wanted in asked.items()
        }
        return None if NOTHING in found.values() else found

    def owned(self, chosen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What was chosen, by owner and field.

        Raises:
            UserError: if a name is none of the space's.
        """
        known = {item.name: item for item in (*self.settings, *(each.setting for each in self.parameters))}
        found: dict[str, dict[str, Any]] = {"optimization": {}, "architecture": {}, "model": {}}
        for name, value in chosen.items():
            if name not in known:
                raise UserError(f"the space of {self.architecture} has no parameter {name!r}{near(name, known)}")
            found[known[name].owner][known[name].field] = typed(value, known[name].kind)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `read` takes them."""
        return {**self.fixed, **{parameter.name: parameter.to_plain() for parameter in self.parameters}}
