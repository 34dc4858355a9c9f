"""Input without a memory of its own, to drive a model with."""

import math

import torch
from torch import Generator, Tensor

from analysis.findings import NotAvailableError
from workbench.tasks import Batch, Task


def noise(task: Task, like: Batch, size: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Independent and identically distributed input of a task's kind.

    For symbols, all of the alphabet alike, and as u the symbol's number, which is one way of many to put it on a line.
    For features, u itself as the first: uniform with the mean and the deviation that the feature has in the task's
    data; the others stand at their means, so that there is one input to remember.

    Args:
        task: what the model was made for.
        like: some of its data.
        size: sequences.
        steps: of each.
        generator: on the CPU.

    Returns:
        x, (size, steps) symbols or (size, steps, input_size) features, and u (size, steps), of mean about 0 and
        variance about 1.

    Raises:
        NotAvailableError: if the task has one symbol, or its first feature never changes in its data.
    """
    if task.symbols == 1:
        raise NotAvailableError("the task has one symbol only, so there is nothing in it to remember")
    if task.symbols is not None:
        x = torch.randint(task.symbols, (size, steps), generator=generator)
        u = (x - (task.symbols - 1) / 2) / math.sqrt((task.symbols**2 - 1) / 12)
        return x, u
    values = like.x.flatten(0, 1).double()
    if like.lengths is not None:
        values = values[(torch.arange(like.x.shape[1]) < like.lengths.unsqueeze(1)).flatten()]
    mean, scale = values.mean(0), values[:, 0].std()
    if not scale > 1e-9 * mean[0].abs():
        raise NotAvailableError("the task's first feature is constant, so there is no scale to drive it with")
    u = (2 * torch.rand((size, steps), generator=generator) - 1) * math.sqrt(3)
    x = mean.float().expand(size, steps, -1).clone()
    x[:, :, 0] += scale.float() * u
    return x, u
