"""The recurrence's two passes over time in plain PyTorch; the formulas are in `autograd.py`.

All results go to memory that is allocated beforehand, so CUDA graphs can record the passes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.kernels.autograd import SavedTensors
from architectures.kernels.pointwise import (
    log_attention,
    log_attention_slope,
    product,
    steps_per_block,
    tanh,
    tanh_of_half,
)


def forward(saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
    """Implements `architectures.kernels.autograd.Passes.forward`."""
    units = saved.u.shape[2]
    tanh_g = tanh
    if weight.device.type == "cpu":
        # tanh is computed from exp(2 g) there: g is doubled once and for all, which is exact.
        weight, tanh_g = weight.clone(), tanh_of_half
        weight[:units] *= 2
    m, w, z = (torch.empty_like(saved.u[0]) for _ in range(3))
    r, h, l = saved.averages.unbind(), saved.hidden.unbind(), logs.unbind()
    if saved.hidden_tanh:
        tanh(r[0], h[0], m)
    steps = zip(saved.operand.unbind(), saved.u.unbind(), saved.tanh_g.unbind(), saved.delta.unbind(), strict=False)
    for t, (operand, u, feature, delta) in enumerate(steps):
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
        # logaddexp, for which PyTorch's own function takes longer
        torch.maximum(before, alpha, out=after).sub_(logsigmoid(delta.abs()))
        torch.sigmoid(delta, out=w)
        torch.lerp(r[t], z, w, out=r[t + 1])
        if saved.hidden_tanh:
            tanh(r[t + 1], h[t + 1], m)


def backward(
    saved: SavedTensors,
    weight_h: Tensor,
    output_grads: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """Implements `architectures.kernels.autograd.Passes.backward`."""
    grad_h, grad_r, grad_l = (None if grad is None else grad.unbind() for grad in output_grads)
    gates_by_step, u_by_step = grad_gates.unbind(), grad_u.unbind()
    by_gate = [grad.unbind() for grad in grad_gates.split(grad_u.shape[2], dim=2)]
    C, back = torch.empty_like(R), torch.zeros_like(R)
    for block, w_tanh_g, coefficients in backward_coefficients(saved):
        for t, step in zip(reversed(range(block.start, block.stop)), reversed(coefficients), strict=True):
            # The total adjoint of r_t, which becomes the gradient of u after the loop.
            total = u_by_step[t]
            if grad_h is not None:
                back.add_(grad_h[t])
            if step.hidden_slope is None:
                torch.add(R, back, out=total)
            else:
                torch.addcmul(R, back, step.hidden_slope, out=total)
            if grad_r is not None:
                total.add_(grad_r[t])
            if grad_l is not None:
                L.add_(grad_l[t])
            dg, dp, *dq = (grad[t] for grad in by_gate)
            torch.mul(step.g, total, out=dg)
            torch.mul(step.c, total, out=C)
            torch.addcmul(C, step.w, L, out=dp)
            if step.slope is not None:
                dp.mul_(step.slope)
            L.mul_(step.one_minus_w).sub_(C)
            if step.q is not None:
                torch.mul(L, step.q, out=dq[0])
            torch.mul(step.one_minus_w, total, out=R)
            back = product(gates_by_step[t], weight_h)
        grad_u[block].mul_(w_tanh_g)
    return back


class StepCoefficients(NamedTuple):
    """Factors of one step's gradients, (batch, units) each; `None` stands for 1."""

    w: Tensor
    one_minus_w: Tensor
    c: Tensor
    g: Tensor
    """Factor of dg."""
    slope: Tensor | None
    """Factor of dp: the slope of log f_a."""
    q: Tensor | None
    """Factor of dq; `None` without a discount."""
    hidden_slope: Tensor | None
    """The slope of f_h."""


def backward_coefficients(saved: SavedTensors) -> Iterator[tuple[slice, Tensor, list[StepCoefficients]]]:
    """Computes what does not depend on the adjoints, a block of many steps at once, from the last to the first.

    Yields:
        The block's steps, the factor of du for all of them, (steps, batch, units), and the other factors for each, in
        memory that the next block overwrites.
    """
    u, tanh_g, delta = saved.u, saved.tanh_g, saved.delta
    block_steps = min(len(u), steps_per_block(u[0]))
    buffers = [u.new_empty(block_steps, *u.shape[1:]) for _ in range(6)]
    one = torch.ones((), dtype=u.dtype, device=u.device)
    for stop in range(len(u), 0, -block_steps):
        block = slice(max(0, stop - block_steps), stop)
        w, one_minus_w, c, g, w_tanh_g, spare = (buffer[: stop - block.start] for buffer in buffers)
        torch.sigmoid(delta[block], out=w)
        torch.sigmoid(torch.neg(delta[block], out=one_minus_w), out=one_minus_w)
        torch.mul(w, tanh_g[block], out=w_tanh_g)
        # dg: w u (1 - tanh(g)^2); c: w (1 - w) (u tanh(g) - r_before)
        torch.addcmul(w, w_tanh_g, tanh_g[block], value=-1, out=g).mul_(u[block])
        torch.mul(u[block], tanh_g[block], out=c).sub_(saved.averages[block]).mul_(w).mul_(one_minus_w)
        h = saved.hidden[block.start + 1 : stop + 1] if saved.hidden_tanh else None
        factors = (
            w,
            one_minus_w,
            c,
            g,
            None if saved.p is None else log_attention_slope(saved.p[block], saved.attention),
            None if saved.q is None else torch.sigmoid(-saved.q[block]),
            None if h is None else torch.addcmul(one, h, h, value=-1, out=spare),
        )
        steps = zip(*([None] * len(w) if factor is None else factor.unbind() for factor in factors), strict=True)
        yield block, w_tanh_g, [StepCoefficients(*step) for step in steps]
