"""Order of the examples in training on a finite set: epochs of random permutations."""

from functools import lru_cache

import torch
from torch import Tensor

from workbench.seeding import CPU, make_generator


def batch_indices(count: int, step: int, size: int, seed: int, device: torch.device = CPU) -> Tensor:
    """Returns the indices of the examples of a training batch, as a function of the arguments alone.

    Every epoch is a permutation of the set. Batches are slices of the endless sequence of epochs, so one may begin in
    one epoch and end in the next, or be larger than the set.

    Args:
        count: the number of examples in the set.
        step: the batch's number, from 0.
        size: the number of examples in a batch, the same at every step.
        seed: the seed of the run.
        device: the device of the result.

    Returns:
        (size,) indices below `count`, drawn on the CPU, so that a run sees the same order on every device.
    """
    start = step * size
    first, last = start // count, (start + size - 1) // count
    sequence = torch.cat([epoch_permutation(count, seed, epoch, device) for epoch in range(first, last + 1)])
    return sequence[start - first * count :][:size]


@lru_cache(maxsize=4)
def epoch_permutation(count: int, seed: int, epoch: int, device: torch.device = CPU) -> Tensor:
    """Returns the order of one epoch, (count,), not to be written to; cached, as all batches of an epoch need it."""
    return torch.randperm(count, generator=make_generator(CPU, "epoch", seed, epoch), device=CPU).to(device)
