"""Whether a task and an architecture fit each other: looked at once, before hours go into numbers without meaning."""

import math
from typing import TYPE_CHECKING

import torch

from workbench.errors import UserError
from workbench.stopping import Goal
from workbench.tasks import Batch, Task

if TYPE_CHECKING:
    from workbench.lightning_module import SequenceModule


def check_module(learner: "SequenceModule") -> None:
    """Looks at the first training batch, both fixed sets, and one pass through the model.

    Raises:
        UserError: if the data is not finite or not of the promised form, if predictions and targets do not match, or
            if the task is judged by a metric that it does not have.
    """
    task, budget = learner.task, learner.experiment.budget
    name = type(task).__name__
    if not math.isfinite(task.trivial_loss):
        raise UserError(f"the trivial_loss of {name} is {task.trivial_loss}, which is no finite number")
    if task.stateful and not learner.model.encoder.causal:
        looks = f"{learner.experiment.architecture.name} looks ahead"
        raise UserError(f"{name} is read piece by piece, and {looks}; take an architecture that is causal")
    batches = {
        "the training batch of step 1": (learner.training_batch(0), budget.batch_size),
        "the validation set": (learner.fixed("validation"), None),
        "the test set": (learner.fixed("test"), None),
    }
    for what, (batch, size) in batches.items():
        check_batch(batch, size, what, task)
        check_finite(batch, what, task)
    training = learner.training
    learner.eval()
    with torch.no_grad():
        sample = learner.pieces(learner.fixed("validation")[:2])[0]
        prediction, target = learner(sample.x, sample.lengths), sample.target
        whole = target.shape == (prediction.shape if target.is_floating_point() else prediction.shape[:-1])
        if not whole:
            raise UserError(
                f"the targets of {name} are of shape {tuple(target.shape)} where the answers are of shape "
                f"{tuple(prediction.shape)}; classes are whole numbers without the last dimension, values have it"
            )
        scores, _ = learner.scores(sample)
    learner.train(training)
    for metric, value in scores.items():
        if value.numel() != 1:
            raise UserError(f"{metric} of {name} is of shape {tuple(value.shape)}; it has to be one number")
    if task.solved is not None and task.solved.metric not in scores:
        raise UserError(f"{name} is solved by {task.solved.metric!r}, but its metrics are {', '.join(scores)}")
    goal = Goal.of(budget.until, task)
    if goal is not None and goal.criterion.metric not in scores:
        raise UserError(f"until is {goal}, but the metrics of {name} are {', '.join(scores)}")


def check_batch(batch: object, size: int | None, what: str, task: Task) -> None:
    """Raises UserError if a batch is none, has another number of examples, or impossible lengths."""
    name = type(task).__name__
    if not isinstance(batch, Batch):
        raise UserError(f"{what} of {name} is a {type(batch).__name__}, not a workbench.tasks.Batch")
    rows, dimensions = len(batch.x), 2 if task.symbols is not None else 3
    if batch.x.ndim != dimensions or rows < 1 or (size is not None and rows != size):
        asked = "at least one" if size is None else str(size)
        kind = "(batch, time) symbols" if dimensions == 2 else "(batch, time, input_size) features"
        raise UserError(f"{what} of {name} is of shape {tuple(batch.x.shape)}; it has to be {asked} of {kind}")
    if len(batch.target) != rows:
        raise UserError(f"{what} of {name} has {rows} examples and {len(batch.target)} targets")
    if batch.lengths is not None:
        low, high = int(batch.lengths.min()), int(batch.lengths.max())
        if batch.lengths.shape != (rows,) or low < 1 or high > batch.x.shape[1]:
            raise UserError(
                f"{what} of {name} has lengths of shape {tuple(batch.lengths.shape)} in {low} .. {high}; it takes one "
                f"for each of {rows} examples, in 1 .. {batch.x.shape[1]}"
            )


def check_finite(batch: Batch, what: str, task: Task) -> None:
    """Raises UserError if a batch holds NaN or infinity: a loss that is no number is then the data's fault."""
    for part in ("x", "target"):
        if not torch.isfinite(getattr(batch, part)).all():
            raise UserError(
                f"{what} of {type(task).__name__} holds NaN or infinity in its {part}; "
                "an architecture can only be judged on finite numbers"
            )
