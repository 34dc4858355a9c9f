"""Attention of every step to k evenly spaced steps of its past, as in a level of the hierarchy.

Step t sees the steps t - j d for j = 0 .. k-1. Sorted by their residue modulo the spacing d, the steps fall apart into
d sequences that do not see one another; in each of them a step sees itself and the k - 1 steps right before it. Cut
into blocks of k, a block sees itself and the block before it, under one band mask. Nothing of size T x T arises: time
and memory are O(T k).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from architectures.kernels.double_precision import float64_device

MAX_ATTENTION_BATCH = 65_535
"""The largest batch that every backend of PyTorch's attention accepts."""


def sliding_attention(q: Tensor, k: Tensor, v: Tensor, *, window: int, spacing: int) -> Tensor:
    """Computes softmax over j of q_t . k_{t - j d} / sqrt(size), applied to v_{t - j d}, for every step t.

    Steps before the first one are left out of the softmax.

    Args:
        q: (batch, time, heads, size), the queries of the last `time` steps.
        k: (batch, past + time, heads, size), with at most (window - 1) spacing steps of the past before those of q.
        v: as k.
        window: the number of steps that each step sees, itself included.
        spacing: the distance d between them.

    Returns:
        (batch, time, heads, size).
    """
    batch, time, heads, size = q.shape
    past = k.shape[1] - time
    if not past:
        # Steps further back than the sequence is long are padding, whose memory would grow with the spacing.
        spacing = min(spacing, time)
    residues = min(spacing, time)
    rows = -(-time // spacing)
    block = min(window, rows)
    blocks = -(-rows // block)
    # Rows of context before the first block of queries, so that every block finds its predecessor in one place.
    context = window if past else 0

    def fold(x: Tensor, before: int, context: int) -> Tensor:
        """(batch, steps, heads, size) -> (batch, rows, residues, heads, size), zeros where there is no step."""
        after = (context + blocks * block) * spacing - before - x.shape[1]
        # Padding by nothing would still copy.
        x = pad(x, (0, 0, 0, 0, before, after)) if before or after else x
        return x.view(batch, -1, spacing, heads, size)[:, :, :residues]

    queries = fold(q, 0, 0).unflatten(1, (blocks, block)).permute(0, 1, 3, 4, 2, 5)
    keys, values = fold(k, context * spacing - past, context), fold(v, context * spacing - past, context)
    outputs = []
    if not context:
        first = [x[:, :block].permute(0, 2, 3, 1, 4).unsqueeze(1) for x in (keys, values)]
        outputs.append(_attend(queries[:, :1], first, None))
    elif past < (window - 1) * spacing:
        # Part of the first block's context lies before the first step: how much depends on the residue.
        row = torch.arange(context + block, device=q.device).unsqueeze(0) * spacing
        exists = row + torch.arange(residues, device=q.device).unsqueeze(1) >= context * spacing - past
        mask = exists.unsqueeze(1) & _band_mask(block, window, q.device)
        first = [x[:, : context + block].permute(0, 2, 3, 1, 4).unsqueeze(1) for x in (keys, values)]
        outputs.append(_attend(queries[:, :1], first, mask.expand(batch, -1, -1, -1).flatten(0, 1).unsqueeze(1)))
    if len(outputs) < blocks:
        rest = [x.unfold(1, window + block, block).permute(0, 1, 2, 3, 5, 4) for x in (keys, values)]
        if context:
            rest = [x[:, len(outputs) :] for x in rest]
        outputs.append(_attend(queries[:, len(outputs) :], rest, _band_mask(block, window, q.device)))
    out = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
    # (batch, blocks, residues, heads, block, size) -> (batch, time, heads, size)
    return out.permute(0, 1, 4, 2, 3, 5).reshape(batch, -1, heads, size)[:, :time]


def sliding_weights(q: Tensor, k: Tensor, *, window: int, spacing: int) -> Tensor:
    """Returns the weights of `sliding_attention`, (batch, heads, time, window): entry j is that of step t - j d."""
    time, past = q.shape[1], k.shape[1] - q.shape[1]
    query_steps = torch.arange(past, past + time, device=q.device)
    scores = q.new_full((*q.shape[:3], window), -torch.inf)
    for j in range(window):
        key_steps = query_steps - j * spacing
        exists = key_steps >= 0
        scores[..., j][:, exists] = (q[:, exists] * k[:, key_steps[exists]]).sum(-1) * q.shape[3] ** -0.5
    return scores.softmax(-1).transpose(1, 2)


def apply_rotary(x: Tensor, positions: Tensor) -> Tensor:
    """Applies rotary position embedding (Su et al. 2021, arXiv 2104.09864, section 3.4.2).

    The pair (x_i, x_{i + half}) turns by position * 10000^(-2i / size), so that a product of two vectors depends on the
    distance of their positions alone. An odd last component is left as it is.

    Args:
        x: (batch, time, heads, size).
        positions: (time,) whole numbers.
    """
    half = x.shape[3] // 2
    # In double precision: a late position is a large angle, whose last digits count.
    device = float64_device(x.device)
    exponent = torch.arange(half, device=device, dtype=torch.float64) / max(half, 1)
    angle = positions.to(device).to(torch.float64).unsqueeze(1) * 10_000.0**-exponent
    cos, sin = (part.to(x.dtype).to(x.device).unsqueeze(1) for part in (angle.cos(), angle.sin()))
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)


def _band_mask(block: int, window: int, device: torch.device) -> Tensor:
    """Returns (block, window + block): row i of a block sees the `window` rows that end with itself."""
    i = torch.arange(block, device=device).unsqueeze(1)
    row = torch.arange(window + block, device=device)
    return (row > i) & (row <= i + window)


def _attend(queries: Tensor, keys_and_values: list[Tensor], mask: Tensor | None) -> Tensor:
    """Computes attention for (batch, blocks, residues, heads, rows, size) each; causal if there is no mask."""
    q, k, v = (x.reshape(-1, *x.shape[3:]) for x in (queries, *keys_and_values))
    out = [
        scaled_dot_product_attention(
            q[i : i + MAX_ATTENTION_BATCH],
            k[i : i + MAX_ATTENTION_BATCH],
            v[i : i + MAX_ATTENTION_BATCH],
            attn_mask=mask[i : i + MAX_ATTENTION_BATCH] if mask is not None and mask.ndim == 4 else mask,
            is_causal=mask is None,
        )
        for i in range(0, len(q), MAX_ATTENTION_BATCH)
    ]
    return (torch.cat(out) if len(out) > 1 else out[0]).view(queries.shape)
