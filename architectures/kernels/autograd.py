"""The recurrence of the RWA and the RDA in the (r, l) form, as one differentiable operation.

With r = n / d, the average itself, and l = log d, nothing overflows, whatever the attention function:

    alpha_t = log f_a(p_t)        lambda_t = log gamma_t = logsigmoid(q_t)       (0 for the RWA)
    m_t = l_{t-1} + lambda_t      l_t = logaddexp(m_t, alpha_t)                  w_t = exp(alpha_t - l_t)
    r_t = r_{t-1} + w_t (z_t - r_{t-1})                     1 - w_t = exp(m_t - l_t) = gamma_t d_{t-1} / d_t

The backward pass is written out by hand. With R_t and L_t the total adjoints of r_t and l_t, delta_t = alpha_t - m_t,
w_t = sigmoid(delta_t), 1 - w_t = sigmoid(-delta_t) and c_t = w_t (1 - w_t) (z_t - r_{t-1}),

    d alpha_t = c_t R_t + w_t L_t                           d z_t = R_t w_t
    d lambda_t = L_{t-1} = (1 - w_t) L_t - c_t R_t
    R_{t-1} = (1 - w_t) R_t + f_h'(r_{t-1}) ([dg | dp | dq] W_h^T)

so the weights' gradients are matrix products over all steps, after the loop. The two passes over time are an argument
of the operation, an implementation of `Passes`: in PyTorch (`eager.py`), as CUDA graphs, or as Triton kernels.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from architectures.kernels.derivatives import once_differentiable
from architectures.kernels.pointwise import Attention, product, tanh_over_time

INITIAL_LOG_DENOMINATOR = -1e30
"""l_0 = log d_0 of an empty average. Finite, since -inf - -inf is NaN; so low that w_1 is exactly 1."""


@dataclass(frozen=True, slots=True)
class SavedTensors:
    """The inputs of the forward pass, and what it saves for the backward pass.

    Time comes first, so that every step is one block of memory: shapes are (time, batch, units), except where another
    is stated.
    """

    attention: Attention
    hidden_tanh: bool
    operand: Tensor
    """[x | 1 | h_{t-1}], (time + 1, batch, inputs + 1 + units): the gates of a step are one product of it, and after
    the loop the gradients of all their weights are another."""
    u: Tensor
    tanh_g: Tensor
    p: Tensor | None
    """Saved if the slope of log f_a depends on it."""
    q: Tensor | None
    """Saved if the past is discounted."""
    delta: Tensor
    averages: Tensor
    """r before and after every step, (time + 1, batch, units); the h of `operand` where f_h is the identity."""

    @property
    def hidden(self) -> Tensor:
        """The hidden states h before and after every step, (time + 1, batch, units)."""
        return self.operand[:, :, self.operand.shape[2] - self.u.shape[2] :]

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Returns all tensors, in the order of the constructor's arguments."""
        return self.operand, self.u, self.tanh_g, self.p, self.q, self.delta, self.averages


