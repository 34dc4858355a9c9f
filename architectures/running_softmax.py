"""A softmax over all steps so far, of logits that do not depend on the step that reads: a running average.

    r_t = sum_{i <= t} exp(p_i) y_i / sum_{i <= t} exp(p_i)        l_t = log sum_{i <= t} exp(p_i)

Carried as (r, l): numerator and denominator, of which the running maximum has been taken out. Source: Feng et al.
2024, arXiv 2405.13956 ("Attention as an RNN"), sections 3.1 and 3.2.
"""

from typing import Any

import torch
from torch import Tensor

from architectures.kernels import INITIAL_LOG_DENOMINATOR
from architectures.kernels.double_precision import float64_device

CHUNK = 64
"""Steps that are computed at once."""
SMALL_CHUNK = 32
"""The same for heads of fewer than 32 units, where the products of a chunk cost more than they bring."""


def empty_average(values: Tensor) -> tuple[Tensor, Tensor]:
    """Returns r and l before the first step, for values (batch, time, heads, size): (batch, heads, ...) each.

    The l is finite, so that nothing is subtracted from itself at infinity, and has no place in half precision.
    """
    batch, _, heads, size = values.shape
    return values.new_zeros(batch, heads, size), values.new_full((batch, heads), INITIAL_LOG_DENOMINATOR)


def running_average(logits: Tensor, values: Tensor, start: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Computes the averages of all steps, chunk by chunk.

    A chunk is causal attention to its own steps and to one more, what is carried: the value r with the logit l.

    Args:
        logits: p, (batch, time, heads).
        values: y, (batch, time, heads, size), of the same type.
        start: r (batch, heads, size) and l (batch, heads) before the first step.

    Returns:
        r of every step, (batch, time, heads, size); and r and l after the last.
    """
    r, l = start
    p, y = logits.transpose(1, 2), values.transpose(1, 2)
    steps = CHUNK if values.shape[3] >= SMALL_CHUNK else SMALL_CHUNK
    averages = []
    for p_now, y_now in zip(p.split(steps, dim=2), y.split(steps, dim=2), strict=True):
        time = p_now.shape[2]
        row = torch.cat([l.unsqueeze(2), p_now], dim=2)
        later = torch.ones(time, time + 1, dtype=torch.bool, device=p.device).triu(2)
        weights = row.unsqueeze(2).expand(-1, -1, time, -1).masked_fill(later, -torch.inf).softmax(-1)
        average = weights @ torch.cat([r.unsqueeze(2), y_now], dim=2)
        averages.append(average)
        r, l = average[:, :, -1], row.logsumexp(2)
    return torch.cat(averages, dim=2).transpose(1, 2), r.clone(), l


def log_denominators(logits: Tensor, start: Tensor) -> Tensor:
    """Returns l of every step, (batch, time, heads), for `logits` of that shape and l (batch, heads) before."""
    return torch.cat([start.unsqueeze(1), logits], dim=1).logcumsumexp(1)[:, 1:]


def trace_discounted_average(log_a: Tensor, log_gamma: Tensor, start: Tensor) -> dict[str, Any]:
    """Returns the fields of a trace of the average whose weights are a, discounted by gamma from step to step.

    It is the RDA's: r_t = n_t / d_t with n_t = gamma_t n_{t-1} + a_t z_t, d_t = gamma_t d_{t-1} + a_t and l = log d.

    Args:
        log_a: (batch, time, units).
        log_gamma: (batch, time, units).
        start: l before the first step, (batch, units).
    """
    device = float64_device(log_a.device)
    alpha, discount, l_start = (part.to(device=device, dtype=torch.float64) for part in (log_a, log_gamma, start))
    summed = discount.cumsum(1)
    l = summed + log_denominators(alpha - summed, l_start)
    write, l = (torch.exp(alpha - l).to(log_a), l.to(log_a))
    return {
        "retention": 1 - write,
        "write": write,
        "log_attention": log_a,
        "log_discount": log_gamma,
        "gates": {"l": l},
    }
