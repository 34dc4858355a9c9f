"""The hierarchical attention encoder, one step, head and lag at a time."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers


def han(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """c^0 = W x + b; c^{l+1}_t = attention of c^l_t to { c^l_{t - j k^l} : j = 0 .. k-1 }; y = norm(c^L)."""
    c = x @ parameters["project.weight"].T + parameters["project.bias"]
    levels = split_layers(parameters, "levels.")
    k = window_size(options, len(levels))
    for l, parameters_of_level in enumerate(levels):
        c = attention_level(parameters_of_level, c, k, k**l, head_count(options))
    return rms_norm(c, parameters["norm.weight"])


def window_size(options: Mapping[str, Any], num_layers: int) -> int:
    """Returns the option k, or the least with k^L >= reach."""
    k = int(options.get("window", 1))
    while "window" not in options and k**num_layers < options["reach"]:
        k += 1
    return k


def head_count(options: Mapping[str, Any]) -> int:
    """Returns the option, or the largest number up to 4 that divides the size and leaves heads of 2 components."""
    size = options["hidden_size"]
    return int(options.get("num_heads", max(n for n in (1, 2, 3, 4) if size % n == 0 and (n == 1 or size > n))))


def attention_level(parameters: Mapping[str, Tensor], c: Tensor, k: int, spacing: int, num_heads: int) -> Tensor:
    """Computes one level: attention, then the feed-forward network, each with a residual connection."""
    normed = rms_norm(c, parameters["attention_norm.weight"])
    size = c.shape[2]
    q, keys, v = (_project(parameters, normed, part, size) for part in range(3))
    outputs = []
    for t in range(c.shape[1]):
        steps = [t - j * spacing for j in range(k) if t - j * spacing >= 0]
        heads = [_attend(q, keys, v, t, steps, spacing, head, size // num_heads) for head in range(num_heads)]
        outputs.append(torch.cat(heads, dim=1))
    return add_residuals(parameters, c, torch.stack(outputs, dim=1))


def add_residuals(parameters: Mapping[str, Tensor], c: Tensor, attended: Tensor) -> Tensor:
    """Returns a level's output from its input and the concatenated results of its heads."""
    c = c + attended @ parameters["out.weight"].T + parameters["out.bias"]
    hidden = rms_norm(c, parameters["feed_norm.weight"]) @ parameters["feed.0.weight"].T + parameters["feed.0.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return c + hidden @ parameters["feed.2.weight"].T + parameters["feed.2.bias"]


def level_values(parameters: Mapping[str, Tensor], c: Tensor) -> Tensor:
    """Returns the values of a level's steps, (batch, time, size)."""
    return _project(parameters, rms_norm(c, parameters["attention_norm.weight"]), 2, c.shape[2])


def rms_norm(c: Tensor, weight: Tensor) -> Tensor:
    """Returns c / sqrt(mean(c^2) + eps) * weight, with the machine epsilon of the type."""
    return c / torch.sqrt(c.square().sum(2, keepdim=True) / c.shape[2] + torch.finfo(c.dtype).eps) * weight


def _project(parameters: Mapping[str, Tensor], normed: Tensor, part: int, size: int) -> Tensor:
    rows = slice(part * size, (part + 1) * size)
    return normed @ parameters["qkv.weight"][rows].T + parameters["qkv.bias"][rows]


def _attend(q: Tensor, keys: Tensor, v: Tensor, t: int, steps: list[int], spacing: int, head: int, size: int) -> Tensor:
    """Returns (batch, size): softmax of the products of one query with the keys of `steps`, applied to the values."""
    columns = slice(head * size, (head + 1) * size)
    query = rotate(q[:, t, columns], t // spacing)
    scores = [(query * rotate(keys[:, s, columns], s // spacing)).sum(1) / math.sqrt(size) for s in steps]
    weights = [score.exp() for score in scores]
    total = sum(weights, start=torch.zeros_like(scores[0]))
    attended = torch.zeros_like(v[:, t, columns])
    for weight, s in zip(weights, steps, strict=True):
        attended = attended + (weight / total).unsqueeze(1) * v[:, s, columns]
    return attended


def rotate(vector: Tensor, position: int) -> Tensor:
    """Rotates the pairs (i, i + half) by position * 10000^(-i / half); an odd last component stays."""
    half = vector.shape[1] // 2
    turned = list(vector.unbind(1))
    for i in range(half):
        angle = position * 10_000 ** (-i / half)
        a, b = vector[:, i], vector[:, i + half]
        turned[i] = a * math.cos(angle) - b * math.sin(angle)
        turned[i + half] = a * math.sin(angle) + b * math.cos(angle)
    return torch.stack(turned, dim=1)
