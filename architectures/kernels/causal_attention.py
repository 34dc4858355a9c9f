"""Causal attention of every step to all steps so far, on PyTorch's fused kernels, with a gate that forgets.

The forgetting attention of Lin et al. 2025 (arXiv 2503.02130, equation 9) adds the sum of the logarithms of all gates
between a key and a query to their product:

    y_t = sum_i softmax_{i <= t}( q_t . k_i / sqrt(size) + F_t - F_i ) v_i        F_t = sum_{j <= t} log f_j

F_t is the same for all keys of a query, and cancels. So -F_i is all that is needed, and it fits into the product, as
one more component of every key that queries multiply by 1. Added as a mask, it would take memory T x T, which the
kernels avoid.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from architectures.kernels.derivatives import once_differentiable
from architectures.kernels.double_precision import float64_device
from architectures.recording import is_recording

QUERY_BLOCK = 512
"""Queries that are computed at once where keys need a mask, whose memory is this times the keys."""
GRADIENT_BLOCKS = range(32, 129)
"""The same for the gradient that is computed here: as many as the next number allows."""
GRADIENT_LOGITS = 1 << 19
"""Logits of a block, of all sequences and heads: more do not fit a processor's cache."""
OWN_GRADIENT = frozenset({"cpu"})
"""Kinds of devices on which numbers below the normal ones are slow."""
NEGLIGIBLE = 1e-30
"""Weights that are taken as 0 in a gradient, to which all of them together add less than its last digit."""
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
    if forgotten is None or q.device.type not in OWN_GRADIENT or is_recording():
        return _in_blocks(queries, keys, values, forgotten).transpose(1, 2)
    out: Tensor = _ForgettingAttention.apply(queries, keys, values, forgotten)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2)


def _in_blocks(q: Tensor, k: Tensor, v: Tensor, forgotten: Tensor | None) -> Tensor:
    """Computes attention for (batch, heads, steps, size) each; in blocks of queries where keys need a mask."""
    time, past = q.shape[2], k.shape[2] - q.shape[2]
    plain = not past and (forgotten is None or time <= MAX_SUMMED_STEPS)
    if plain or time == 1:
        return _attend(q, k, v, forgotten, causal=bool(time > 1))
    outputs = []
    for start in range(0, time, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, time)
        seen = past + stop
        mask = torch.ones(stop - start, seen, dtype=torch.bool, device=q.device).tril(past + start)
        relative = None if forgotten is None else _relative(forgotten, past + start, seen)
        outputs.append(_attend(q[:, :, start:stop], k[:, :, :seen], v[:, :, :seen], relative, mask=mask))
    return torch.cat(outputs, dim=2)


def _relative(forgotten: Tensor, start: int, seen: int) -> Tensor:
    """Returns F of the first `seen` keys relative to the key before `start`.

    Never to a later one, by which rounding would change earlier outputs.
    """
    return forgotten[:, :seen] - forgotten[:, start - 1].unsqueeze(1) if start else forgotten[:, :seen]


class _ForgettingAttention(torch.autograd.Function):
    """Attention with gates, whose gradient is computed here, with weights below `NEGLIGIBLE` taken as 0.

    PyTorch's fused gradient takes them as they are. Where gates forget, every query has a band of keys whose weights
    are too small for normal numbers, but not 0, and processors compute with those many times more slowly: the gradient
    of 1,000 steps takes several times as long with such gates as without.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, forgotten: Tensor) -> Tensor:
        out = _in_blocks(q, k, v, forgotten)
        ctx.save_for_backward(q, k, v, forgotten, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        q, k, v, forgotten, out = ctx.saved_tensors
        time, past = q.shape[2], k.shape[2] - q.shape[2]
        # Contiguous, for every block would copy its part.
        q, k, v, grad = (q / math.sqrt(q.shape[3])).contiguous(), k.contiguous(), v.contiguous(), grad.contiguous()
        # The derivative of a softmax: p (dp - sum p dp), and the sum is that of the output with its gradient.
        sums = (grad * out).sum(-1, keepdim=True)
        dq, dk, dv = [], torch.zeros_like(k), torch.zeros_like(v)
        dF = forgotten.new_zeros(k.shape[:3])
        fitting = GRADIENT_LOGITS // (k.shape[0] * k.shape[1] * k.shape[2])
        length = min(max(fitting, GRADIENT_BLOCKS[0]), GRADIENT_BLOCKS[-1])
        for start in range(0, time, length):
            stop = min(start + length, time)
            block, seen = slice(start, stop), past + stop
            q_now, grad_now, keys, values = q[:, :, block], grad[:, :, block], k[:, :, :seen], v[:, :, :seen]
            bias = _relative(forgotten, past + start, seen).transpose(1, 2).unsqueeze(2)
            logits = torch.sub(q_now @ keys.transpose(2, 3), bias.to(device=q.device, dtype=q.dtype))
            own = logits[..., past + start :]
            own.masked_fill_(torch.ones_like(own[0, 0], dtype=torch.bool).triu(1), -torch.inf)
            weights = torch.threshold(logits.softmax(-1), NEGLIGIBLE, 0.0)
            dv[:, :, :seen] += weights.transpose(2, 3) @ grad_now
            dlogits = (grad_now @ values.transpose(2, 3)).sub_(sums[:, :, block]).mul_(weights)
            dq.append(dlogits @ keys)
            dk[:, :, :seen] += dlogits.transpose(2, 3) @ q_now
            dF[:, :, :seen] -= dlogits.sum(2).to(dF)
        return torch.cat(dq, dim=2) / math.sqrt(q.shape[3]), dk, dv, dF.transpose(1, 2)


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