class Passes(Protocol):
    """An implementation of the recurrence's forward and backward pass over time."""

    def forward(self, saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
        """Fills h_0 and everything after the first step.

        Args:
            saved: holds x, 1, u, and r before the first step; the rest is filled.
            weight: (2 or 3 units, inputs + 1 + units), of [g | p | q].
            logs: l, (time + 1, batch, units), of which the first is set; or only two, of which every step reads one
                and writes the other.
        """

    def backward(
        self,
        saved: SavedTensors,
        weight_h: Tensor,
        output_grads: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        """Fills the gradients of u and of [g | p | q].

        Args:
            saved: as `forward` left it.
            weight_h: (units, 2 or 3 units).
            output_grads: the incoming gradients of h, r and l after every step, (time, batch, units) each.
            R: (batch, units), the adjoint of the last r; overwritten by that of r before the first step, without the
                part that comes back through h.
            L: (batch, units), the adjoint of the last l; overwritten by that of l before the first step.
            grad_u: (time, batch, units), filled.
            grad_gates: (time, batch, 2 or 3 units), filled.

        Returns:
            The adjoint of h before the first step, (batch, units).
        """


def discounted_average(
    *operands: Tensor, attention: Attention, hidden_tanh: bool, output_tanh: bool, passes: Passes
) -> tuple[Tensor, Tensor, Tensor]:
    """Computes `architectures.kernels.discounted_average` for its operands x, weight_x, bias, weight_h, r and l."""
    h, r, l = _DiscountedAverage.apply(  # type: ignore[no-untyped-call]
        *operands, attention, hidden_tanh, passes, needs_gradient(*operands), False
    )
    return tanh_over_time(h) if output_tanh else h, r, l


def discounted_average_states(
    *operands: Tensor, attention: Attention, hidden_tanh: bool, passes: Passes
) -> tuple[Tensor, Tensor]:
    """Computes `architectures.kernels.discounted_average_states` for the same operands."""
    _, r, l = _DiscountedAverage.apply(  # type: ignore[no-untyped-call]
        *operands, attention, hidden_tanh, passes, needs_gradient(*operands), True
    )
    return r, l


def needs_gradient(*operands: Tensor) -> bool:
    """Returns whether a gradient with respect to any of the operands may be required."""
    return torch.is_grad_enabled() and any(operand.requires_grad for operand in operands)


class _DiscountedAverage(torch.autograd.Function):
    """Computes h = f_h(r) after every step, and the last r and l; with `all_states`, r and l after every step."""

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
        passes: Passes,
        keep: bool,
        all_states: bool,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        batch, time, inputs = x.shape
        units = weight_h.shape[0]
        shape = time, batch, units

        def empty_per_step() -> Tensor:
            """Returns memory of (time, batch, units); without a backward pass, all steps share that of one."""
            return x.new_empty(shape) if keep else x.new_empty(1, batch, units).expand(shape)

        # In half precision, PyTorch's products on processors with AMX read on behind the end of a row and multiply what
        # is there by 0, which a NaN survives. So the columns of h, which are written later, start as numbers.
        operand = (x.new_empty if x.dtype.itemsize > 2 else x.new_zeros)(time + 1, batch, inputs + 1 + units)
        operand[:-1, :, :inputs] = x.transpose(0, 1)
        operand[:-1, :, inputs] = 1
        weight = torch.cat([weight_x, bias[None]])
        flat = operand[:-1, :, : inputs + 1].reshape(time * batch, -1)
        saved = SavedTensors(
            attention,
            hidden_tanh,
            operand,
            u=product(flat, weight[:, :units].t().contiguous()).view(shape),
            tanh_g=empty_per_step(),
            p=empty_per_step() if keep and attention != "exp" else None,
            q=empty_per_step() if weight_h.shape[1] == 3 * units else None,
            delta=empty_per_step(),
            averages=x.new_empty(time + 1, batch, units) if hidden_tanh else operand[:, :, inputs + 1 :],
        )
        logs = x.new_empty(time + 1 if all_states else 2, batch, units)
        saved.averages[0], logs[0] = r, l
        passes.forward(saved, torch.cat([weight[:, units:], weight_h]).t().contiguous(), logs)
        ctx.save_for_backward(weight_x, weight_h, *saved.tensors())
        ctx.options, ctx.all_states, ctx.passes = (attention, hidden_tanh), all_states, passes
        ctx.set_materialize_grads(False)
        if all_states:
            return None, saved.averages[1:].transpose(0, 1), logs[1:].transpose(0, 1)
        # Copies, so that a carried state does not hold on to all steps.
        return saved.hidden[1:].transpose(0, 1), saved.averages[-1].clone(), logs[time % 2].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *output_grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Under autocast, too, gradients are computed in single precision.
        with torch.autocast(ctx.saved_tensors[0].device.type, enabled=False):
            return _gradients(ctx, *output_grads)


def _gradients(ctx: Any, *output_grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Returns the gradients of all arguments of `_DiscountedAverage.forward`."""
    weight_x, weight_h, *tensors = ctx.saved_tensors
    saved = SavedTensors(*ctx.options, *tensors)
    time, batch, units = saved.u.shape
    inputs = weight_x.shape[0]
    grad_h, grad_r, grad_l = output_grads
    R, L = torch.zeros_like(saved.u[0]), torch.zeros_like(saved.u[0])
    if not ctx.all_states:
        for adjoint, grad in (R, grad_r), (L, grad_l):
            if grad is not None:
                adjoint.copy_(grad)
        grad_r = grad_l = None
    by_step = tuple(None if grad is None else grad.transpose(0, 1) for grad in (grad_h, grad_r, grad_l))
    grad_u, grad_gates = torch.empty_like(saved.u), weight_h.new_empty(time, batch, weight_h.shape[1])
    grad_h_0 = ctx.passes.backward(saved, weight_h, by_step, R, L, grad_u, grad_gates)
    if saved.hidden_tanh:
        grad_h_0 = grad_h_0 * (1 - saved.hidden[0].square())
    R += grad_h_0

    grad_u, grad_gates = grad_u.view(time * batch, -1), grad_gates.view(time * batch, -1)
    operand = saved.operand[:-1].view(time * batch, -1)
    grad_x = grad_weight_x = grad_bias = grad_weight_h = None
    if ctx.needs_input_grad[0]:
        grad_x = product(grad_u, weight_x[:, :units]) + product(grad_gates, weight_x[:, units:])
        grad_x = grad_x.view(time, batch, inputs).transpose(0, 1)
    if any(ctx.needs_input_grad[1:4]):
        of_u = product(operand[:, : inputs + 1].t(), grad_u.t())
        of_gates = product(operand.t(), grad_gates.t())
        grad_weight_x, grad_bias = torch.cat([of_u, of_gates[: inputs + 1]], dim=1).split([inputs, 1])
        grad_bias, grad_weight_h = grad_bias[0], of_gates[inputs + 1 :]
    return grad_x, grad_weight_x, grad_bias, grad_weight_h, R, L, *[None] * 5
