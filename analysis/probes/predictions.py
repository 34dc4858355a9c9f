"""Predictions of a model on a batch, scored sequence by sequence and answer by answer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.measures.passes import passes
from architectures.base import Encoder, eval_mode
from workbench.model import Model
from workbench.tasks import Batch, Task

MAX_STEPS = 1 << 17
"""Steps, over all sequences, that go through a model at once, which bounds memory."""
MAX_STEPS_OF_REACH = 1 << 15
"""The same for an encoder of finite reach. Its layers hold all steps at once, several times over, where a recurrence
holds one; and with tensors of some megabytes a layer takes half the time, as glibc then keeps their memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceScores:
    """Loss, right answers and the metric of the task's criterion of each sequence, each (sequences,)."""

    loss: np.ndarray
    right: np.ndarray | None
    """Numbers of right answers; `None` if the task has no accuracy."""
    total: np.ndarray
    """Numbers of answers that count."""
    criterion: np.ndarray | None = None
    """The metric that decides whether the task is solved; `None` if the task has no criterion."""


def score_sequences(model: Model, task: Task, batch: Batch, pass_steps: int | None = None) -> SequenceScores:
    """Returns what is known of the answers to each sequence separately.

    Args:
        model: that answers.
        task: that the batch is of.
        batch: the sequences.
        pass_steps: steps of a pass, at most, unless a single sequence has more; by default, `MAX_STEPS`.
    """
    wanted = None if task.solved is None else task.solved.metric
    decisive: list[float] = []
    losses: list[float] = []
    accuracies: list[float] = []
    totals: list[float] = []
    for part, prediction in iterate_predictions(model, batch, pass_steps):
        for index in range(len(part.x)):
            sequence, answer = part[index : index + 1], prediction[index : index + 1]
            losses.append(float(task.loss(answer, sequence)))
            totals.append(float(answer[..., 0].numel() if sequence.recall is None else sequence.recall.sum()))
            metrics = task.metrics(answer, sequence)
            if "accuracy" in metrics:
                accuracies.append(float(metrics["accuracy"]))
            if wanted is not None:
                decisive.append(losses[-1] if wanted == "loss" else float(metrics[wanted]))
    total = np.array(totals)
    right = np.array(accuracies) * total if len(accuracies) == len(losses) else None
    criterion = None if wanted is None else np.array(decisive)
    return SequenceScores(loss=np.array(losses), right=right, total=total, criterion=criterion)


def recalled_answers(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns every recalled answer of a batch that has `recall` and `source`, with classes as targets.

    A causal model reads each sequence no further than to about its last recall: what follows changes no answer. Where
    the step of the recall is drawn at random, that is half of the steps.

    Returns:
        Three arrays (answers,): the lag in steps, whether the answer was right, and the number of its sequence.
    """
    assert batch.recall is not None
    assert batch.source is not None
    count, steps = batch.recall.shape
    ends = torch.full((count,), steps)
    if model.encoder.causal:
        ends = torch.where(batch.recall, torch.arange(1, steps + 1), 1).amax(1)
    # Those that end at about the same step go together.
    order = ends.argsort(descending=True, stable=True)
    right = torch.zeros_like(batch.recall)
    with torch.no_grad(), eval_mode(model):
        for places in passes_through(model.encoder, count, steps):
            part = order[places]
            end = int(ends[part].max())
            x = batch.x[part, :end].to(model.device)
            lengths = None if batch.lengths is None else batch.lengths[part].clamp(max=end).to(model.device)
            right[part, :end] = model(x, lengths)[0].argmax(-1).cpu() == batch.target[part, :end]
    sequence, step = batch.recall.nonzero(as_tuple=True)
    lag = step - batch.source[sequence, step]
    return lag.numpy(), right[sequence, step].numpy(), sequence.numpy()


def passes_through(encoder: Encoder, count: int, steps: int, most: int | None = None) -> Iterator[slice]:
    """Yields the places of the sequences that go through an encoder at once, of so many with so many steps.

    Args:
        encoder: that they go through.
        count: sequences.
        steps: of each.
        most: steps of a pass, at most, unless a single sequence has more; by default, `MAX_STEPS`.
    """
    most = MAX_STEPS if most is None else min(most, MAX_STEPS)
    return passes(count, steps, most, None if encoder.receptive_field is None else MAX_STEPS_OF_REACH)


def iterate_predictions(model: Model, batch: Batch, pass_steps: int | None = None) -> Iterator[tuple[Batch, Tensor]]:
    """Yields a batch part by part, of so many steps at most, on the model's device, with the model's predictions."""
    with torch.no_grad(), eval_mode(model):
        for places in passes_through(model.encoder, len(batch.x), batch.x.shape[1], pass_steps):
            part = batch[places].to(model.device)
            yield part, model(part.x, part.lengths)[0]
