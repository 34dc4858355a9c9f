"""The two passes over time in plain PyTorch, in memory that is there before; the formulas are in `operation.py`."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.kernels.attention import log_attention
from architectures.kernels.coefficients import coefficients
from architectures.kernels.hyperbolic import tanh, tanh_of_half
from architectures.kernels.passes import Saved
from architectures.kernels.products import product


def forward(saved: Saved, weight: Tensor, logs: Tensor) -> None:
    """`architectures.kernels.passes.Passes.forward`."""
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
    saved: Saved,
    weight_h: Tensor,
    outside: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """`architectures.kernels.passes.Passes.backward`."""
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
