"""Resolution of names and a few options into an experiment in which nothing is left to a default."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import architectures
from architectures.option_values import UNKNOWN, read_values, write_values
from architectures.parameter_rules import find_rules
from architectures.registry import ARCHITECTURES, load_encoder_class
from workbench import tasks
from workbench.config import Experiment, Part
from workbench.custom_parts import architecture_source, task_source, user_errors
from workbench.tasks.file_names import PREFIX, absolute, is_file, path_of, short_name
from workbench.validation import check_int

if TYPE_CHECKING:
    from workbench.tasks import Task


def resolve_task(name: str, user_options: Mapping[str, Any]) -> "tuple[Part, Task]":
    """Returns a task with all of its options, and the task itself.

    Args:
        name: of the catalogue, file:PATH, or a dotted path.
        user_options: the options that the user set.

    Raises:
        UserError: if the name or an option is unknown, or a value is invalid.
    """
    with user_errors(f"task {name}"):
        if is_file(name) and "path" in user_options:
            raise ValueError("the path of the file stands behind file:, and is no option")
        task = tasks.build(name, **user_options)
        values = {item.name: getattr(task, item.name) for item in fields(task) if item.init}  # type: ignore[arg-type]
        options = write_values(values, type(task), tasks.defaults(name))
        # What trains is what the file says.
        task = tasks.build(name, **options)
        path = None
        if is_file(name):
            # Absolute, so that probes find it from everywhere.
            path = path_of(absolute(PREFIX + options.pop("path")))
            # Only what applies to the data; the rest is `None` because it was inferred that it does not.
            options = {key: value for key, value in options.items() if value is not None}
        return Part(name=short_name(name), options=options, source=task_source(name, task), path=path), task


def resolve_again(part: Part) -> "tuple[Part, Task]":
    """Returns a task that was resolved before, as it is now: with the hash of its code and its data as they are.

    Raises:
        UserError: as in `resolve_task`.
    """
    return resolve_task(part.full_name, part.options)


def resolve_architecture(
    name: str,
    user_options: Mapping[str, Any],
    task: "Task",
    *,
    hidden_size: int,
    embedding_size: int | None = None,
    buildable: bool = True,
) -> Part:
    """Returns an architecture with all of its options, for a task.

    One of finite reach covers the task's length, and one of encoder and decoder takes the task's source for its
    encoder's, unless the user's options say otherwise.

    Args:
        name: of the catalogue, or a dotted path.
        user_options: the options that the user set.
        task: what it is to be trained on.
        hidden_size: its width, unless the user's options say otherwise.
        embedding_size: as in `Model`.
        buildable: whether it has to be buildable at this width already.

    Raises:
        UserError: if the name or an option is unknown, or a value is invalid.
    """
    with user_errors(f"architecture {name}"):
        if "input_size" in user_options:
            raise ValueError("input_size follows from the task, and cannot be set")
        if embedding_size is not None:
            check_int("embedding_size", embedding_size, least=1)
        parameters = architectures.options(name)
        defaults = {key: parameter.default for key, parameter in parameters.items()}
        from_task = {"hidden_size": hidden_size, "reach": task.steps, "source": task.source_steps}
        derived = {key: value for key, value in from_task.items() if key in parameters and value is not None}
        constructor = load_encoder_class(name).__init__
        values = {**defaults, **derived, **read_values(user_options, constructor, defaults)}
        given = {key: value for key, value in values.items() if value is not UNKNOWN}
        options = write_values(given, constructor, defaults)
        part = Part(name=name, options=options, source=architecture_source(name, options))
        if buildable:
            from workbench.model import meta_model

            find_rules(meta_model(task, part, embedding_size).encoder)
        return part


def find_all_warnings(experiments: Iterable[Experiment]) -> list[str]:
    """Returns the lines of `find_warnings` for several experiments, each line and each configuration once."""
    # A warning does not depend on the seed.
    configurations = {experiment.identity: experiment for experiment in experiments}
    return list(dict.fromkeys(line for experiment in configurations.values() for line in find_warnings(experiment)))


def find_warnings(experiment: Experiment) -> list[str]:
    """Returns a line for each thing in an experiment that is allowed, but probably not intended."""
    task = tasks.build(experiment.task.name, **experiment.task.arguments)
    lines = [f"the data of {experiment.task.name}: {note}" for note in task.notes]
    from workbench.model import meta_model

    encoder = meta_model(task, experiment.architecture, experiment.embedding_size).encoder
    source = experiment.architecture.options.get("source")
    if experiment.architecture.name in ARCHITECTURES and source is not None and source != task.source_steps:
        ends = "nowhere" if task.source_steps is None else f"after {task.source_steps}"
        lines.append(
            f"{experiment.architecture.name} takes the first {source} of the steps for its source, but that of "
            f"{experiment.task.name} ends {ends}; set its option source"
        )
    if task.prompt is not None and not encoder.causal:
        lines.append(
            f"{experiment.architecture.name} looks ahead, and in {experiment.task.name} each input is the answer of "
            "the step before, so that it reads the answers; only where they are fed back (free_accuracy) it cannot"
        )
    reach = encoder.receptive_field
    if reach is not None and reach < task.steps:
        lines.append(
            f"{experiment.architecture.name} sees {reach} steps back, but sequences of {experiment.task.name} have "
            f"{task.steps}: it cannot see what lies before"
        )
    return lines
