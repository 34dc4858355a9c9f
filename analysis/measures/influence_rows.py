"""Statistics of each step's influence row in O(1) a step: how many steps, and which, make up what a unit holds."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Of the influence row of every step, divided by its sum; each (batch, time, units), NaN where nothing is held."""

    entropy: Tensor
    """Nats; its exponential is an effective window in steps."""
    lag: Tensor
    """Mean lag in steps."""
    simpson: Tensor
    """Sum of squares; 1 over it is another effective window in steps."""


def rows(retention: Tensor, write: Tensor) -> Rows:
    """Walks once along time. With A[t, i] = write_i prod_{j = i+1..t} retention_j and S_t = sum_i A[t, i],

        S_t = retention_t S_{t-1} + write_t       w_t = write_t / S_t      v_t = 1 - w_t = retention_t S_{t-1} / S_t
        E_t = h_b(w_t) + v_t E_{t-1}              M_t = v_t (M_{t-1} + 1)  Q_t = v_t^2 Q_{t-1} + w_t^2

    are the entropy, mean lag and sum of squares of A[t, :] / S_t; h_b is the entropy of (w, 1 - w). For the RWA and the
    RDA S = 1, and for all others the division puts them on the same footing.

    Args:
        retention, write: (batch, time, units), as in a trace.
    """
    total = recurrence(retention, write)
    before = torch.cat([torch.zeros_like(total[:, :1]), total[:, :-1]], dim=1)
    held = torch.where(total > 0, total, 1.0)
    w, v = write / held, retention * before / held
    lost = ~(total > 0)
    w, v = w.masked_fill(lost, 0.0), v.masked_fill(lost, 0.0)
    # xlogy(0, 0) is 0.
    h = -torch.xlogy(w, w) - torch.xlogy(v, v)
    walked = recurrence(torch.stack([v, v, v * v], dim=-1), torch.stack([h, v, w * w], dim=-1))
    entropy, lag, simpson = walked.masked_fill(lost.unsqueeze(-1), torch.nan).unbind(-1)
    return Rows(entropy=entropy, lag=lag, simpson=simpson)


def recurrence(factor: Tensor, term: Tensor) -> Tensor:
    """y_t = factor_t y_{t-1} + term_t along dimension 1, from y = 0 before the first step."""
    factors, terms = factor.transpose(0, 1).contiguous(), term.transpose(0, 1).contiguous()
    y = torch.empty_like(terms)
    y[0] = terms[0]
    for t in range(1, len(terms)):
        torch.addcmul(terms[t], factors[t], y[t - 1], out=y[t])
    return y.transpose(0, 1)
