"""Tasks and architectures given as objects: classes, modules, functions that make modules, tasks; or their names."""

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from architectures.base import Encoder
from architectures.registry import ARCHITECTURES
from architectures.wrapped import WrappedModule
from workbench import tasks
from workbench.api.wrapping import wrap
from workbench.custom_parts import PartKind
from workbench.errors import UserError
from workbench.given_classes import article, give
from workbench.tasks import Task
from workbench.tasks.own_data import OwnData

ArchitectureLike = str | type[nn.Module] | nn.Module | Callable[..., nn.Module]
"""A name, an `Encoder` or a module by its class, a module, or a function that makes one; see `wrap`."""
TaskLike = str | type[Task] | Task
"""A name, a task's class, or a task."""
Options = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Tasks or architectures by name, with their options."""

    names: tuple[str, ...]
    options: dict[str, dict[str, Any]]


def name_parts(kind: PartKind, given: Any, options: Iterable[tuple[Any, Options]] = ()) -> Parts:
    """Returns tasks or architectures by their names, under which they are found from now on.

    Args:
        kind: task or architecture.
        given: one, or several; names may also stand in one text with commas between them.
        options: each with the name, or the object, that they belong to.

    Raises:
        UserError: if one of them is nothing of the kind.
    """
    parts = [name_part(kind, each) for each in split(given)]
    named: dict[str, dict[str, Any]] = {name: dict(own) for name, own in parts if own}
    for key, values in options:
        name = name_part(kind, key)[0]
        if not isinstance(values, Mapping):
            raise UserError(f"the options of {kind} {name} are a mapping, not {values!r}")
        named[name] = {**named.get(name, {}), **values}
    return Parts(names=tuple(name for name, _ in parts), options=named)


def option_pairs(kind: PartKind, options: Mapping[Any, Options] | None) -> list[tuple[Any, Options]]:
    """Returns options that were given by name or by object.

    Raises:
        UserError: if they are no mapping.
    """
    if options is not None and not isinstance(options, Mapping):
        raise UserError(f"{kind}_options are a mapping of names to options, not {options!r}")
    return list((options or {}).items())


def split(given: Any) -> Iterable[Any]:
    """Returns what was given as several parts."""
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    if isinstance(given, Sequence) or (isinstance(given, Iterable) and not isinstance(given, nn.Module | type)):
        return given
    return [given]


def name_part(kind: PartKind, given: Any) -> tuple[str, dict[str, Any]]:
    """Returns the name of a task or an architecture, and the options that are in the object.

    Raises:
        UserError: if it is nothing of the kind.
    """
    if isinstance(given, str):
        return given, {}
    if kind == "task" and isinstance(given, Task):
        return name_task(given)
    if isinstance(given, type) and issubclass(given, Task if kind == "task" else Encoder):
        return name_class(kind, given), {}
    if kind == "architecture" and not isinstance(given, Encoder) and (isinstance(given, nn.Module) or callable(given)):
        return name_class(kind, wrap(given)), {}
    wanted = {
        "task": "a name, a class of workbench.tasks.Task, or such a task",
        "architecture": "a name, a class of architectures.Encoder, or a torch.nn.Module",
    }
    built = "; give its class, and its options by architecture_options" if isinstance(given, Encoder) else ""
    raise UserError(f"{article(kind)} is {wanted[kind]}, not {type(given).__name__}{built}")


def name_task(task: Task) -> tuple[str, dict[str, Any]]:
    """Returns the name of a task's class, and those of its options that differ from their defaults."""
    if isinstance(task, OwnData):
        given = {item.name: getattr(task, item.name) for item in dataclasses.fields(task) if item.name != "path"}
        return task.name, {key: value for key, value in given.items() if value is not None}
    name = name_class("task", type(task))
    defaults = tasks.defaults(name)
    values = {item.name: getattr(task, item.name) for item in dataclasses.fields(task) if item.init}  # type: ignore[arg-type]
    return name, {key: value for key, value in values.items() if not is_default(value, defaults[key])}


def is_default(value: Any, default: Any) -> bool:
    """Returns whether an option has its default."""
    return type(value) is type(default) and bool(value == default)


def name_class(kind: PartKind, cls: type) -> str:
    """Returns the name of a class: in the catalogue, its path, or, if no module has it, the class's own name."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    catalogue = (
        {entry.path: name for name, entry in ARCHITECTURES.items() if not entry.fixed}
        if kind == "architecture"
        else {path: name for name, path in tasks.CATALOGUE.items()}
    )
    if path in catalogue:
        return catalogue[path]
    if is_importable(cls):
        return path
    return give(kind, cls.__name__, cls, cls.texts if issubclass(cls, WrappedModule) else None)


def is_importable(cls: type) -> bool:
    """Returns whether a spawned process would find the same class by its path."""
    if cls.__module__ == "__main__" or "." in cls.__qualname__ or issubclass(cls, WrappedModule):
        return False
    try:
        module = sys.modules.get(cls.__module__) or importlib.import_module(cls.__module__)
    except Exception:
        return False
    return getattr(module, cls.__name__, None) is cls and inspect.getsourcefile(module) is not None
