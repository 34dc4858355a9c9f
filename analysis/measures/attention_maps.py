"""Attention maps of a hierarchy or of stacked layers, level by level and across all levels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLevel:
    """The attention map of one level of a hierarchy, or of one layer."""

    number: int
    """Counted from 1, the lowest level."""
    looks_back: bool
    """True if the level attends to earlier steps, False if it attends to later ones, as half of the levels of a
    bidirectional encoder do."""
    spacing: int
    """Steps between neighbouring entries of a window: in a hierarchy the product of the window sizes below."""
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


def attention_levels(
    maps: tuple[Tensor, ...], causal: bool, spacings: Sequence[int] | None = None
) -> list[AttentionLevel]:
    """Returns the levels, lowest first.

    Args:
        maps: of a trace, each (batch, heads, time, window); of a bidirectional encoder first the maps that look back,
            then as many that look ahead.
        causal: whether the encoder is causal.
        spacings: of each map, as in a trace; by default those of a hierarchy.
    """
    depth = len(maps) if causal else len(maps) // 2
    levels = []
    for index, attention_map in enumerate(maps):
        height = index % depth
        spacing = 1
        for lower in maps[index - height : index]:
            spacing *= lower.shape[3]
        if spacings is not None:
            spacing = spacings[index]
        levels.append(
            AttentionLevel(number=height + 1, looks_back=index < depth, spacing=spacing, map=attention_map.detach())
        )
    return levels


def attention_rollout(maps: tuple[Tensor, ...], at: int, spacings: Sequence[int] | None = None) -> Tensor:
    """Returns the weight of every lag in what the top level attends to at a step.

    This is attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928) without the residual paths: the weight of a
    lag is the sum, over all paths through the levels whose offsets add up to the lag, of the product of the weights
    along the path. In a hierarchy with windows of size k every lag has one path, given by its digits in base k; in
    layers of attention to all steps there are many.

    Args:
        maps: of a causal encoder, lowest level first, each (batch, heads, time, window); heads are averaged.
        at: the step.
        spacings: of each map, as in a trace; by default those of a hierarchy.

    Returns:
        (batch, at + 1), by lag. Weight that a level gives to steps before the start is dropped.
    """
    by_lag = maps[0].new_zeros(len(maps[0]), at + 1)
    by_lag[:, 0] = 1
    for level in reversed(attention_levels(maps, causal=True, spacings=spacings)):
        # Only the lags that paths of the levels above lead to.
        lags = by_lag.any(0).nonzero().squeeze(1)
        offsets = level.spacing * torch.arange(level.map.shape[3], device=lags.device)
        weights = (by_lag[:, lags].unsqueeze(2) * level.map[:, :, at - lags].mean(1)).flatten(1)
        reached = (lags.unsqueeze(1) + offsets).flatten()
        within = reached <= at
        by_lag = torch.zeros_like(by_lag).index_add_(1, reached[within], weights[:, within])
    return by_lag


def entropy(weights: Tensor) -> Tensor:
    """Returns -sum p ln p over the last dimension, in nats: at most ln(size), the entropy of uniform weights."""
    return -torch.xlogy(weights, weights).sum(-1)
