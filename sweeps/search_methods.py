"""Samplers and pruners from their names: imports the class that is named, builds it, and hashes a user's own code."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from optuna.exceptions import ExperimentalWarning

from architectures.registry import load_class
from architectures.suggest import did_you_mean
from sweeps.method_names import SHORT_NAMES, MethodKind, is_object, is_short, method_base, split_path
from workbench.custom_code import BUILT_IN, hash_files
from workbench.custom_parts import user_errors
from workbench.errors import UserError


class SearchMethod(NamedTuple):
    """A sampler or a pruner as a study has it."""

    kind: MethodKind
    name: str
    options: Mapping[str, Any]
    source: str | None
    """Hash of the code of the user's own class."""


def load_method_class(kind: MethodKind, name: str) -> type[Any]:
    """Imports the class of a sampler or a pruner.

    Raises:
        UserError: if there is none of this name, or it is not a sampler or a pruner.
    """
    with user_errors(f"{kind} {name}"):
        loaded: type[Any] = load_class(":".join(split_path(name)), kind, method_base(kind))
    return loaded


def build_method(kind: MethodKind, name: str, options: Mapping[str, Any], seed: int) -> Any:
    """Imports the class of a sampler or a pruner, and returns it built with its options.

    Args:
        kind: sampler or pruner.
        name: a short name, or the dotted path of the class.
        options: keyword arguments of its constructor.
        seed: given to a constructor that takes one and that the options give none.

    Raises:
        UserError: if there is no such class, an option is unknown or missing, or the constructor refuses them.
    """
    loaded = load_method_class(kind, SHORT_NAMES[kind].get(name, name))
    parameters = inspect.signature(loaded).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for key in options:
            if key not in parameters:
                raise UserError(f"{kind} {name} has no option {key!r}{did_you_mean(key, parameters)}")
    for key, parameter in parameters.items():
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.default is parameter.empty and key not in options and not variadic:
            raise UserError(f"{kind} {name} needs an option {key!r}: --{kind}_options.{key} VALUE")
    given = {**({"seed": seed} if "seed" in parameters else {}), **options}
    try:
        with user_errors(f"{kind} {name}"), warnings.catch_warnings():
            # Optuna calls some of its samplers experimental; whoever names one knows.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return loaded(**given)
    except UserError as error:
        # Optuna's samplers import what they need when they are built.
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            raise UserError(f"{kind} {name} needs the package {package}: pip install {package}") from None
        raise


def method_source(kind: MethodKind, name: str) -> str | None:
    """Returns a hash of the code of a user's sampler or pruner; `None` for a short name, an object, or Optuna's own.

    Raises:
        UserError: if there is no class of this name.
    """
    if is_short(kind, name) or is_object(name):
        return None
    own = [
        base
        for base in load_method_class(kind, name).__mro__
        if base.__module__.partition(".")[0] not in (*BUILT_IN, "optuna")
    ]
    files = {path for base in own if (path := inspect.getsourcefile(base)) is not None}
    return hash_files(files) if files else None
