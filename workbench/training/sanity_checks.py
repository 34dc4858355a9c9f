"""Checks that a task and an architecture fit each other, before hours are spent on meaningless numbers."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import NoReturn

import numpy as np
import torch

from architectures.base import padding_mask
from architectures.limits import quote
from workbench.config import Experiment
from workbench.custom_parts import is_custom
from workbench.errors import UserError
from workbench.model import seeded_model
from workbench.seeding import CPU, seeded_apart
from workbench.stopping import Goal
from workbench.tasks import Batch, Task
from workbench.tasks import build as build_task
from workbench.tasks.floors import read_floors, write_floors
from workbench.training.batches import check_target
from workbench.training.data_module import TaskDataModule
from workbench.training.sequence_module import SequenceModule

IGNORED = -100
"""Class that PyTorch's cross-entropy leaves out."""


def check_module(module: SequenceModule, data: TaskDataModule, until: str | None = None) -> None:
    """Checks the first training batch, both fixed sets, and one pass through the model.

    Args:
        module: on the device that trains.
        data: of the same task.
        until: goal of the run, if it has one.

    Raises:
        UserError: if the data is not finite or not of the declared shape, if predictions and targets do not match, or
            if the task is judged by a metric that it does not have.
    """
    task = module.task
    name = type(task).__name__
    if not math.isfinite(task.trivial_loss):
        raise UserError(f"the trivial_loss of {name} is {task.trivial_loss}, which is not a finite number")
    check_floors(task)
    if task.stateful and not module.model.encoder.causal:
        looks = f"{module.hparams['architecture']} looks ahead"
        raise UserError(f"{name} is read piece by piece, and {looks}; take an architecture that is causal")
    batches = {
        "the training batch of step 1": (
            data.training_batch(0, device=module.device).to(module.device),
            data.batch_size,
        ),
        "the validation set": (data.fixed_set("validation", module.device), None),
        "the test set": (data.fixed_set("test", module.device), None),
    }
    for label, (batch, size) in batches.items():
        check_batch(batch, size, label, task)
        check_finite(batch, label, task)
    training = module.training
    module.eval()
    with torch.no_grad():
        sample = module.split_into_pieces(data.fixed_set("validation", module.device)[:2])[0]
        prediction = module(sample.x, sample.lengths)
        check_target(prediction, sample.target, task)
        if "loss" in task.metrics(prediction, sample):
            raise UserError(f"{name} has a metric named loss, which is the name of what is trained on; rename it")
        scores, _ = module.compute_scores(sample)
    module.train(training)
    for metric, value in scores.items():
        if value.numel() != 1:
            raise UserError(f"{metric} of {name} is of shape {tuple(value.shape)}; it has to be one number")
    if task.solved is not None and task.solved.metric not in scores:
        raise UserError(f"{name} is solved by {task.solved.metric!r}, but its metrics are {', '.join(scores)}")
    goal = Goal.for_task(until, task)
    if goal is not None and goal.criterion.metric not in scores:
        raise UserError(f"until is {goal}, but the metrics of {name} are {', '.join(scores)}")


def check_floors(task: Task) -> None:
    """Checks that the floors of a task can be written down with the results.

    Raises:
        UserError: if they are not floors by name.
    """
    try:
        read_floors(write_floors(task.floors))
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"the floors of {type(task).__name__} are {quote(task.floors)}; they have to be workbench.tasks.Floor by "
            'name, as in {"bag of values": Floor(loss=2.08, accuracy=0.125)}'
        ) from None


def check_repeatable(experiment: Experiment) -> None:
    """Checks that custom parts draw the same weights and the same data twice: one seed has to mean one run.

    Raises:
        UserError: if they do not: they draw from a generator of their own that nobody seeds; or if the data is not of
            the types that it has to be.
    """
    advice = "draw from torch's, NumPy's or Python's global generator, or from one that is seeded"
    if is_custom(experiment.architecture.name):
        (_, model), (_, again) = seeded_model(experiment), seeded_model(experiment)
        weights = again.state_dict()
        for key, value in model.state_dict().items():
            if isinstance(value, torch.Tensor) and not torch.equal(value, weights[key]):
                raise UserError(f"{experiment.architecture.name} starts with other weights each time ({key}); {advice}")
    if not is_custom(experiment.task.name):
        return
    budget, task = experiment.budget, build_task(experiment.task.name, **experiment.task.arguments)
    draws: dict[str, Callable[[], object]] = {
        "training batch": lambda: task.train(0, budget.batch_size, experiment.seed, CPU),
        "validation set": lambda: task.fixed("validation", budget.evaluation_size, CPU),
        "test set": lambda: task.fixed("test", budget.evaluation_size, CPU),
    }
    for label, draw in draws.items():
        batches = []
        for _ in range(2):
            with seeded_apart("twice", label):
                batches.append(draw())
        first, second = batches
        if not isinstance(first, Batch) or not isinstance(second, Batch):
            # What it is instead is said where it is used.
            continue
        for batch in (first, second):
            check_types(batch, f"the {label}", task)
        for field in ("x", "target"):
            one, other = getattr(first, field), getattr(second, field)
            if one.shape != other.shape or not torch.equal(one.nan_to_num(), other.nan_to_num()):
                raise UserError(f"the {label} of {type(task).__name__} is another one each time ({field}); {advice}")


