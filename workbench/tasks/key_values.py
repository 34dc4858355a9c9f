"""Draws that tasks of keys and values share: distinct symbols, and where the keys come again."""

import torch
from torch import Generator, Tensor

from architectures.limits import quote


def draw_distinct(size: int, count: int, among: int, generator: Generator) -> Tensor:
    """Draws distinct whole numbers below `among` for each example, in random order, (size, count)."""
    scores = torch.rand((size, among), generator=generator, device=generator.device)
    return scores.topk(count, dim=1).indices


def draw_gaps(size: int, count: int, places: int, power: float, generator: Generator) -> Tensor:
    """Draws distinct places, where near ones are likelier: place i, counted from 1, with weight i^(power - 1).

    Places are drawn one after another without replacement, as the largest of log weights with Gumbel noise are
    (Efraimidis and Spirakis 2006).

    Args:
        size: the number of examples.
        count: places for each.
        places: the number of places to draw from.
        power: above 0; 1 makes all places equally likely.
        generator: of random numbers.

    Returns:
        (size, count) places, counted from 0.
    """
    device = generator.device
    weights = (power - 1) * torch.arange(1, places + 1, device=device).log()
    # Exponential waiting times, the logarithms of which are Gumbel noise but for the sign.
    waits = -torch.log1p(-torch.rand((size, places), generator=generator, device=device))
    return (weights - waits.log()).topk(count, dim=1).indices


def check_power(power: object) -> None:
    """Raises an error for a power that is not a number above 0 and at most 1."""
    if isinstance(power, bool) or not isinstance(power, int | float):
        raise TypeError(f"power must be a number, not {quote(power)}")
    if not 0 < power <= 1:
        raise ValueError(f"power must be above 0 and at most 1, not {quote(power)}")
