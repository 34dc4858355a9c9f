"""Parameters that are trained in another way than the others: at a share of the learning rate, or without decay.

A part of an encoder says so in its attribute `parameter_rules`, by the names of its own parameters:

    self.parameter_rules = {"log_decay": ParameterRule(rate=0.5, decay=False)}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from architectures.limits import quote

if TYPE_CHECKING:
    from torch import nn

ATTRIBUTE = "parameter_rules"
"""The attribute of a module, a mapping from names of its own parameters to rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRule:
    """How a parameter is trained.

    Args:
        rate: share of the learning rate, above 0.
        decay: whether weight decay, where there is any, applies to it.

    Raises:
        TypeError, ValueError: if a value is of another kind, or the rate is not a positive number.
    """

    rate: float = 1.0
    decay: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float):
            raise TypeError(f"the share of the learning rate must be a number, not {quote(self.rate)}")
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"the share of the learning rate must be above 0, not {quote(self.rate)}")
        if not isinstance(self.decay, bool):
            raise TypeError(f"whether weight decay applies is true or false, not {quote(self.decay)}")

    def __str__(self) -> str:
        parts = [] if self.rate == 1 else [f"at {self.rate:g} of the learning rate"]
        return ", ".join([*parts, *([] if self.decay else ["without weight decay"])]) or "as all others"


def dynamics_rules(dynamics_rate: float, *names: str) -> dict[str, ParameterRule]:
    """Returns the rules of parameters that set how long a state remembers: a share of the rate, and no weight decay.

    Args:
        dynamics_rate: the share, an option of the architecture.
        names: of the parameters.

    Raises:
        TypeError, ValueError: if the share is not a positive number; the message names the option.
    """
    try:
        return dict.fromkeys(names, ParameterRule(rate=dynamics_rate, decay=False))
    except (TypeError, ValueError) as error:
        raise type(error)(f"dynamics_rate: {error}") from None


def find_rules(encoder: "nn.Module") -> dict[str, ParameterRule]:
    """Returns the rules of an encoder's parameters, by the parameters' full names, in the encoder's order.

    A parameter that a parametrization, or pruning, has put in the place of the named one has its rule.

    Raises:
        TypeError, ValueError: if a part has something else than rules, or names a parameter that it does not have.
    """
    places = {name: number for number, (name, _) in enumerate(encoder.named_parameters())}
    rules: dict[str, ParameterRule] = {}
    for path, module in encoder.named_modules():
        for key, rule in _rules_of(module).items():
            wanted = f"{path}.{key}" if path else key
            found = [name for name in places if _stands_for(name) == wanted]
            if not found:
                kind = type(module).__name__
                raise ValueError(f"{ATTRIBUTE} of {kind} names {quote(key)}, which is no parameter of it")
            rules |= dict.fromkeys(found, rule)
    return dict(sorted(rules.items(), key=lambda item: places[item[0]]))


def _rules_of(module: "nn.Module") -> Mapping[str, ParameterRule]:
    rules = getattr(module, ATTRIBUTE, None) or {}
    if not isinstance(rules, Mapping) or not all(
        isinstance(key, str) and isinstance(rule, ParameterRule) for key, rule in rules.items()
    ):
        raise TypeError(f"{ATTRIBUTE} of {type(module).__name__} must map names of parameters to ParameterRule")
    return rules


def _stands_for(name: str) -> str:
    """Returns the name of the parameter that one is, or that is computed from it."""
    name = re.sub(r"(^|\.)parametrizations\.([^.]+)\.[^.]+$", r"\1\2", name)
    return name.removesuffix("_orig")


def summarize_rules(rules: Mapping[str, ParameterRule]) -> dict[str, ParameterRule]:
    """Returns rules by the parameters' names with * for numbers of layers, so that they do not depend on the depth."""
    return {re.sub(r"(?<=\.)\d+(?=\.)", "*", name): rule for name, rule in rules.items()}


def read_rules(written: Any) -> dict[str, ParameterRule]:
    """Returns rules from mappings of their fields by name, as results have them; empty for `None`.

    Raises:
        TypeError, ValueError: if it is something else.
    """
    if written is None:
        return {}
    if not isinstance(written, Mapping) or not all(isinstance(rule, Mapping) for rule in written.values()):
        raise TypeError(f"rules are mappings by the names of parameters, not {quote(written)}")
    return {str(name): ParameterRule(**rule) for name, rule in written.items()}


def describe_rules(rules: Mapping[str, ParameterRule]) -> Iterator[str]:
    """Yields a line for each kind of rule: `log_decay, angle at 0.5 of the learning rate, without weight decay`."""
    for rule in dict.fromkeys(rules.values()):
        names = dict.fromkeys(name.rpartition(".")[2] for name, other in rules.items() if other == rule)
        yield f"{', '.join(names)} {rule}"