def check_types(batch: Batch, label: str, task: Task) -> None:
    """Checks that the fields of a batch are tensors of the right types, and symbols and classes in their ranges.

    Args:
        batch: some examples, on the CPU.
        label: what they are, for messages, as in "the test set".
        task: where they come from.

    Raises:
        UserError: that names the field, and what would be right.
    """
    name = type(task).__name__

    def refuse(field: str, is_now: str, advice: str) -> NoReturn:
        raise UserError(f"the {field} of {label} of {name} {is_now}; {advice}")

    for item in fields(Batch):
        value = getattr(batch, item.name)
        if value is None and item.name in ("lengths", "recall", "source"):
            continue
        if isinstance(value, np.ndarray):
            refuse(item.name, "is a NumPy array", "torch.from_numpy makes it a tensor")
        if not isinstance(value, torch.Tensor):
            refuse(item.name, f"is a {type(value).__name__}", "it has to be a tensor")
    x, target = batch.x, batch.target
    if task.symbols is None and x.dtype != torch.float32:
        refuse("x", f"is {type_name(x)}", "features are float32: x.float()")
    if task.symbols is not None and x.dtype != torch.int64:
        refuse("x", f"is {type_name(x)}", "symbols are int64: x.long()")
    if target.dtype not in (torch.float32, torch.int64):
        refuse(
            "target", f"is {type_name(target)}", "classes are int64, values float32: target.long() or target.float()"
        )
    if batch.lengths is not None and batch.lengths.dtype not in (torch.int64, torch.int32):
        refuse("lengths", f"is {type_name(batch.lengths)}", "lengths are int64: lengths.long()")
    for field, dtype in (("recall", torch.bool), ("source", torch.int64)):
        value = getattr(batch, field)
        if value is not None and (value.dtype != dtype or value.shape != x.shape[:2]):
            shape = tuple(x.shape[:2])
            refuse(
                field,
                f"is {type_name(value)} of shape {tuple(value.shape)}",
                f"it has to be {str(dtype).removeprefix('torch.')} of shape {shape}",
            )
    if (symbols := task.symbols) is not None and x.ndim == 2:
        valid = x
        if batch.lengths is not None and batch.lengths.shape == x.shape[:1]:
            valid = x[~padding_mask(x, batch.lengths)]
        if (found := describe_outside(valid, symbols)) is not None:
            refuse("x", found, f"symbols are 0 .. {symbols - 1}")
    if target.dtype == torch.int64 and task.output_size > 1:
        scored = target if batch.recall is None or batch.recall.shape != target.shape else target[batch.recall]
        # PyTorch's cross-entropy leaves these out.
        found = describe_outside(scored[scored != IGNORED], task.output_size)
        if found is not None:
            refuse("target", found, f"classes are 0 .. {task.output_size - 1}")


def describe_outside(values: torch.Tensor, count: int) -> str | None:
    """Returns the range of whole numbers as part of a message; `None` if they all lie in 0 .. count - 1."""
    if not values.numel() or 0 <= int(values.min()) <= int(values.max()) < count:
        return None
    return f"holds {int(values.min())} .. {int(values.max())}"


def type_name(tensor: torch.Tensor) -> str:
    """Returns the type of a tensor's numbers as NumPy and users call it, as in float64."""
    return str(tensor.dtype).removeprefix("torch.")


def check_batch(batch: object, size: int | None, label: str, task: Task) -> None:
    """Checks the shapes of a batch.

    Args:
        batch: what the task returned.
        size: the number of examples that were requested; `None` if any number will do.
        label: what it is, for messages, as in "the test set".
        task: where it comes from.

    Raises:
        UserError: if it is not a `Batch`, has another number of examples, or invalid lengths.
    """
    name = type(task).__name__
    if not isinstance(batch, Batch):
        raise UserError(
            f"{label} of {name} is a {type(batch).__name__}, not a workbench.tasks.Batch: "
            "return Batch(x=..., target=...)"
        )
    rows, dimensions = len(batch.x), 2 if task.symbols is not None else 3
    if batch.x.ndim != dimensions or rows < 1 or (size is not None and rows != size):
        expected = "at least one" if size is None else str(size)
        kind = "(batch, time) symbols" if dimensions == 2 else "(batch, time, input_size) features"
        raise UserError(f"{label} of {name} is of shape {tuple(batch.x.shape)}; it has to be {expected} of {kind}")
    if len(batch.target) != rows:
        raise UserError(f"{label} of {name} has {rows} examples and {len(batch.target)} targets")
    if batch.lengths is not None:
        low, high = int(batch.lengths.min()), int(batch.lengths.max())
        if batch.lengths.shape != (rows,) or low < 1 or high > batch.x.shape[1]:
            raise UserError(
                f"{label} of {name} has lengths of shape {tuple(batch.lengths.shape)} in {low} .. {high}; it takes one "
                f"for each of {rows} examples, in 1 .. {batch.x.shape[1]}"
            )


def check_finite(batch: Batch, label: str, task: Task) -> None:
    """Checks that a batch is finite: if not, the data is to blame for a loss that is not finite.

    Args:
        batch: some examples.
        label: what they are, for messages, as in "the test set".
        task: where they come from.

    Raises:
        UserError: if the batch holds NaN or infinity.
    """
    x = batch.x
    if batch.lengths is not None:
        # What lies behind the lengths is read by no architecture.
        behind = padding_mask(x, batch.lengths)
        x = x.masked_fill(behind if x.ndim == 2 else behind.unsqueeze(2), 0)
    for field, values in (("x", x), ("target", batch.target)):
        if not torch.isfinite(values).all():
            raise UserError(
                f"{label} of {type(task).__name__} holds NaN or infinity in its {field}; "
                "an architecture can only be judged on finite numbers"
            )
