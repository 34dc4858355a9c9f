"""Conditional search spaces: parameters with domains and conditions, and their extreme combinations."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import optuna

from architectures.suggest import did_you_mean
from sweeps.distributions import NO_VALUE, Choices, Condition, Domain, Scalar, find_value, read_condition, read_domain
from sweeps.setting_names import Match, Setting, coerce_value, find_setting
from workbench.custom_parts import user_errors
from workbench.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that is searched.

    Args:
        setting: the setting that it is the value of.
        domain: its possible values.
        when: conditions on other parameters, by name; the parameter is searched only if all of them hold.
    """

    setting: Setting
    domain: Domain
    when: tuple[tuple[str, Condition], ...] = ()

    @property
    def name(self) -> str:
        """Name of the parameter in the study."""
        return self.setting.name

    def is_active(self, params: Mapping[str, Any]) -> bool:
        """Returns whether all conditions hold; a condition on a parameter without a value does not."""
        return all(parent in params and condition.matches(params[parent]) for parent, condition in self.when)

    def to_plain(self) -> Any:
        """Returns plain values, as `SearchSpace.from_dict` takes them."""
        domain = self.domain.to_dict()
        if self.when:
            return {**domain, "when": {parent: condition.to_plain() for parent, condition in self.when}}
        return domain.get("choices", domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The parameters that are searched for one architecture, and those that are fixed.

    Args:
        architecture: its name.
        parameters: the searched parameters, each after those that its conditions name.
        fixed: values that are the same in every trial, by name.
        settings: the settings of the fixed values.
    """

    architecture: str
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Scalar]
    settings: tuple[Setting, ...]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], architecture: str, *, match: Match = "none") -> Self:
        """Reads a space from plain data.

        Args:
            plain: by name a range `{low, high, log, step}`, a list of choices or `{choices: [...]}`, a range or
                choices with `when: {OTHER: condition}`, or a single value, which is then fixed.
            architecture: the architecture that the space is for.
            match: how widths are matched; unless it is none, hidden_size may not be searched.

        Raises:
            UserError: if a name is unknown or may not be searched, a domain or a condition is impossible, or nothing
                is left to search.
        """
        if not isinstance(plain, Mapping):
            raise UserError(f"the space of {architecture} must be a mapping, not {plain!r}")
        settings: dict[str, Setting] = {}
        domains: dict[str, Any] = {}
        for key, value in plain.items():
            with user_errors(f"the space of {architecture}"):
                setting = find_setting(key, architecture, match)
                if setting.name in settings:
                    raise ValueError(f"{setting.name} is there twice, once as {key}")
                settings[setting.name], domains[setting.name] = setting, value
        fixed = {}
        for name, value in domains.items():
            if not isinstance(value, Mapping | list | tuple):
                with user_errors(f"the space of {architecture}: {name}"):
                    fixed[name] = read_fixed_value(value, settings[name].kind)
        kinds = {name: setting.kind for name, setting in settings.items()}
        parameters = {}
        for name, value in domains.items():
            if name not in fixed:
                with user_errors(f"the space of {architecture}: {name}"):
                    parameters[name] = read_parameter(settings[name], value, architecture, kinds, fixed)
        space = cls(
            architecture=architecture,
            parameters=tuple(parameters[name] for name in topological_order(parameters, architecture)),
            fixed=fixed,
            settings=tuple(settings[name] for name in fixed),
        )
        for parameter in space.parameters:
            if space.activating_values(parameter.name) is None:
                raise UserError(f"the space of {architecture}: {parameter.name}: its conditions can never hold")
        if all(len(parameter.domain.corner_values) == 1 for parameter in space.parameters):
            raise UserError(f"the space of {architecture} leaves nothing to search: every parameter has one value")
        return space

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as `from_dict` takes them."""
        return {**self.fixed, **{parameter.name: parameter.to_plain() for parameter in self.parameters}}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Returns the values that the trial's sampler chooses for active parameters, and the fixed ones."""
        params: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(params):
                params[parameter.name] = parameter.domain.suggest(trial, parameter.name)
        return self.with_fixed(params)

    def with_fixed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a trial's parameters together with the fixed values, as `suggest` returns them."""
        return {**self.fixed, **params}

    def keep_valid(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values that a trial could have: those within their domains whose conditions hold."""
        valid: dict[str, Any] = {}
        for parameter in self.parameters:
            value = values.get(parameter.name, NO_VALUE)
            if parameter.is_active(valid) and parameter.domain.contains(value):
                valid[parameter.name] = value
        return valid

    def is_complete(self, params: Mapping[str, Any]) -> bool:
        """Returns whether every active parameter has a value, so that nothing is left to choose."""
        return all(parameter.name in params for parameter in self.parameters if parameter.is_active(params))

    def activating_values(self, name: str, preferred: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Returns values of other parameters under which this one is searched; `None` if there are no such values.

        Args:
            name: name of a parameter.
            preferred: values that are taken where they meet the conditions.
        """
        by_name = {parameter.name: parameter for parameter in self.parameters}
        conditions: dict[str, list[Condition]] = {}
        waiting = [name]
        while waiting:
            for parent, condition in by_name[waiting.pop()].when:
                conditions.setdefault(parent, []).append(condition)
                waiting.append(parent)
        preferred = preferred or {}
        values = {
            parent: find_value(by_name[parent].domain, parent_conditions, preferred.get(parent, NO_VALUE))
            for parent, parent_conditions in conditions.items()
        }
        return None if NO_VALUE in values.values() else values

    def split_by_owner(self, params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Returns values of settings by owner and field.

        Raises:
            UserError: if the space has no parameter of a name.
        """
        all_settings = (*self.settings, *(parameter.setting for parameter in self.parameters))
        by_name = {setting.name: setting for setting in all_settings}
        values: dict[str, dict[str, Any]] = {"optimization": {}, "architecture": {}, "model": {}}
        for name, value in params.items():
            if name not in by_name:
                raise UserError(
                    f"the space of {self.architecture} has no parameter {name!r}{did_you_mean(name, by_name)}"
                )
            setting = by_name[name]
            values[setting.owner][setting.field] = coerce_value(value, setting.kind)
        return values


def check_corners(
    space: SearchSpace, defaults: Mapping[str, Any], build: Callable[[Mapping[str, Any]], object]
) -> None:
    """Builds every corner of a space.

    Args:
        space: the space.
        defaults: values of the parameters that a corner is not about.
        build: builds a run from parameters.

    Raises:
        UserError: if a corner cannot be built.
    """
    for names, params in corners(space, defaults):
        try:
            build(params)
        except UserError as error:
            corner = ", ".join(f"{name} = {params[name]!r}" for name in names)
            raise UserError(f"the space of {space.architecture}: {corner} is invalid: {error}") from None


def corners(space: SearchSpace, defaults: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields the fixed values together, then each choice and each end of a range.

    Args:
        space: the space.
        defaults: values of the other parameters, unless conditions need others.

    Yields:
        The names that the corner is about, and the parameters.
    """
    if space.fixed:
        yield tuple(space.fixed), space.with_fixed({})
    for parameter in space.parameters:
        needed = space.activating_values(parameter.name, defaults) or {}
        for value in parameter.domain.corner_values:
            params = space.keep_valid({**defaults, **needed, parameter.name: value})
            yield (parameter.name,), space.with_fixed(params)


def read_fixed_value(value: Any, kind: Any) -> Scalar:
    """Reads a value that is the same in every trial."""
    if value is None:
        raise ValueError("null is not a domain; to fix it at null, write [null]")
    (single,) = Choices(values=(coerce_value(value, kind),)).values
    return single


def read_parameter(
    setting: Setting, plain: Any, architecture: str, kinds: Mapping[str, Any], fixed: Mapping[str, Scalar]
) -> Parameter:
    """Reads a parameter from plain data.

    Args:
        setting: the setting that is searched.
        plain: its domain, with or without conditions.
        architecture: the architecture that the space is for.
        kinds: the declared types of all names in the space.
        fixed: the fixed values in the space.

    Raises:
        ValueError: if the domain or a condition is impossible.
    """
    conditions: Any = {}
    if isinstance(plain, Mapping):
        plain = dict(plain)
        conditions = plain.pop("when", None) or {}
        if not isinstance(conditions, Mapping):
            raise ValueError(f"when must be a mapping from a parameter to a condition, not {conditions!r}")
    when = {}
    for key, condition in conditions.items():
        parent = find_setting(key, architecture).name
        if parent == setting.name:
            raise ValueError("its condition names itself")
        if parent in fixed:
            raise ValueError(f"its condition names {parent}, which is fixed at {fixed[parent]!r}")
        if parent not in kinds:
            raise ValueError(f"its condition names {parent}, which is not in the space{did_you_mean(parent, kinds)}")
        if parent in when:
            raise ValueError(f"{parent} is there twice in its conditions, once as {key}")
        when[parent] = read_condition(condition, kinds[parent])
    return Parameter(setting=setting, domain=read_domain(plain, setting.kind), when=tuple(when.items()))


def topological_order(parameters: Mapping[str, Parameter], architecture: str) -> list[str]:
    """Returns the names in their given order, except that each follows those that its conditions name.

    Raises:
        UserError: if conditions form a cycle.
    """
    order: list[str] = []
    while len(order) < len(parameters):
        waiting = [name for name in parameters if name not in order]
        ready = [name for name in waiting if all(parent in order for parent, _ in parameters[name].when)]
        if not ready:
            cycle = ", ".join(waiting)
            raise UserError(f"the space of {architecture}: the conditions of {cycle} wait for each other")
        # One at a time, so that only what has to move does.
        order.append(ready[0])
    return order
