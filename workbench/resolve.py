"""From names and a few options to an experiment in which nothing is left open."""

import hashlib
import importlib.util
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

import architectures
from architectures.catalogue import load
from workbench import tasks
from workbench.config import Experiment, Part
from workbench.errors import UserError
from workbench.model import Model, count
from workbench.tasks import Task

WIDEST = 2**17
"""Widths looked at when parameters are matched; far beyond what would fit anywhere."""


def resolve_task(name: str, given: Mapping[str, Any]) -> tuple[Part, Task]:
    """A task with all of its options, and the task itself.

    Raises:
        UserError: if the name or an option is unknown, or a value cannot be.
    """
    with users_mistake(f"task {name}"):
        kinds = typing.get_type_hints(tasks.load(name))
        task = tasks.build(name, **{key: as_declared(value, kinds.get(key)) for key, value in given.items()})
        options = {item.name: getattr(task, item.name) for item in fields(task)}  # type: ignore[arg-type]
        return Part(name=name, options=options, source=source(name)), task


def resolve_architecture(
    name: str, given: Mapping[str, Any], task: Task, *, hidden_size: int, embedding_size: int | None = None
) -> Part:
    """An architecture with all of its options, for a task: one of finite reach covers the task's length, unless
    the options given say otherwise.

    Raises:
        UserError: if the name or an option is unknown, or a value cannot be.
    """
    with users_mistake(f"architecture {name}"):
        known = architectures.options(name)
        kinds = typing.get_type_hints(load(name).__init__)
        defaults = {key: parameter.default for key, parameter in known.items()}
        for key, value in (("hidden_size", hidden_size), ("reach", task.steps)):
            if key in known:
                defaults[key] = value
        chosen = {**defaults, **{key: as_declared(value, kinds.get(key)) for key, value in given.items()}}
        part = Part(name=name, options=chosen, source=source(name))
        count(task, part, embedding_size)
        return part


def as_declared(value: Any, kind: Any) -> Any:
    """A whole number where a float is declared is that float, so that 1 and 1.0 are one configuration."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if kind is float and whole else value


def matched(part: Part, task: Task, target: int, embedding_size: int | None = None) -> Part:
    """The same architecture at the width whose parameters, read-out included, come nearest to the target.

    Raises:
        UserError: if it has no width.
    """
    if "hidden_size" not in part.options:
        raise UserError(f"architecture {part.name} has no hidden_size, so its parameters cannot be matched")

    def at(width: int) -> Part:
        return Part(name=part.name, options={**part.options, "hidden_size": width}, source=part.source)

    def size(width: int) -> int:
        return count(task, at(width), embedding_size)

    # The count grows with the width: double until it is passed, then halve the gap.
    low, high = 0, 1
    while size(high) < target:
        low, high = high, 2 * high
        if high > WIDEST:
            raise UserError(f"architecture {part.name} has fewer than {target:,} parameters even {low:,} units wide")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < target else (low, middle)
    nearest = min((width for width in (low, high) if width), key=lambda width: abs(size(width) - target))
    return at(nearest)


def warnings(experiment: Experiment) -> list[str]:
    """What is allowed and yet likely not meant."""
    _, task = resolve_task(experiment.task.name, experiment.task.options)
    with torch.device("meta"):
        model = Model(task, experiment.architecture, experiment.embedding_size)
    field = model.encoder.receptive_field
    if field is not None and field < task.steps:
        return [
            f"{experiment.architecture.name} sees {field} steps back, but sequences of {experiment.task.name} have "
            f"{task.steps}: what lies before it cannot see"
        ]
    return []


def source(name: str) -> str | None:
    """For a dotted path the hash of the module's file; `None` for a name of a catalogue."""
    if ":" not in name:
        return None
    found = importlib.util.find_spec(name.partition(":")[0])
    if found is None or found.origin is None:
        return None
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:12]


@contextmanager
def users_mistake(what: str) -> Iterator[None]:
    """Turns the refusals of tasks and architectures into the user's one line."""
    try:
        yield
    except (ValueError, TypeError) as error:
        message = " ".join(str(error).split())
        raise UserError(message if message.startswith(("unknown", what)) else f"{what}: {message}") from error
