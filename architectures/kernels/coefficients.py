"""What the eager backward pass prepares for many steps at once, in the letters of `operation.py`."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from architectures.kernels.attention import log_attention_slope
from architectures.kernels.hyperbolic import at_once
from architectures.kernels.passes import Saved


class Step(NamedTuple):
    """What one step's gradients are made of, (batch, units) each: w, 1 - w, c, the factor of dg, and those of dp, dq
    and f_h' where they are not 1."""

    w: Tensor
    kept: Tensor
    c: Tensor
    g: Tensor
    slope: Tensor | None
    q: Tensor | None
    hidden_slope: Tensor | None


def coefficients(saved: Saved) -> Iterator[tuple[slice, Tensor, list[Step]]]:
    """What does not depend on the adjoints, for many steps at once, from the last ones to the first.

    Yields:
        Which steps, the factor of du for them all, (steps, batch, units), and the rest for each; in memory that the
        next ones will have.
    """
    u, tanh_g, delta = saved.u, saved.tanh_g, saved.delta
    together = min(len(u), at_once(u[0]))
    room = [u.new_empty(together, *u.shape[1:]) for _ in range(6)]
    one = torch.ones((), dtype=u.dtype, device=u.device)
    for stop in range(len(u), 0, -together):
        some = slice(max(0, stop - together), stop)
        w, kept, c, g, w_tanh_g, spare = (values[: stop - some.start] for values in room)
        torch.sigmoid(delta[some], out=w)
        torch.sigmoid(torch.neg(delta[some], out=kept), out=kept)
        torch.mul(w, tanh_g[some], out=w_tanh_g)
        # dg: w u (1 - tanh(g)^2); c: w (1 - w) (u tanh(g) - r_before)
        torch.addcmul(w, w_tanh_g, tanh_g[some], value=-1, out=g).mul_(u[some])
        torch.mul(u[some], tanh_g[some], out=c).sub_(saved.averages[some]).mul_(w).mul_(kept)
        after = saved.hidden[some.start + 1 : stop + 1] if saved.hidden_tanh else None
        values = (
            w,
            kept,
            c,
            g,
            None if saved.p is None else log_attention_slope(saved.p[some], saved.attention),
            None if saved.q is None else torch.sigmoid(-saved.q[some]),
            None if after is None else torch.addcmul(one, after, after, value=-1, out=spare),
        )
        each = zip(*([None] * len(w) if value is None else value.unbind() for value in values), strict=True)
        yield some, w_tanh_g, [Step(*step) for step in each]
