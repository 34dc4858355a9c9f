"""A causal convolution of a few taps for each channel by itself, and the silu behind it.

    y_t = silu( b + sum_j w_j x_{t - j} ), j = 0 .. 3

On a CPU it is a loop in C++ (`native/convolution.h`) or, without a compiler, products of shifted views, which take less
time than PyTorch's grouped convolution.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from architectures.kernels import native
from architectures.kernels.derivatives import once_differentiable
from architectures.kernels.dispatch import Backend, pick_backend
from architectures.recording import is_recording

TAPS = 4
"""Steps that it sees, the present one included, as in Mamba and its relatives."""


def short_convolution(
    x: Tensor, past: Tensor, weight: Tensor, bias: Tensor | None, backend: Backend | None = None
) -> Tensor:
    """Returns y, (batch, time, channels), for operands of one type; differentiable once with respect to each.

    Args:
        x: (batch, time, channels).
        past: the three inputs before, (batch, 3, channels).
        weight: (4, channels).
        bias: (channels,); `None` is 0.
        backend: as of `linear_scan`.
    """
    if not is_recording() and native.supports(x) and pick_backend(x, backend) == "compiled":
        weights = torch.cat([weight, weight.new_zeros(1, weight.shape[1]) if bias is None else bias.unsqueeze(0)])
        y: Tensor = _Compiled.apply(x, past, weights)  # type: ignore[no-untyped-call]
        return y
    padded = torch.cat([past, x], dim=1)
    v = sum_taps(padded, weight) if is_recording() else _SumTaps.apply(padded, weight)  # type: ignore[no-untyped-call]
    return silu(v if bias is None else v + bias)


class _Compiled(torch.autograd.Function):
    """The kernel; the bias is a fifth row of its weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, past: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, past, weights)
        return torch.ops.sequence_workbench.convolution(x, past, weights)  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_x, of_past, of_weights = torch.ops.sequence_workbench.convolution_backward(*ctx.saved_tensors, of_y)
        return of_x, of_past, of_weights.sum(0)


def sum_taps(x: Tensor, weight: Tensor) -> Tensor:
    """Returns sum_j w_j x_{t - j}, (batch, time, channels), from inputs that begin three steps earlier."""
    y = _shifted(x, 0) * weight[0]
    for lag in range(1, TAPS):
        y = torch.addcmul(y, _shifted(x, lag), weight[lag])
    return y


def _shifted(x: Tensor, lag: int) -> Tensor:
    """Returns the inputs `lag` steps before each step."""
    return x[:, TAPS - 1 - lag : x.shape[1] - lag]


class _SumTaps(torch.autograd.Function):
    """`sum_taps` with its gradient, for which PyTorch's own would keep and add up a tensor for every tap."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return sum_taps(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        dx, dweight = torch.zeros_like(x), []
        for lag in range(TAPS):
            _shifted(dx, lag).addcmul_(grad, weight[lag])
            dweight.append((grad * _shifted(x, lag)).sum((0, 1)))
        return dx, torch.stack(dweight)
