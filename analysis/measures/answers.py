"""What a model answers, a few sequences at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from architectures.base import evaluating
from workbench.model import Model
from workbench.tasks import Batch, Task

STEPS = 1 << 17
"""Steps, over all sequences, that go through a model together: bounds memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well each sequence was answered, each (sequences,)."""

    loss: np.ndarray
    right: np.ndarray | None
    """The number of right answers; `None` where the task has no accuracy."""
    total: np.ndarray
    """The number of answers that count."""


def answered(model: Model, batch: Batch) -> Iterator[tuple[Batch, Tensor]]:
    """Part after part of a batch, on the model's device, with the answers to it."""
    size = max(1, STEPS // batch.x.shape[1])
    with torch.no_grad(), evaluating(model):
        for start in range(0, len(batch.x), size):
            part = batch[start : start + size].to(model.device)
            yield part, model(part.x, part.lengths)[0]


def scores(model: Model, task: Task, batch: Batch) -> Scores:
    """The loss, and the right answers, of each sequence by itself."""
    loss: list[float] = []
    share: list[float] = []
    total: list[float] = []
    for part, prediction in answered(model, batch):
        for index in range(len(part.x)):
            one, said = part[index : index + 1], prediction[index : index + 1]
            loss.append(float(task.loss(said, one)))
            total.append(float(said[..., 0].numel() if one.recall is None else one.recall.sum()))
            accuracy = task.metrics(said, one).get("accuracy")
            if accuracy is not None:
                share.append(float(accuracy))
    counts = np.array(total)
    return Scores(
        loss=np.array(loss), right=np.array(share) * counts if len(share) == len(loss) else None, total=counts
    )


def recalls(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every recalled answer of a batch that has `recall` and `source`, with classes as targets.

    Returns:
        Each (answers,): its lag in steps, whether it was right, and the number of its sequence.
    """
    assert batch.recall is not None
    assert batch.source is not None
    right = torch.cat([(said.argmax(-1) == part.target).cpu() for part, said in answered(model, batch)])
    sequence, step = batch.recall.nonzero(as_tuple=True)
    lag = step - batch.source[sequence, step]
    return lag.numpy(), right[sequence, step].numpy(), sequence.numpy()
