"""The order in which a finite set is trained on."""

from functools import lru_cache

import torch
from torch import Tensor

from workbench.seeding import CPU, seeded


def indices(count: int, step: int, size: int, seed: int, device: torch.device = CPU) -> Tensor:
    """Which examples make the training batch of a step, as a function of the arguments alone.

    Every epoch is a permutation of the set; the batches are cut from the endless row of epochs, so that one may begin
    in one epoch and end in the next, or be larger than the set.

    Args:
        count: the number of examples in the set.
        step: the batch's number, from 0.
        size: the number of examples in a batch, the same at every step.
        seed: the seed of the run.
        device: where they are wanted.

    Returns:
        (size,) indices below `count`, drawn on the CPU: a run sees the same order on every device.
    """
    start = step * size
    first, last = start // count, (start + size - 1) // count
    row = torch.cat([permutation(count, seed, epoch, device) for epoch in range(first, last + 1)])
    return row[start - first * count :][:size]


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int, device: torch.device = CPU) -> Tensor:
    """(count,) the order of one epoch; not to be written to. Kept, since all batches of an epoch ask for it."""
    return torch.randperm(count, generator=seeded(CPU, "epoch", seed, epoch), device=CPU).to(device)
