"""Samplers and pruners as users name them: a short name, the dotted path of a class with its options, or an object.

A name is only looked at, as text: nothing of a user is imported here, and Optuna only for what is no name of ours.
`sweeps.search_methods` imports what is named.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from architectures.limits import quote
from architectures.suggest import did_you_mean
from workbench.errors import UserError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MethodKind = Literal["sampler", "pruner"]
SHORT_NAMES: Mapping[MethodKind, Mapping[str, str]] = {
    "sampler": {"tpe": "optuna.samplers.TPESampler", "random": "optuna.samplers.RandomSampler"},
    "pruner": {
        "median": "optuna.pruners.MedianPruner",
        "hyperband": "optuna.pruners.HyperbandPruner",
        "none": "optuna.pruners.NopPruner",
    },
}
"""Samplers and pruners that have a short name, by their classes; a sweep sets them up with defaults of its own."""
EXAMPLES: Mapping[MethodKind, str] = {
    "sampler": "optuna.samplers.CmaEsSampler",
    "pruner": "optuna.pruners.PatientPruner",
}
OBJECT = "object of "
"""Beginning of the name of a sampler or a pruner that was given as an object of Python: its class follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchObjects:
    """A sampler and a pruner as objects, which no store can hold: only the process that has them, and its workers."""

    sampler: "BaseSampler | None" = None
    pruner: "BasePruner | None" = None

    def __bool__(self) -> bool:
        """True if there is an object."""
        return self.sampler is not None or self.pruner is not None


def method_name(kind: MethodKind, value: Any) -> str:
    """Returns the name of a sampler or a pruner: a string as it is, an object by its class.

    Raises:
        UserError: if it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, method_base(kind)):
        import optuna

        own = type(value)
        public = getattr(optuna, f"{kind}s")
        # Optuna defines its classes in private modules.
        module = public.__name__ if getattr(public, own.__name__, None) is own else own.__module__
        return f"{OBJECT}{module}.{own.__qualname__}"
    hint = f"; name the class, or give {value.__name__}()" if isinstance(value, type) else ""
    raise UserError(
        f"{kind} must be a name such as {next(iter(SHORT_NAMES[kind]))} or {EXAMPLES[kind]}, or an Optuna {kind}, "
        f"not {quote(value)}{hint}"
    )


def method_base(kind: MethodKind) -> type[Any]:
    """Returns Optuna's base class of samplers or of pruners."""
    import optuna

    return optuna.samplers.BaseSampler if kind == "sampler" else optuna.pruners.BasePruner


def is_short(kind: MethodKind, name: str) -> bool:
    """Returns whether a sweep sets this sampler or pruner up itself."""
    return name in SHORT_NAMES[kind]


def is_object(name: str) -> bool:
    """Returns whether a name stands for an object."""
    return name.startswith(OBJECT)


def check_method_name(kind: MethodKind, name: Any, options: Any) -> None:
    """Refuses what cannot be the name of a sampler or a pruner, or its options; nothing is imported.

    Raises:
        UserError: if it is neither a short name nor a dotted path, or the options are not plain values by name.
    """
    known = SHORT_NAMES[kind]
    if not isinstance(name, str) or not (name in known or is_object(name) or is_dotted(name)):
        import optuna

        module = optuna.samplers if kind == "sampler" else optuna.pruners
        paths = {short.lower(): f"optuna.{kind}s.{short}" for short in module.__all__}
        text = name if isinstance(name, str) else ""
        if (path := paths.get(text.lower()) or paths.get(f"{text}{kind}".lower())) is not None:
            raise UserError(f"{kind} {quote(name)} is unknown; did you mean {path!r}?")
        raise UserError(
            f"{kind} {quote(name)} is unknown{did_you_mean(text, known)} (another one is named by the dotted path of "
            f"its class, such as {EXAMPLES[kind]})"
        )
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise UserError(f"{kind}_options must be a mapping by name, such as {{seed: 1}}, not {quote(options)}")
    try:
        json.dumps(options)
    except (TypeError, ValueError):
        raise UserError(
            f"{kind}_options must be plain values, not {quote(options)}; give the {kind} itself as an object instead"
        ) from None
    if options and is_object(name):
        raise UserError(f"{kind}_options are given, but the {kind} is an object, which has its own; drop them")
    if options and name == "none":
        raise UserError("pruner_options are given, but the pruner is none; drop them")


def is_dotted(name: str) -> bool:
    """Returns whether a name is of the form package.module:Class, or package.module.Class."""
    module, class_name = split_path(name)
    return bool(module and class_name) and all(part.isidentifier() for part in (*module.split("."), class_name))


def split_path(name: str) -> tuple[str, str]:
    """Returns the module and the class of a dotted path, with a colon or a dot between them."""
    if ":" in name:
        module, _, class_name = name.partition(":")
    else:
        module, _, class_name = name.rpartition(".")
    return module, class_name
