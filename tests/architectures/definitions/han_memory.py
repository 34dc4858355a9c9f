"""Attention to a memory that chooses what it keeps, one sequence, step, head and entry at a time."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers
from tests.architectures.definitions.han import add_residuals, head_count, rms_norm

Entry = tuple[Tensor, Tensor, float, int]
"""Key, value, how many steps it stands for, and by how many positions it lies back."""


def han_memory(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """c^0 = W x + b; c^{l+1}_t = attention of c^l_t to the memory of c^l_1 .. c^l_t; y = norm(c^L)."""
    c = x @ parameters["project.weight"].T + parameters["project.bias"]
    for layer in split_layers(parameters, "layers."):
        attended = torch.stack([attend_sequence(layer, row, options) for row in c])
        c = add_residuals(layer, c, attended)
    return rms_norm(c, parameters["norm.weight"])


def attend_sequence(layer: Mapping[str, Tensor], c: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Returns what each step of c (time, size) reads, (time, size)."""
    size, heads = c.shape[1], head_count(options)
    normed = rms_norm(c.unsqueeze(0), layer["attention_norm.weight"])[0]
    q, k, v = (normed @ layer["qkv.weight"].T + layer.get("qkv.bias", 0)).split(size, dim=1)
    slots: list[tuple[int, int]] = []
    outputs = []
    for t in range(len(c)):
        if options.get("memory", "novelty") == "blocks":
            span = options.get("block_size", 10)
            entries = [block_entry(k, v, span**level, *block) for level, *block in blocks_of(t, span)]
            turns = [back for *_, back in entries]
        else:
            slots = store(c, t, slots, options)
            entries = [(k[step], v[step], float(count), 0) for step, count in slots]
            turns = None
        parts = []
        for head in range(heads):
            own = slice(head * size // heads, (head + 1) * size // heads)
            logits = []
            for slot, (key, _, count, _) in enumerate(entries):
                key = key[own]
                if turns is not None:
                    key = turn(key, -turns[slot])
                elif "address" in layer:
                    key = key + layer["address"][slot, head]
                logits.append(q[t, own] @ key / math.sqrt(size // heads) + math.log(count))
            weights = torch.stack(logits).softmax(0)
            parts.append(sum(weight * value[own] for weight, (_, value, _, _) in zip(weights, entries, strict=True)))
        outputs.append(torch.cat(parts))
    return torch.stack(outputs)


def store(c: Tensor, t: int, slots: list[tuple[int, int]], options: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Returns the steps that are stored, each with its count, after step t."""
    alike = [float(torch.nn.functional.cosine_similarity(c[t].detach(), c[step].detach(), dim=0)) for step, _ in slots]
    full = len(slots) == options.get("slots", 64)
    if not slots or (max(alike) < options.get("threshold", 0.9) and not full):
        return [*slots, (t, 1)]
    nearest = alike.index(max(alike))
    return [(step, count + (index == nearest)) for index, (step, count) in enumerate(slots)]


def blocks_of(t: int, k: int) -> list[tuple[int, int, int]]:
    """Returns the blocks that step t sees, as (level, number, how many of that level it lies back).

    A step alone if it is in the block of k before or in its own; else, level by level, the block that it is in, as soon
    as that lies in the group of k before the own or in it.
    """
    seen: list[tuple[int, int, int]] = []
    for step in range(t + 1):
        level = 0
        while step // k ** (level + 1) < t // k ** (level + 1) - 1:
            level += 1
        number = step // k**level
        if (level, number) not in [block[:2] for block in seen]:
            seen.append((level, number, t // k**level - number))
    return seen


def block_entry(k: Tensor, v: Tensor, steps: int, number: int, back: int) -> Entry:
    """Returns the entry of a block of so many steps: the means of their keys and values."""
    own = slice(number * steps, (number + 1) * steps)
    return k[own].mean(0), v[own].mean(0), float(steps), back


def turn(key: Tensor, position: int) -> Tensor:
    """Returns a key turned by a rotary position."""
    half = len(key) // 2
    turned = key.clone()
    for i in range(half):
        angle = position * 10_000.0 ** (-i / half)
        a, b = key[i], key[i + half]
        turned[i] = a * math.cos(angle) - b * math.sin(angle)
        turned[i + half] = a * math.sin(angle) + b * math.cos(angle)
    return turned
