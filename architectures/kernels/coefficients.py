"""What the eager backward pass prepares for many steps at once; the formulas and their letters are in `eager.py`."""

from typing import NamedTuple

import torch
from torch import Tensor

from architectures.kernels.attention import Attention, log_attention_slope

TOGETHER = 2**18
"""Numbers of each kind that the backward pass prepares at once: a few of these fit into a cache of the second level."""


class Step(NamedTuple):
    """What one step's gradients are made of: w, 1 - w, c, the factors of dg and du, and those of dp, dq and f_h' where
    they are not 1."""

    w: Tensor
    kept: Tensor
    c: Tensor
    g: Tensor
    w_tanh_g: Tensor
    slope: Tensor | None
    q: Tensor | None
    hidden_slope: Tensor | None


class Coefficients:
    """Prepares what does not depend on the adjoints, for many steps at once, going backward in time."""

    def __init__(
        self,
        attention: Attention,
        hidden_tanh: bool,
        u: Tensor,
        gates: Tensor,
        delta: Tensor,
        averages: Tensor,
        hidden: Tensor,
    ) -> None:
        self.attention, self.hidden_tanh = attention, hidden_tanh
        self.saved = u, gates, delta, averages, hidden
        self.steps = max(1, min(len(u), TOGETHER // u[0].numel()))
        self.first = len(u)
        self.room = [u.new_empty(self.steps, *u.shape[1:]) for _ in range(6)]

    def at(self, t: int) -> Step:
        if t < self.first:
            self.first = max(0, t + 1 - self.steps)
            self._prepare(slice(self.first, t + 1))
        values = [None if each is None else each[t - self.first] for each in self.prepared]
        return Step(*values)  # type: ignore[arg-type]

    def _prepare(self, steps: slice) -> None:
        u, gates, delta, averages, _ = (values[steps] for values in self.saved)
        w, kept, c, g, w_tanh_g, spare = (values[: len(u)] for values in self.room)
        tanh_g, p, *q = gates.split(u.shape[2], dim=2)
        torch.sigmoid(delta, out=w)
        torch.sigmoid(torch.neg(delta, out=kept), out=kept)
        torch.mul(w, tanh_g, out=w_tanh_g)
        # dg: w u (1 - tanh(g)^2); c: w (1 - w) (u tanh(g) - r_before)
        torch.addcmul(w, w_tanh_g, tanh_g, value=-1, out=g).mul_(u)
        torch.mul(u, tanh_g, out=c).sub_(averages).mul_(w).mul_(kept)
        hidden_slope = None
        if self.hidden_tanh:
            after = self.saved[4][steps.start + 1 : steps.stop + 1]
            hidden_slope = torch.addcmul(
                torch.ones((), dtype=u.dtype, device=u.device), after, after, value=-1, out=spare
            )
        q_slope = torch.sigmoid(-q[0]) if q else None
        slope = log_attention_slope(p, self.attention)
        self.prepared = (w, kept, c, g, w_tanh_g, slope, q_slope, hidden_slope)
