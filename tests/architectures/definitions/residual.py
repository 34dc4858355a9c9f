"""The residual stack that the architectures without a loop over steps share, and the norms in it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers, strip_prefix

EPSILON = 1e-5

MixerDefinition = Callable[[Mapping[str, Tensor], Tensor, Mapping[str, Any]], Tensor]
"""Maps a mixer's parameters by name, its input (batch, time, size) and the options to what it adds to the stream."""


def residual_stack(
    mixer: MixerDefinition, parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """x = W input + b; x += mixer(norm(x)); x += feed(norm(x)); y = norm(x)."""
    stream = x @ parameters["project.weight"].T + parameters["project.bias"]
    for block in split_layers(parameters, "blocks."):
        mixed = mixer(strip_prefix(block, "mixer."), rms_norm(stream, block["mixer_norm.weight"]), options)
        stream = add_feed(block, stream + mixed)
    return rms_norm(stream, parameters["norm.weight"])


def add_feed(block: Mapping[str, Tensor], stream: Tensor) -> Tensor:
    """Adds the feed-forward network's output, if the block has one."""
    if "feed.0.weight" not in block:
        return stream
    hidden = rms_norm(stream, block["feed_norm.weight"]) @ block["feed.0.weight"].T + block["feed.0.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return stream + hidden @ block["feed.2.weight"].T + block["feed.2.bias"]


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Returns x / sqrt(mean(x^2) + eps) * weight."""
    return x / torch.sqrt(x.square().sum(-1, keepdim=True) / x.shape[-1] + EPSILON) * weight


def head_count(options: Mapping[str, Any]) -> int:
    """Returns the option, or the largest number up to 4 that divides the size and leaves heads of 2 components."""
    size = options["hidden_size"]
    return int(options.get("num_heads", max(n for n in (1, 2, 3, 4) if size % n == 0 and (n == 1 or size > n))))


def split_heads(x: Tensor, heads: int) -> list[Tensor]:
    """Returns every head's share, (batch, time, size) each."""
    return list(x.chunk(heads, dim=2))
