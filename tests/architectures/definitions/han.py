"""The hierarchical attention encoder, one step, head and lag at a time."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import layers


def han(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """c^0 = W x + b; c^{l+1}_t = attention of c^l_t to { c^l_{t - j k^l} : j = 0 .. k-1 }; y = norm(c^L)."""
    c = x @ parameters["project.weight"].T + parameters["project.bias"]
    levels = layers(parameters, "levels.")
    k = window(options, len(levels))
    for l, own in enumerate(levels):
        c = level(own, c, k, k**l, heads(options))
    return rms_norm(c, parameters["norm.weight"])


def window(options: Mapping[str, Any], num_layers: int) -> int:
    """The k given, or the least with k^L >= reach."""
    k = int(options.get("window", 1))
    while "window" not in options and k**num_layers < options["reach"]:
        k += 1
    return k


def heads(options: Mapping[str, Any]) -> int:
    """The number given, or the largest up to 4 that divides the size; heads of 1 component could not be turned."""
    size = options["hidden_size"]
    return int(options.get("num_heads", max(n for n in (1, 2, 3, 4) if size % n == 0 and (n == 1 or size > n))))


def level(own: Mapping[str, Tensor], c: Tensor, k: int, spacing: int, num_heads: int) -> Tensor:
    """One level: attention, then the feed-forward network, each beside its residual."""
    normed = rms_norm(c, own["attention_norm.weight"])
    size = c.shape[2]
    q, keys, v = (_map(own, normed, part, size) for part in range(3))
    outputs = []
    for t in range(c.shape[1]):
        steps = [t - j * spacing for j in range(k) if t - j * spacing >= 0]
        seen = [_head(q, keys, v, t, steps, spacing, head, size // num_heads) for head in range(num_heads)]
        outputs.append(torch.cat(seen, dim=1))
    return beside_residuals(own, c, torch.stack(outputs, dim=1))


def beside_residuals(own: Mapping[str, Tensor], c: Tensor, seen: Tensor) -> Tensor:
    """What a level makes of its input and of what its heads have seen."""
    c = c + seen @ own["out.weight"].T + own["out.bias"]
    hidden = rms_norm(c, own["feed_norm.weight"]) @ own["feed.0.weight"].T + own["feed.0.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return c + hidden @ own["feed.2.weight"].T + own["feed.2.bias"]


def values(own: Mapping[str, Tensor], c: Tensor) -> Tensor:
    """The values of a level's steps, (batch, time, size)."""
    return _map(own, rms_norm(c, own["attention_norm.weight"]), 2, c.shape[2])


def rms_norm(c: Tensor, weight: Tensor) -> Tensor:
    """c / sqrt(mean(c^2) + eps) * weight, with the smallest eps that the type can tell from 0 beside 1."""
    return c / torch.sqrt(c.square().sum(2, keepdim=True) / c.shape[2] + torch.finfo(c.dtype).eps) * weight


def _map(own: Mapping[str, Tensor], normed: Tensor, part: int, size: int) -> Tensor:
    rows = slice(part * size, (part + 1) * size)
    return normed @ own["qkv.weight"][rows].T + own["qkv.bias"][rows]


def _head(q: Tensor, keys: Tensor, v: Tensor, t: int, steps: list[int], spacing: int, head: int, size: int) -> Tensor:
    """(batch, size): softmax of the products of one query with the keys of the steps seen, applied to the values."""
    own = slice(head * size, (head + 1) * size)
    query = _turned(q[:, t, own], t // spacing)
    scores = [(query * _turned(keys[:, s, own], s // spacing)).sum(1) / math.sqrt(size) for s in steps]
    weights = [score.exp() for score in scores]
    total = sum(weights, start=torch.zeros_like(scores[0]))
    seen = torch.zeros_like(v[:, t, own])
    for weight, s in zip(weights, steps, strict=True):
        seen = seen + (weight / total).unsqueeze(1) * v[:, s, own]
    return seen


def _turned(vector: Tensor, position: int) -> Tensor:
    """The pairs (i, i + half) turned by position * 10000^(-i / half); an odd last component stays."""
    half = vector.shape[1] // 2
    turned = list(vector.unbind(1))
    for i in range(half):
        angle = position * 10_000 ** (-i / half)
        a, b = vector[:, i], vector[:, i + half]
        turned[i] = a * math.cos(angle) - b * math.sin(angle)
        turned[i + half] = a * math.sin(angle) + b * math.cos(angle)
    return torch.stack(turned, dim=1)
