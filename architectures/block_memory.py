"""A memory of the whole past in blocks that grow with their age: O(k log T) entries for T steps.

An entry of level l stands for a block of k^l steps, by the mean of their keys and of their values. Of level l, a step
sees the blocks from the start of the last group of k before its own to where the level below begins:

    c_l = floor(t / k^l)        blocks [k (floor(c_l / k) - 1), c_l - 1) of level l > 0, and steps up to t of level 0

So every step of the past is in exactly one entry, and there are at most 2 k of a level. All steps of a block of k see
the same entries above level 0. Keys are turned by how many blocks of their level they lie back, and an entry weighs as
many as its steps.
"""

import math

import torch
from torch import Tensor

from architectures.kernels.sliding_attention import apply_rotary

Level = tuple[Tensor, Tensor]
"""Keys and values of the entries of a level that are kept, the oldest first, (batch, entries, heads, head size)."""


def visible_entries(time: int, k: int) -> list[tuple[int, int]]:
    """Returns the first entry of each level that the last of `time` steps sees, and the one behind the last.

    There are as many levels as it takes to cover all steps; none without steps.
    """
    levels: list[tuple[int, int]] = []
    current, end = time - 1, time
    while end > 0:
        start = max(0, (current // k - 1) * k)
        levels.append((start, end))
        current, end = current // k, start // k
    return levels


def count_steps(entries: list[int], k: int) -> int:
    """Returns the steps that so many entries of each level stand for."""
    return sum(count * k**level for level, count in enumerate(entries))


def read_blocks(q: Tensor, new: Level, past: list[Level], k: int) -> tuple[Tensor, list[Level]]:
    """Returns what each step reads, (batch, time, heads, head size), and the levels after the last step.

    Args:
        q: queries of the steps, (batch, time, heads, head size).
        new: their keys and values.
        past: the levels before the first step.
        k: steps of a block, at least 2.
    """
    time, size = q.shape[1], q.shape[3]
    before = count_steps([keys.shape[1] for keys, _ in past], k)
    after = visible_entries(before + time, k)
    starts = [start for start, _ in visible_entries(before, k)]
    starts += [0] * (len(after) - len(starts))
    levels = _all_entries(new, past, starts, k)
    first, last = before // k, (before + time - 1) // k
    blocks = torch.arange(first, last + 1, device=q.device)
    lead, rest = before - first * k, (last + 1) * k - before - time
    steps = torch.arange(first * k, (last + 1) * k, device=q.device).clamp(before, before + time - 1)
    padded = torch.nn.functional.pad(q, (0, 0, 0, 0, lead, rest))
    # Of level 0, positions count from the start of the block; above, from the block of that level that it lies in.
    turned = apply_rotary(padded, torch.arange(k, device=q.device).repeat(len(blocks)))
    logits, values = [], []
    for level, ((keys, contents), start) in enumerate(zip(levels, starts, strict=True)):
        if not keys.shape[1]:
            continue
        current = blocks if level == 0 else blocks // k ** (level - 1)
        origin = current * k if level == 0 else current
        begin = (current - 1) * k if level == 0 else (current // k - 1) * k
        entry = begin.unsqueeze(1) + torch.arange(2 * k, device=q.device)
        newest = steps.view(-1, k) if level == 0 else (current - 2).unsqueeze(1)
        seen = (entry.unsqueeze(1) <= newest.unsqueeze(2)) & (entry.unsqueeze(1) >= 0)
        place = (entry - start).clamp(0, keys.shape[1] - 1).flatten()
        offsets = (entry - origin.unsqueeze(1)).flatten()
        chosen = apply_rotary(keys[:, place], offsets).unflatten(1, (len(blocks), 2 * k))
        query = (turned if level == 0 else padded).unflatten(1, (len(blocks), k))
        score = torch.einsum("bnqhd,bnehd->bnhqe", query, chosen) * size**-0.5 + level * math.log(k)
        logits.append(score.masked_fill(~seen.unsqueeze(1), -torch.inf))
        values.append(contents[:, place].unflatten(1, (len(blocks), 2 * k)))
    weights = torch.cat(logits, dim=4).softmax(4)
    read = torch.einsum("bnhqe,bnehd->bnqhd", weights, torch.cat(values, dim=2)).flatten(1, 2)
    kept = [
        (keys[:, start - old : end - old].clone(), contents[:, start - old : end - old].clone())
        for (keys, contents), old, (start, end) in zip(levels, starts, after, strict=True)
    ]
    return read[:, lead : lead + time], kept


def _all_entries(new: Level, past: list[Level], starts: list[int], k: int) -> list[Level]:
    """Returns the entries of each level from its start on: those that were kept, and those of complete blocks."""
    levels: list[Level] = []
    for index in range(len(starts)):
        if index == 0:
            more = new
        else:
            count = levels[-1][0].shape[1] // k
            more = tuple(  # type: ignore[assignment]
                part[:, : count * k].unflatten(1, (count, k)).mean(2) if count else part[:, :0] for part in levels[-1]
            )
        kept = past[index] if index < len(past) else tuple(part[:, :0] for part in new)
        levels.append(tuple(torch.cat(pair, dim=1) for pair in zip(kept, more, strict=True)))  # type: ignore[arg-type]
    return levels
