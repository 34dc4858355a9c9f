"""Batches that a module is given: those of a task with their place in training, and those of any other loader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from architectures.suggest import did_you_mean
from workbench.errors import UserError
from workbench.seeding import RandomState
from workbench.tasks import Batch, Task

KINDS = "a workbench.tasks.Batch, (x, target), (x, target, lengths), or a mapping with these names"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBatch(Batch):
    """A training batch that knows its place, from which everything random in its step follows."""

    number: int
    """Its number among the batches of all ranks and all steps, from 0: the optimiser step, if a step has one batch."""
    begins: bool = True
    """False if its sequences continue those of the batch in the same place of the optimiser step before."""
    part: int = 0
    """Its place among the batches of its rank in an optimiser step, of which there are several under accumulation."""
    random_state: RandomState | None = None
    """State of the global generators after a custom task drew from them; `None` if none does."""

    def to(self, device: torch.device) -> "TrainingBatch":
        """Returns the same batch on another device, without waiting for a GPU."""
        moved = Batch.to(self, device)
        values: dict[str, Any] = {item.name: getattr(moved, item.name) for item in fields(Batch)}
        values |= {"number": self.number, "begins": self.begins, "part": self.part, "random_state": self.random_state}
        return TrainingBatch(**values)


def as_batch(value: Any, task: Task) -> Batch:
    """Returns what a loader yields as a batch of a task.

    Args:
        value: a `Batch`, a pair (x, target), (x, target, lengths), or a mapping with the names of a batch's fields.
        task: what it is for.

    Raises:
        UserError: if it is none of these, or its shapes do not fit the task.
    """
    if isinstance(value, Batch):
        return value
    if isinstance(value, Mapping):
        names = [item.name for item in fields(Batch)]
        for key in value:
            if key not in names:
                raise UserError(f"a batch is {KINDS}; it has no {key!r}{did_you_mean(str(key), names)}")
        if not {"x", "target"} <= value.keys():
            raise UserError(f"a batch needs x and target, and has {', '.join(map(str, value))}; it is {KINDS}")
        batch = Batch(**value)
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) in (2, 3):
        batch = Batch(x=value[0], target=value[1], lengths=value[2] if len(value) == 3 else None)
    else:
        raise UserError(f"a batch is {KINDS}, not {describe(value)}")
    check_inputs(batch.x, task)
    if not isinstance(batch.target, Tensor) or len(batch.target) != len(batch.x):
        raise UserError(f"a batch has x of shape {tuple(batch.x.shape)} and as target {describe(batch.target)}")
    return batch


def as_inputs(value: Any, task: Task) -> tuple[Tensor, Tensor | None]:
    """Returns the inputs and lengths of what a loader for predictions yields: x alone, or a batch of any kind.

    Raises:
        UserError: as in `as_batch`.
    """
    if isinstance(value, Sequence) and len(value) == 1:
        (value,) = value
    if isinstance(value, Tensor):
        check_inputs(value, task)
        return value, None
    if isinstance(value, Mapping) and "x" in value:
        check_inputs(value["x"], task)
        return value["x"], value.get("lengths")
    batch = as_batch(value, task)
    return batch.x, batch.lengths


def check_inputs(x: Any, task: Task) -> None:
    """Checks that x is a tensor of the task's shape.

    Raises:
        UserError: if it is not.
    """
    shape = "(batch, time) symbols" if task.symbols is not None else f"(batch, time, {task.input_size}) features"
    fits = isinstance(x, Tensor) and (
        x.ndim == 2 if task.symbols is not None else x.ndim == 3 and x.shape[2] == task.input_size
    )
    if not fits:
        raise UserError(f"x of a batch for {type(task).__name__} has to be {shape}, not {describe(x)}")


def check_target(prediction: Tensor, target: Tensor, task: Task) -> None:
    """Checks that targets fit predictions; a loss would broadcast them, and mean something else.

    Raises:
        UserError: if their shapes do not fit.
    """
    if target.shape != (prediction.shape if target.is_floating_point() else prediction.shape[:-1]):
        raise UserError(
            f"the targets of {type(task).__name__} are of shape {tuple(target.shape)} where the predictions are of "
            f"shape {tuple(prediction.shape)}; classes are whole numbers without the last dimension, values have it"
        )


def describe(value: Any) -> str:
    """Returns what a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
