"""The recurrence of the RWA and the RDA in the (r, l) form, as one differentiable operation in plain PyTorch.

With r = n / d, the average itself, and l = log d, nothing overflows, whatever the attention function:

    alpha_t = log f_a(p_t)        lambda_t = log gamma_t = logsigmoid(q_t)       (0 for the RWA)
    m_t = l_{t-1} + lambda_t      l_t = logaddexp(m_t, alpha_t)                  w_t = exp(alpha_t - l_t)
    r_t = r_{t-1} + w_t (z_t - r_{t-1})                     1 - w_t = exp(m_t - l_t) = gamma_t d_{t-1} / d_t

The backward pass is written out by hand. R_t and L_t being the total adjoints of r_t and l_t,

    d alpha_t = w_t (R_t (z_t - r_t) + L_t)                 d z_t = R_t w_t
    d lambda_t = L_{t-1} = (1 - w_t) (L_t - R_t (r_t - r_{t-1}))
    R_{t-1} = (1 - w_t) R_t + f_h'(r_{t-1}) ([dg | dp | dq] W_h^T)

so whatever does not depend on R and L is computed for all steps at once, and all weight gradients are one matrix
product each, after the loop.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from architectures.kernels.attention import Attention, log_attention, log_attention_slope

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
    rs, ls = states(x, weight_x, bias, weight_h, r, l, attention=attention, hidden_tanh=hidden_tanh)
    h = rs.tanh() if hidden_tanh else rs
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
    result: tuple[Tensor, Tensor] = _DiscountedAverage.apply(  # type: ignore[no-untyped-call]
        x, weight_x, bias, weight_h, r, l, attention, hidden_tanh
    )
    return result


class _DiscountedAverage(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        input_weight: Tensor,
        bias: Tensor,
        recurrent_weight: Tensor,
        r: Tensor,
        l: Tensor,
        attention: Attention,
        hidden_tanh: bool,
    ) -> tuple[Tensor, Tensor]:
        units = recurrent_weight.shape[0]
        batch, time, _ = x.shape
        # Time first, so that every step is one contiguous piece of memory.
        flat = x.transpose(0, 1).reshape(time * batch, -1)
        u = torch.addmm(bias[:units], flat, input_weight[:, :units]).view(time, batch, units)
        gates = torch.addmm(bias[units:], flat, input_weight[:, units:]).view(time, batch, -1)
        averages, denominators = u.new_empty(time + 1, batch, units), u.new_empty(time + 1, batch, units)
        averages[0], denominators[0] = r, l
        h = r.tanh() if hidden_tanh else r
        m, w, z = torch.empty_like(u[0]), torch.empty_like(u[0]), torch.empty_like(u[0])
        discounted = gates.shape[2] == 3 * units
        for t in range(time):
            gates[t].addmm_(h, recurrent_weight)
            g, p, *q = gates[t].split(units, dim=1)
            torch.mul(u[t], g.tanh_(), out=z)
            alpha = log_attention(p, attention)
            before = torch.add(denominators[t], logsigmoid(q[0]), out=m) if discounted else denominators[t]
            torch.logaddexp(before, alpha, out=denominators[t + 1])
            torch.sub(alpha, denominators[t + 1], out=w).exp_()
            torch.lerp(averages[t], z, w, out=averages[t + 1])
            h = torch.tanh(averages[t + 1], out=m) if hidden_tanh else averages[t + 1]
        ctx.save_for_backward(flat, input_weight, recurrent_weight, u, gates, averages, denominators)
        ctx.attention, ctx.hidden_tanh = attention, hidden_tanh
        ctx.set_materialize_grads(False)
        return averages[1:].transpose(0, 1), denominators[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_averages: Tensor | None, grad_denominators: Tensor | None) -> tuple[Tensor | None, ...]:
        flat, input_weight, recurrent_weight, u, gates, averages, denominators = ctx.saved_tensors
        time, batch, units = u.shape
        discounted = gates.shape[2] == 3 * units
        tanh_g, p, *q = gates.split(units, dim=2)
        r_before, r = averages[:-1], averages[1:]
        alpha = log_attention(p, ctx.attention)
        w = (alpha - denominators[1:]).exp_()
        before = denominators[:-1] + logsigmoid(q[0]) if discounted else denominators[:-1]
        kept = (before - denominators[1:]).exp_()
        slope = log_attention_slope(p, ctx.attention)
        # The coefficients of R and L in each gradient, for all steps at once.
        g_of_r = (1 - tanh_g.square()).mul_(u).mul_(w)
        p_of_l = w if slope is None else w * slope
        p_of_r = (u * tanh_g).sub_(r).mul_(p_of_l)
        l_of_r = (r - r_before).mul_(kept).neg_()
        q_slope = torch.sigmoid(-q[0]) if discounted else None
        hidden_slope = 1 - averages.tanh().square_() if ctx.hidden_tanh else None

        grad_gates = torch.empty_like(gates)
        total = torch.empty_like(u)
        recurrent = recurrent_weight.t()
        R, L, G = torch.zeros_like(u[0]), torch.zeros_like(u[0]), torch.zeros_like(u[0])
        for t in range(time - 1, -1, -1):
            if hidden_slope is not None:
                G.mul_(hidden_slope[t + 1])
            torch.add(R, G, out=total[t])
            if grad_averages is not None:
                total[t].add_(grad_averages[:, t])
            if grad_denominators is not None:
                L.add_(grad_denominators[:, t])
            dg, dp, *dq = grad_gates[t].split(units, dim=1)
            torch.mul(g_of_r[t], total[t], out=dg)
            torch.mul(p_of_r[t], total[t], out=dp)
            dp.addcmul_(p_of_l[t], L)
            L.mul_(kept[t]).addcmul_(l_of_r[t], total[t])
            if q_slope is not None:
                torch.mul(L, q_slope[t], out=dq[0])
            torch.mul(kept[t], total[t], out=R)
            torch.mm(grad_gates[t], recurrent, out=G)
        if hidden_slope is not None:
            G.mul_(hidden_slope[0])
        R.add_(G)

        grad_u = total.mul_(w).mul_(tanh_g).view(time * batch, units)
        grad_gates = grad_gates.view(time * batch, -1)
        grad_x = grad_input_weight = grad_bias = grad_recurrent_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_u @ input_weight[:, :units].t()
            grad_x = grad_x.addmm_(grad_gates, input_weight[:, units:].t()).view(time, batch, -1).transpose(0, 1)
        if ctx.needs_input_grad[1]:
            grad_input_weight = torch.cat([flat.t() @ grad_u, flat.t() @ grad_gates], dim=1)
        if ctx.needs_input_grad[2]:
            grad_bias = torch.cat([grad_u.sum(0), grad_gates.sum(0)])
        if ctx.needs_input_grad[3]:
            h = (r_before.tanh() if ctx.hidden_tanh else r_before).reshape(time * batch, units)
            grad_recurrent_weight = h.t() @ grad_gates
        return grad_x, grad_input_weight, grad_bias, grad_recurrent_weight, R, L, None, None
