"""The two passes over time in plain PyTorch, in memory that is there before; the formulas are in `operation.py`."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.kernels.autograd import SavedTensors
from architectures.kernels.pointwise import log_attention, log_attention_slope, product, tanh, tanh_block, tanh_of_half


def forward(saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
    """`architectures.kernels.autograd.Passes.forward`."""
    units = saved.u.shape[2]
    tanh_g = tanh
    if weight.device.type == "cpu":
        # tanh is made of exp(2 g) there: g is doubled once and for all, which is exact.
        weight, tanh_g = weight.clone(), tanh_of_half
        weight[:units] *= 2
    m, w, z = (torch.empty_like(saved.u[0]) for _ in range(3))
    r, h, l = saved.averages.unbind(), saved.hidden.unbind(), logs.unbind()
    if saved.hidden_tanh:
        tanh(r[0], h[0], m)
    each = zip(saved.operand.unbind(), saved.u.unbind(), saved.tanh_g.unbind(), saved.delta.unbind(), strict=False)
    for t, (operand, u, feature, delta) in enumerate(each):
        g, p, *q = product(operand, weight).split(units, dim=1)
        if saved.p is not None:
            saved.p[t] = p
        tanh_g(g, feature, m)
        torch.mul(u, feature, out=z)
        alpha, before, after = log_attention(p, saved.attention), l[t % len(l)], l[(t + 1) % len(l)]
        if saved.q is not None:
            saved.q[t] = q[0]
            before = torch.add(before, logsigmoid(q[0]), out=m)
        torch.sub(alpha, before, out=delta)
        # logaddexp, which PyTorch's own takes longer for
        torch.maximum(before, alpha, out=after).sub_(logsigmoid(delta.abs()))
        torch.sigmoid(delta, out=w)
        torch.lerp(r[t], z, w, out=r[t + 1])
        if saved.hidden_tanh:
            tanh(r[t + 1], h[t + 1], m)


def backward(
    saved: SavedTensors,
    weight_h: Tensor,
    outside: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """`architectures.kernels.autograd.Passes.backward`."""
    from_h, from_r, from_l = (None if grad is None else grad.unbind() for grad in outside)
    gates, totals = grad_gates.unbind(), grad_u.unbind()
    by_gate = [grad.unbind() for grad in grad_gates.split(grad_u.shape[2], dim=2)]
    C, back = torch.empty_like(R), torch.zeros_like(R)
    for some, w_tanh_g, steps in coefficients(saved):
        for t, now in zip(reversed(range(some.start, some.stop)), reversed(steps), strict=True):
            total = totals[t]
            if from_h is not None:
                back.add_(from_h[t])
            if now.hidden_slope is None:
                torch.add(R, back, out=total)
            else:
                torch.addcmul(R, back, now.hidden_slope, out=total)
            if from_r is not None:
                total.add_(from_r[t])
            if from_l is not None:
                L.add_(from_l[t])
            dg, dp, *dq = (grad[t] for grad in by_gate)
            torch.mul(now.g, total, out=dg)
            torch.mul(now.c, total, out=C)
            torch.addcmul(C, now.w, L, out=dp)
            if now.slope is not None:
                dp.mul_(now.slope)
            L.mul_(now.kept).sub_(C)
            if now.q is not None:
                torch.mul(L, now.q, out=dq[0])
            torch.mul(now.kept, total, out=R)
            back = product(gates[t], weight_h)
        grad_u[some].mul_(w_tanh_g)
    return back


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


def coefficients(saved: SavedTensors) -> Iterator[tuple[slice, Tensor, list[Step]]]:
    """What does not depend on the adjoints, for many steps at once, from the last ones to the first.

    Yields:
        Which steps, the factor of du for them all, (steps, batch, units), and the rest for each; in memory that the
        next ones will have.
    """
    u, tanh_g, delta = saved.u, saved.tanh_g, saved.delta
    together = min(len(u), tanh_block(u[0]))
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
