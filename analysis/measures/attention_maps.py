"""What a hierarchy attends to: each level's map, and the levels together."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLevel:
    """One level's map."""

    number: int
    """From 1."""
    onward: bool
    """Whether it looks back along the sequence; else it is one of a bidirectional encoder that looks ahead."""
    spacing: int
    """Steps between neighbouring entries: the product of the windows below."""
    map: Tensor
    """(batch, heads, time, window); entry j is the weight of the step j spacings away."""

    def full(self, lengths: Tensor | None) -> Tensor:
        """(batch, time): the valid steps whose whole window lies within the sequence; where that is too short for any,
        the one step that sees most of it."""
        batch, _, time, window = self.map.shape
        steps = torch.arange(time, device=self.map.device).expand(batch, -1)
        end = steps.new_full((batch, 1), time) if lengths is None else lengths.to(steps.device).unsqueeze(1)
        seen = steps if self.onward else end - 1 - steps
        return (seen >= (end - 1).clamp_max((window - 1) * self.spacing)) & (steps < end)


def levels(maps: tuple[Tensor, ...], causal: bool) -> list[AttentionLevel]:
    """The levels of a trace's maps, lowest first; of a bidirectional encoder those that look back, then the others."""
    depth = len(maps) if causal else len(maps) // 2
    found = []
    for index, each in enumerate(maps):
        number, onward = index % depth, index < depth
        below = maps[index - number : index]
        spacing = 1
        for lower in below:
            spacing *= lower.shape[3]
        found.append(AttentionLevel(number=number + 1, onward=onward, spacing=spacing, map=each.detach()))
    return found


def entropy(weights: Tensor) -> Tensor:
    """-sum p ln p over the last dimension, in nats; at most the logarithm of its size, which uniform weights have."""
    return -torch.xlogy(weights, weights).sum(-1)


def rollout(maps: tuple[Tensor, ...], at: int) -> Tensor:
    """The weight of every lag in what the top level attends to at a step: of each path through the levels, whose
    offsets add up to the lag, the product of its weights (attention rollout, Abnar and Zuidema 2020, arXiv 2005.00928,
    without the residual paths). In a hierarchy of windows k every lag has one path, its digits in base k.

    Args:
        maps: of a causal encoder, lowest level first, each (batch, heads, time, window); heads are averaged.
        at: the step.

    Returns:
        (batch, at + 1), by lag; where the top level has weight on steps before the start, 0.
    """
    lags = torch.zeros(1, dtype=torch.long, device=maps[0].device)
    weight = maps[0].new_ones(len(maps[0]), 1)
    for level in reversed(levels(maps, causal=True)):
        window = level.map.shape[3]
        seen = level.map[:, :, at - lags].mean(1)
        weight = (weight.unsqueeze(2) * seen).flatten(1)
        lags = (lags.unsqueeze(1) + level.spacing * torch.arange(window, device=lags.device)).flatten()
        weight, lags = weight[:, lags <= at], lags[lags <= at]
    found = weight.new_zeros(len(weight), at + 1)
    return found.index_add_(1, lags, weight)
