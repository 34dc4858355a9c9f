"""Causal attention of every step to all steps so far, on PyTorch's fused kernels, with a gate that forgets.

The forgetting attention of Lin et al. 2025 (arXiv 2503.02130, equation 9) adds the sum of the logarithms of all gates
between a key and a query to their product:

    y_t = sum_i softmax_{i <= t}( q_t . k_i / sqrt(size) + F_t - F_i ) v_i        F_t = sum_{j <= t} log f_j

F_t is the same for all keys of a query, and cancels. So -F_i is all that is needed, and it fits into the product, as
one more component of every key that queries multiply by 1. Added as a mask, it would take memory T x T, which the
kernels avoid.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from architectures.kernels.double_precision import float64_device

QUERY_BLOCK = 512
"""Queries that are computed at once where keys need a mask, whose memory is this times the keys."""
MAX_SUMMED_STEPS = 1024
"""Steps over which F is summed in single precision: its rounding grows with it, and is the error of a logit."""


def causal_attention(q: Tensor, k: Tensor, v: Tensor, forgotten: Tensor | None = None) -> Tensor:
    """Computes softmax over i <= t of q_t . k_i / sqrt(size) - F_i, applied to v_i, for every step t.

    Args:
        q: (batch, time, heads, size), the queries of the last `time` steps.
        k: (batch, past + time, heads, size), the keys of these and of all steps before.
        v: as k.
        forgotten: F (batch, past + time, heads), in double precision where there is such; 0 just before the first query
            and relative to it, so that that of the past is positive.

    Returns:
        (batch, time, heads, size).
    """
    queries, keys, values = (x.transpose(1, 2) for x in (q, k, v))
    time, past = q.shape[1], k.shape[1] - q.shape[1]
    plain = not past and (forgotten is None or time <= MAX_SUMMED_STEPS)
    if plain or time == 1:
        return _attend(queries, keys, values, forgotten, causal=bool(time > 1)).transpose(1, 2)
    outputs = []
    for start in range(0, time, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, time)
        seen = slice(past + stop)
        mask = torch.ones(stop - start, past + stop, dtype=torch.bool, device=q.device).tril(past + start)
        relative = None if forgotten is None else forgotten[:, seen]
        if relative is not None and past + start:
            # To the step before the block; never to a later one, by which rounding would change earlier outputs.
            relative = relative - relative[:, past + start - 1].unsqueeze(1)
        outputs.append(_attend(queries[:, :, start:stop], keys[:, :, seen], values[:, :, seen], relative, mask=mask))
    return torch.cat(outputs, dim=2).transpose(1, 2)


def causal_weights(q: Tensor, k: Tensor, forgotten: Tensor | None = None) -> Tensor:
    """Returns the weights of `causal_attention`, (batch, heads, time, past + time): entry j is that of step t - j."""
    time, total = q.shape[1], k.shape[1]
    logits = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(q.shape[3])
    if forgotten is not None:
        logits = logits - forgotten.transpose(1, 2).unsqueeze(2)
    query_steps = torch.arange(total - time, total, device=q.device).unsqueeze(1)
    lags = torch.arange(total, device=q.device)
    steps = query_steps - lags
    by_lag = logits.gather(3, steps.clamp_min(0).expand(*logits.shape[:3], total))
    return by_lag.masked_fill(steps < 0, -torch.inf).softmax(-1).to(q.dtype)


def sum_logarithms(log_gate: Tensor) -> Tensor:
    """Returns the sums over the steps so far, (batch, time, heads), in double precision where there is such."""
    return log_gate.to(device=float64_device(log_gate.device), dtype=torch.float64).cumsum(1)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, forgotten: Tensor | None, *, causal: bool = False, mask: Tensor | None = None
) -> Tensor:
    """Computes attention for (batch, heads, steps, size) each; F is (batch, steps, heads)."""
    if forgotten is None:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    size = q.shape[3]
    bias = -forgotten.transpose(1, 2).unsqueeze(3).to(device=k.device, dtype=k.dtype)
    # The fused kernels want queries, keys and values of one width.
    q, k = torch.cat([q / math.sqrt(size), torch.ones_like(q[..., :1])], dim=3), torch.cat([k, bias], dim=3)
    attended = scaled_dot_product_attention(q, k, pad(v, (0, 1)), attn_mask=mask, is_causal=causal, scale=1.0)
    return attended[..., :size]
