"""From names and a few options to an experiment in which nothing is left open."""

import hashlib
import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import architectures
from architectures.registry import load
from workbench import tasks
from workbench.config import Experiment, Part
from workbench.errors import UserError
from workbench.files import one_line
from workbench.model import count_parameters, meta_model
from workbench.tasks import Task
from workbench.validation import check_int

MAX_WIDTH_MULTIPLE = 128
"""Architectures that take only multiples of something as widths take multiples of at most this."""
MATCH_TOLERANCE = 5.0
"""Per cent by which numbers of parameters may differ and count as matched."""
MAX_WIDTH = 2**17
"""Widths looked at when parameters are matched; far beyond what would fit anywhere."""


def resolve_task(name: str, given: Mapping[str, Any]) -> tuple[Part, Task]:
    """A task with all of its options, and the task itself.

    Raises:
        UserError: if the name or an option is unknown, or a value cannot be.
    """
    with user_errors(f"task {name}"):
        kinds = typing.get_type_hints(tasks.load(name))
        task = tasks.build(name, **{key: coerce(value, kinds.get(key)) for key, value in given.items()})
        options = {item.name: getattr(task, item.name) for item in fields(task) if item.init}  # type: ignore[arg-type]
        return Part(name=name, options=plain(options), source=source_of(name, task)), task


def resolve_architecture(
    name: str,
    given: Mapping[str, Any],
    task: Task,
    *,
    hidden_size: int,
    embedding_size: int | None = None,
    buildable: bool = True,
) -> Part:
    """An architecture with all of its options, for a task: one of finite reach covers the task's length, unless
    the options given say otherwise.

    Args:
        name, given: as on the command line.
        task: what it is to be trained on.
        hidden_size: its width, unless the options given say otherwise.
        embedding_size: as in `Model`.
        buildable: whether it has to be possible at this width already.

    Raises:
        UserError: if the name or an option is unknown, or a value cannot be.
    """
    with user_errors(f"architecture {name}"):
        if "input_size" in given:
            raise ValueError("input_size is what the task has, and cannot be given")
        if embedding_size is not None:
            check_int("embedding_size", embedding_size, least=1)
        known = architectures.options(name)
        kinds = typing.get_type_hints(load(name).__init__)
        defaults = {key: parameter.default for key, parameter in known.items()}
        for key, value in (("hidden_size", hidden_size), ("reach", task.steps)):
            if key in known:
                defaults[key] = value
        chosen = {**defaults, **{key: coerce(value, kinds.get(key)) for key, value in given.items()}}
        part = Part(name=name, options=plain(chosen), source=source(load(name), name))
        if buildable:
            count_parameters(task, part, embedding_size)
        return part


def coerce(value: Any, kind: Any) -> Any:
    """A number where a float is declared is that float: 1 and 1.0 are one configuration, and YAML takes 1e-3, which
    has no point, for a string."""
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def match_parameters(part: Part, task: Task, target: int, embedding_size: int | None = None) -> Part:
    """The same architecture at the width whose parameters, read-out included, come nearest to the target.

    Raises:
        UserError: if it has no width, or none that has so few or so many.
    """
    if "hidden_size" not in part.options:
        raise UserError(f"architecture {part.name} has no hidden_size, so its parameters cannot be matched")

    def at(width: int) -> Part:
        return Part(name=part.name, options={**part.options, "hidden_size": width}, source=part.source)

    def size(width: int) -> int:
        return count_parameters(task, at(width), embedding_size)

    def possible(width: int) -> bool:
        try:
            size(width)
        except ValueError:
            return False
        return True

    with user_errors(f"architecture {part.name}"):
        # Where heads have to divide the width, only multiples can be built.
        grain = next((g for g in range(1, MAX_WIDTH_MULTIPLE + 1) if possible(g) and possible(2 * g)), None)
        if grain is None:
            raise ValueError(f"no width up to {MAX_WIDTH_MULTIPLE} can be built with these options")
        least = size(grain)
        if least > (1 + MATCH_TOLERANCE / 100) * target:
            raise UserError(
                f"architecture {part.name} has {least:,} parameters at its smallest width, {grain}, and cannot be "
                f"matched to {target:,}; match more of them, with --parameters or a larger --hidden-size"
            )
        # The count grows with the width: double until it is passed, then halve the gap.
        low, high = 0, grain
        while size(high) < target:
            low, high = high, 2 * high
            if high > MAX_WIDTH:
                raise UserError(f"architecture {part.name} has fewer than {target:,} parameters at a width of {low:,}")
        while high - low > grain:
            middle = (low + high) // (2 * grain) * grain
            low, high = (middle, high) if size(middle) < target else (low, middle)
        nearest = min((width for width in (low, high) if width), key=lambda width: abs(size(width) - target))
        return at(nearest)


def warnings(experiment: Experiment) -> list[str]:
    """What is allowed and yet likely not meant."""
    _, task = resolve_task(experiment.task.name, experiment.task.options)
    said = [f"the data of {experiment.task.name}: {note}" for note in task.notes]
    field = meta_model(task, experiment.architecture, experiment.embedding_size).encoder.receptive_field
    if field is not None and field < task.steps:
        said.append(
            f"{experiment.architecture.name} sees {field} steps back, but sequences of {experiment.task.name} have "
            f"{task.steps}: what lies before it cannot see"
        )
    return said


def source_of(name: str, task: Task) -> str | None:
    """What an experiment on a task depends on beside its name and options: its code, where it is one's own, and the
    files that it reads, where not everybody has the same."""
    parts = [part for part in (source(type(task), name), task.data) if part is not None]
    return "-".join(parts) or None


def source_changed(part: Part, task: Task) -> bool:
    """Whether the code or the data of a task is not what it was when the part was resolved."""
    return part.source != source_of(part.name, task) and (part.source is not None or task.data is not None)


def source(cls: type, name: str) -> str | None:
    """For a dotted path the hash of the files in which the class and what it inherits from are written, those of the
    bench and of PyTorch left out; `None` for a name of a catalogue."""
    if ":" not in name:
        return None
    known = ("architectures", "workbench", "torch", "builtins", "abc", "typing", "dataclasses")
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in known]
    files = {inspect.getsourcefile(base) for base in own}
    hashed = hashlib.sha256()
    for path in sorted(path for path in files if path is not None):
        hashed.update(Path(path).read_bytes())
    return hashed.hexdigest()[:12]


@contextmanager
def user_errors(what: str) -> Iterator[None]:
    """Turns the refusals of tasks and architectures, and whatever goes wrong in the user's own, into one line."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        message = one_line(error)
        raise UserError(message if message.startswith(("unknown", what)) else f"{what}: {message}") from error
    except Exception as error:
        raise UserError(f"{what}: {type(error).__name__}: {one_line(error)}") from error


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if they are numbers, strings, lists and mappings: what a YAML file can hold.

    Raises:
        ValueError: if one of them is anything else.
    """
    for key, value in options.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(f"{key} must be a plain value that a YAML file can hold, not {value!r}") from None
    return dict(options)
