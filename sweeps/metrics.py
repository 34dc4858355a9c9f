"""What trials are judged by: a metric of the validation set, and whether more of it is better."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from architectures.suggest import did_you_mean
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.study_files import Direction
from workbench.validation import check_choice

if TYPE_CHECKING:
    from workbench.tasks import Task

LOSS = "val/loss"
"""The metric unless another one is named."""
OBJECTIVES = (("loss",), ("loss", "seconds"), ("loss", "parameters"))
"""Objectives that a study may have, beside any single metric of the validation set."""
PREFIX = "val/"
CONVENTIONAL: Mapping[str, Direction] = {
    "loss": "minimize",
    "error": "minimize",
    "mae": "minimize",
    "mse": "minimize",
    "rmse": "minimize",
    "perplexity": "minimize",
    "bits_per_character": "minimize",
    "accuracy": "maximize",
    "precision": "maximize",
    "recall": "maximize",
    "f1": "maximize",
    "auroc": "maximize",
    "r2": "maximize",
}
"""Directions of metrics that have these names in every field; a task may say otherwise (`Task.directions`)."""


def metric_names(task: "Task", name: str) -> tuple[str, ...]:
    """Returns the names of a task's metrics, the loss first, found from two of its validation examples.

    Args:
        task: the task.
        name: its name, for messages.

    Raises:
        UserError: if the task cannot compute them.
    """
    import torch

    from workbench.seeding import CPU, seeded_apart

    with user_errors(f"task {name}"), seeded_apart("fixed", "validation"), torch.no_grad():
        batch = task.fixed("validation", 2, CPU)
        target = batch.target
        shape = target.shape if target.is_floating_point() else (*target.shape, task.output_size)
        return ("loss", *task.metrics(torch.zeros(shape), batch))


def check_metric(metric: str, direction: str | None) -> str:
    """Returns the plain name of a metric of the validation set, such as accuracy for val/accuracy.

    Raises:
        UserError: if it is of another set, or the direction is not one.
    """
    if direction is not None:
        check_choice("direction", direction, Direction)
    if not isinstance(metric, str) or not metric.removeprefix(PREFIX).strip():
        raise UserError(f"metric must be one of the validation set, such as val/accuracy, not {metric!r}")
    if metric.startswith(("test/", "train/")):
        name = metric.partition("/")[2]
        raise UserError(f"metric {metric!r}: trials are judged by the validation set alone; did you mean 'val/{name}'?")
    return metric.removeprefix(PREFIX)


def find_direction(task: "Task", name: str, metric: str, given: str | None) -> Direction:
    """Returns whether less or more of a metric is better.

    Args:
        task: the task that has the metric.
        name: the task's name.
        metric: the plain name of the metric.
        given: what the user says.

    Raises:
        UserError: if the task has no such metric, the direction is not known, or what is known contradicts what is
            given.
    """
    if metric != "loss":
        names = [f"{PREFIX}{each}" for each in metric_names(task, name)]
        if f"{PREFIX}{metric}" not in names:
            raise UserError(f"task {name} has no metric '{PREFIX}{metric}'{did_you_mean(PREFIX + metric, names)}")
    known = known_direction(task, metric)
    if known is None and given is None:
        raise UserError(
            f"whether less or more of '{PREFIX}{metric}' of task {name} is better is not known; add "
            f"--direction {' or --direction '.join(get_args(Direction))}"
        )
    if known is not None and given not in (None, known):
        raise UserError(
            f"direction is {given}, but {'less' if known == 'minimize' else 'more'} of '{PREFIX}{metric}' of task "
            f"{name} is better; drop --direction"
        )
    return known or ("minimize" if given == "minimize" else "maximize")


def known_direction(task: "Task", metric: str) -> Direction | None:
    """Returns the direction that the task states, that its criterion implies, or that is the convention."""
    if metric in task.directions:
        return task.directions[metric]
    if task.solved is not None and task.solved.metric == metric:
        return "maximize" if task.solved.above else "minimize"
    return CONVENTIONAL.get(metric)
