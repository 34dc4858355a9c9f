"""A search space: what may be chosen of one architecture, and when."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import optuna

from architectures.suggest import did_you_mean
from sweeps import distributions
from sweeps.distributions import NOTHING, Condition, Domain, Scalar, restrict
from sweeps.setting_names import Match, Setting, coerce_value, setting
from workbench.errors import UserError
from workbench.resolve import user_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that may be chosen.

    Args:
        setting: what its name stands for.
        domain: what it may be.
        when: conditions on other parameters, all of which have to hold.
    """

    setting: Setting
    domain: Domain
    when: tuple[tuple[str, Condition], ...] = ()

    @property
    def name(self) -> str:
        """Its name in the study."""
        return self.setting.name

    def active(self, chosen: Mapping[str, Any]) -> bool:
        """Whether all of its conditions hold; none holds for a parameter that was not chosen."""
        return all(parent in chosen and condition.holds(chosen[parent]) for parent, condition in self.when)

    def to_plain(self) -> Any:
        """Plain values, as `Space.read` takes them."""
        values = self.domain.to_dict()
        if self.when:
            return {**values, "when": {parent: condition.to_plain() for parent, condition in self.when}}
        return values.get("choices", values)


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
            with user_errors(f"the space of {architecture}"):
                of = setting(name, architecture, match)
                if of.name in found:
                    raise ValueError(f"{of.name} is there twice, once as {name}")
                found[of.name] = (of, value)
        fixed = {}
        for name, (of, value) in found.items():
            if not isinstance(value, Mapping | list | tuple):
                with user_errors(f"the space of {architecture}: {name}"):
                    fixed[name] = fixed_value(value, of.kind)
        kinds = {name: of.kind for name, (of, _) in found.items()}
        read = {}
        for name, (of, value) in found.items():
            if name not in fixed:
                with user_errors(f"the space of {architecture}: {name}"):
                    read[name] = read_parameter(of, value, architecture, kinds, fixed)
        space = cls(
            architecture=architecture,
            parameters=tuple(read[name] for name in topological_order(read, architecture)),
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
            parent: restrict(by_name[parent].domain, wanted, preferred.get(parent, NOTHING))
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
                raise UserError(
                    f"the space of {self.architecture} has no parameter {name!r}{did_you_mean(name, known)}"
                )
            found[known[name].owner][known[name].field] = coerce_value(value, known[name].kind)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `read` takes them."""
        return {**self.fixed, **{parameter.name: parameter.to_plain() for parameter in self.parameters}}


def corners(space: Space, values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """What is fixed, together; then each choice and each end of a range. Each with the names of what it is about.

    Args:
        space: the space.
        values: of the other parameters, where the conditions let them; else such that the conditions hold.
    """
    if space.fixed:
        yield tuple(space.fixed), space.filled({})
    for parameter in space.parameters:
        way = space.way_to(parameter.name, values) or {}
        for end in parameter.domain.ends:
            wanted = {**values, **way, parameter.name: end}
            yield (parameter.name,), space.filled(space.inside(wanted))


def check_corners(space: Space, values: Mapping[str, Any], build: Callable[[Mapping[str, Any]], object]) -> None:
    """Builds every corner.

    Raises:
        UserError: if one cannot be built.
    """
    for names, chosen in corners(space, values):
        try:
            build(chosen)
        except UserError as error:
            what = ", ".join(f"{name} = {chosen[name]!r}" for name in names)
            raise UserError(f"the space of {space.architecture}: {what} cannot be: {error}") from None


def fixed_value(value: Any, kind: Any) -> Scalar:
    """A value that every trial has."""
    if value is None:
        raise ValueError("null is no domain; to fix it at null, write [null]")
    (single,) = distributions.Choices(values=(coerce_value(value, kind),)).values
    return single


def read_parameter(
    of: Setting, plain: Any, architecture: str, kinds: Mapping[str, Any], fixed: Mapping[str, Scalar]
) -> Parameter:
    """A parameter from plain data, among others whose declared types are given by name."""
    when: Any = {}
    if isinstance(plain, Mapping):
        plain = dict(plain)
        when = plain.pop("when", None) or {}
        if not isinstance(when, Mapping):
            raise ValueError(f"when must be a mapping from a parameter to a condition, not {when!r}")
    found = {}
    for key, condition in when.items():
        parent = setting(key, architecture).name
        if parent == of.name:
            raise ValueError("its condition names itself")
        if parent in fixed:
            raise ValueError(f"its condition names {parent}, which is fixed at {fixed[parent]!r}")
        if parent not in kinds:
            raise ValueError(f"its condition names {parent}, which is not in the space{did_you_mean(parent, kinds)}")
        if parent in found:
            raise ValueError(f"{parent} is there twice in its conditions, once as {key}")
        found[parent] = distributions.read_condition(condition, kinds[parent])
    return Parameter(setting=of, domain=distributions.read_domain(plain, of.kind), when=tuple(found.items()))


def topological_order(parameters: Mapping[str, Parameter], architecture: str) -> list[str]:
    """The names as they are given, save that each follows those that its conditions name.

    Raises:
        UserError: if some wait for each other.
    """
    found: list[str] = []
    while len(found) < len(parameters):
        waiting = [name for name in parameters if name not in found]
        ready = [name for name in waiting if all(parent in found for parent, _ in parameters[name].when)]
        if not ready:
            ring = ", ".join(waiting)
            raise UserError(f"the space of {architecture}: the conditions of {ring} wait for each other")
        # One at a time, so that only what has to move does.
        found.append(ready[0])
    return found
