"""Attention maps of a hierarchy, level by level and across all of its levels."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLevel:
    """The attention map of one level of a hierarchy."""

    number: int
    """Counted from 1, the lowest level."""
    looks_back: bool
    """True if the level attends to earlier steps, False if it attends to later ones, as half of the levels of a
    bidirectional encoder do."""
    spacing: int
    """Steps between neighbouring entries of a window: the product of the window sizes of the levels below."""
    map: Tensor
    """(batch, heads, time, window); entry j is the weight of the step j spacings away."""

    def has_full_window(self, lengths: Tensor | None) -> Tensor:
        """Returns the steps whose whole window lies within the sequence.

        In a sequence that is too short for a whole window, this is the one step that sees most of it.

        Args:
            lengths: (batch,) valid steps; by default all.

        Returns:
            (batch, time), boolean.
        """
        batch, _, time, window = self.map.shape
        steps = torch.arange(time, device=self.map.device).expand(batch, -1)
        end = steps.new_full((batch, 1), time) if lengths is None else lengths.to(steps.device).unsqueeze(1)
        visible = steps if self.looks_back else end - 1 - steps
        return (visible >= (end - 1).clamp_max((window - 1) * self.spacing)) & (steps < end)


def attention_levels(maps: tuple[Tensor, ...], causal: bool) -> list[AttentionLevel]:
    """Returns the levels of a hierarchy, lowest first.

    Args:
        maps: of a trace, each (batch, heads, time, window); of a bidirectional encoder first the maps that look back,
            then as many that look ahead.
        causal: whether the encoder is causal.
    """
    depth = len(maps) if causal else len(maps) // 2
    levels = []
    for index, attention_map in enumerate(maps):
        height = index % depth
        spacing = 1
        for lower in maps[index - height : index]:
            spacing *= lower.shape[3]
        levels.append(
            AttentionLevel(number=height + 1, looks_back=index < depth, spacing=spacing, map=attention_map.detach())
        )
    return levels


def attention_rollout(maps: tuple[Tensor, ...], at: int) -> Tensor:
    """Returns the weight of every lag in what the top level attends to at a step.

    This is attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928) without the residual paths: the weight of a
    lag is the sum, over all paths through the levels whose offsets add up to the lag, of the product of the weights
    along the path. In a hierarchy with windows of size k every lag has one path, given by its digits in base k.

    Args:
        maps: of a causal encoder, lowest level first, each (batch, heads, time, window); heads are averaged.
        at: the step.

    Returns:
        (batch, at + 1), by lag. Weight that the top level gives to steps before the start is dropped.
    """
    lags = torch.zeros(1, dtype=torch.long, device=maps[0].device)
    weights = maps[0].new_ones(len(maps[0]), 1)
    for level in reversed(attention_levels(maps, causal=True)):
        window = level.map.shape[3]
        level_weights = level.map[:, :, at - lags].mean(1)
        weights = (weights.unsqueeze(2) * level_weights).flatten(1)
        lags = (lags.unsqueeze(1) + level.spacing * torch.arange(window, device=lags.device)).flatten()
        weights, lags = weights[:, lags <= at], lags[lags <= at]
    by_lag = weights.new_zeros(len(weights), at + 1)
    return by_lag.index_add_(1, lags, weights)


def entropy(weights: Tensor) -> Tensor:
    """Returns -sum p ln p over the last dimension, in nats: at most ln(size), the entropy of uniform weights."""
    return -torch.xlogy(weights, weights).sum(-1)
