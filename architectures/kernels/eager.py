"""The recurrence of the RWA and the RDA in the (r, l) form, as one differentiable operation in plain PyTorch.

With r = n / d, the average itself, and l = log d, nothing overflows, whatever the attention function:

    alpha_t = log f_a(p_t)        lambda_t = log gamma_t = logsigmoid(q_t)       (0 for the RWA)
    m_t = l_{t-1} + lambda_t      l_t = logaddexp(m_t, alpha_t)                  w_t = exp(alpha_t - l_t)
    r_t = r_{t-1} + w_t (z_t - r_{t-1})                     1 - w_t = exp(m_t - l_t) = gamma_t d_{t-1} / d_t

The backward pass is written out by hand. R_t and L_t being the total adjoints of r_t and l_t, delta_t = alpha_t - m_t,
w_t = sigmoid(delta_t), 1 - w_t = sigmoid(-delta_t) and c_t = w_t (1 - w_t) (z_t - r_{t-1}),

    d alpha_t = c_t R_t + w_t L_t                           d z_t = R_t w_t
    d lambda_t = L_{t-1} = (1 - w_t) L_t - c_t R_t
    R_{t-1} = (1 - w_t) R_t + f_h'(r_{t-1}) ([dg | dp | dq] W_h^T)

so whatever does not depend on R and L is computed for many steps at once (few enough to stay in the cache), and all
weight gradients are one matrix product each, after the loop.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from architectures.kernels.attention import Attention, log_attention
from architectures.kernels.coefficients import Coefficients

START = -1e30
"""l_0 = log d_0. Finite, since -inf - -inf is no number; so low that w_1 is exactly 1."""


def average(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
    output_tanh: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """`architectures.kernels.average`."""
    hs, rs, ls = every(x, weight_x, bias, weight_h, r, l, attention, hidden_tanh)
    h = rs if hs is None else hs
    # Copies of the last step, so that a carried state does not hold on to all steps.
    return h.tanh() if output_tanh else h, rs[:, -1].clone(), ls[:, -1].clone()


def states(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
) -> tuple[Tensor, Tensor]:
    """`architectures.kernels.states`."""
    _, rs, ls = every(x, weight_x, bias, weight_h, r, l, attention, hidden_tanh)
    return rs, ls


def every(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    attention: Attention,
    hidden_tanh: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """tanh(r), where that is what acts back, r and l after every step, each (batch, time, units)."""
    result: tuple[Tensor | None, Tensor, Tensor] = _DiscountedAverage.apply(  # type: ignore[no-untyped-call]
        x, weight_x, bias, weight_h, r, l, attention, hidden_tanh
    )
    return result


def tanh(x: Tensor, out: Tensor, scratch: Tensor) -> None:
    """tanh(x) into `out`, which may be x. On the CPU PyTorch's own takes ten times as long as its sigmoid, so there it
    is expm1(2 x) / (expm1(2 x) + 2), which is exact near 0 too."""
    if x.device.type != "cpu":
        torch.tanh(x, out=out)
        return
    torch.mul(x, 2, out=scratch).clamp_(max=80.0).expm1_()
    torch.add(scratch, 2, out=out)
    torch.div(scratch, out, out=out)


class _DiscountedAverage(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_x: Tensor,
        bias: Tensor,
        weight_h: Tensor,
        r: Tensor,
        l: Tensor,
        attention: Attention,
        hidden_tanh: bool,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        units = weight_h.shape[0]
        batch, time, _ = x.shape
        # Time first, so that every step is one contiguous piece of memory.
        flat = x.transpose(0, 1).reshape(time * batch, -1)
        u = torch.addmm(bias[:units], flat, weight_x[:, :units]).view(time, batch, units)
        gates = torch.addmm(bias[units:], flat, weight_x[:, units:]).view(time, batch, -1)
        delta, averages, logs = (
            torch.empty_like(u),
            u.new_empty(time + 1, batch, units),
            u.new_empty(time + 1, batch, units),
        )
        averages[0], logs[0] = r, l
        hidden = torch.empty_like(averages) if hidden_tanh else averages
        m, w, z = torch.empty_like(u[0]), torch.empty_like(u[0]), torch.empty_like(u[0])
        if hidden_tanh:
            tanh(averages[0], hidden[0], m)
        discounted = gates.shape[2] == 3 * units
        for t in range(time):
            gates[t].addmm_(hidden[t], weight_h)
            g, p, *q = gates[t].split(units, dim=1)
            tanh(g, g, m)
            torch.mul(u[t], g, out=z)
            alpha = log_attention(p, attention)
            before = torch.add(logs[t], logsigmoid(q[0]), out=m) if discounted else logs[t]
            torch.sub(alpha, before, out=delta[t])
            torch.logaddexp(before, alpha, out=logs[t + 1])
            torch.sigmoid(delta[t], out=w)
            torch.lerp(averages[t], z, w, out=averages[t + 1])
            if hidden_tanh:
                tanh(averages[t + 1], hidden[t + 1], m)
        ctx.save_for_backward(flat, weight_x, weight_h, u, gates, delta, averages, hidden)
        ctx.attention, ctx.hidden_tanh = attention, hidden_tanh
        ctx.set_materialize_grads(False)
        everything = averages[1:].transpose(0, 1), logs[1:].transpose(0, 1)
        return hidden[1:].transpose(0, 1) if hidden_tanh else None, *everything

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outside: Tensor | None) -> tuple[Tensor | None, ...]:
        flat, weight_x, weight_h, u, gates, delta, averages, hidden = ctx.saved_tensors
        grad_h, grad_r, grad_l = (None if grad is None else grad.transpose(0, 1) for grad in outside)
        time, batch, units = u.shape
        grad_gates, total = torch.empty_like(gates), torch.empty_like(u)
        R, L, G, back = (torch.zeros_like(u[0]) for _ in range(4))
        # [dg | dp | dq] W_h^T of the step after the last is 0.
        coefficients = Coefficients(ctx.attention, ctx.hidden_tanh, u, gates, delta, averages, hidden)
        for t in range(time - 1, -1, -1):
            now = coefficients.at(t)
            torch.add(back, grad_h[t], out=G) if grad_h is not None else G.copy_(back)
            if now.hidden_slope is not None:
                G.mul_(now.hidden_slope)
            torch.add(R, G, out=total[t])
            if grad_r is not None:
                total[t].add_(grad_r[t])
            if grad_l is not None:
                L.add_(grad_l[t])
            dg, dp, *dq = grad_gates[t].split(units, dim=1)
            torch.mul(now.g, total[t], out=dg)
            torch.mul(now.c, total[t], out=G)
            torch.addcmul(G, now.w, L, out=dp)
            if now.slope is not None:
                dp.mul_(now.slope)
            L.mul_(now.kept).sub_(G)
            if now.q is not None:
                torch.mul(L, now.q, out=dq[0])
            torch.mul(now.kept, total[t], out=R)
            total[t].mul_(now.w_tanh_g)
            torch.mm(grad_gates[t], weight_h.t(), out=back)
        if ctx.hidden_tanh:
            back.mul_(1 - hidden[0].square())
        R.add_(back)

        grad_u, grad_gates = total.view(time * batch, units), grad_gates.view(time * batch, -1)
        grad_x = grad_weight_x = grad_bias = grad_weight_h = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_u @ weight_x[:, :units].t()
            grad_x = grad_x.addmm_(grad_gates, weight_x[:, units:].t()).view(time, batch, -1).transpose(0, 1)
        if ctx.needs_input_grad[1]:
            grad_weight_x = torch.cat([flat.t() @ grad_u, flat.t() @ grad_gates], dim=1)
        if ctx.needs_input_grad[2]:
            grad_bias = torch.cat([grad_u.sum(0), grad_gates.sum(0)])
        if ctx.needs_input_grad[3]:
            grad_weight_h = hidden[:-1].reshape(time * batch, units).t() @ grad_gates
        return grad_x, grad_weight_x, grad_bias, grad_weight_h, R, L, None, None
