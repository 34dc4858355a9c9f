"""One thing that may be chosen, and how it is read from plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from architectures.suggest import near
from sweeps import conditions, domains
from sweeps.conditions import Condition
from sweeps.domains import Domain, Scalar
from sweeps.names import Setting, setting, typed
from workbench.errors import UserError


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


def fixed_value(value: Any, kind: Any) -> Scalar:
    """A value that every trial has."""
    if value is None:
        raise ValueError("null is no domain; to fix it at null, write [null]")
    (single,) = domains.Choices(values=(typed(value, kind),)).values
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
            raise ValueError(f"its condition names {parent}, which is not in the space{near(parent, kinds)}")
        if parent in found:
            raise ValueError(f"{parent} is there twice in its conditions, once as {key}")
        found[parent] = conditions.read(condition, kinds[parent])
    return Parameter(setting=of, domain=domains.read(plain, of.kind), when=tuple(found.items()))


def ordered(parameters: Mapping[str, Parameter], architecture: str) -> list[str]:
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
