"""A causal convolution of a few taps, for each channel by itself."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad, silu

from architectures.recording import is_recording

TAPS = 4
"""Steps that it sees, the present one included, as in Mamba and its relatives."""


class ShortConvolution(nn.Module):
    """y_t = silu( b + sum_j w_j x_{t - j} ), j = 0 .. 3, channel by channel. Its state holds the last three inputs.

    Weights and biases start as those of PyTorch's `Conv1d` do, uniform within 1 / sqrt(taps).
    """

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(TAPS, channels))
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(TAPS), 1 / math.sqrt(TAPS))

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the output and the inputs that later steps need.

        Args:
            x: (batch, time, channels).
            past: the three inputs before, (batch, 3, channels); `None` is the start, where they are 0.
        """
        time = x.shape[1]
        x = pad(x, (0, 0, TAPS - 1, 0)) if past is None else torch.cat([past.to(x), x], dim=1)
        weight = self.weight.to(x.dtype)
        y = sum_taps(x, weight) if is_recording() else _SumTaps.apply(x, weight)  # type: ignore[no-untyped-call]
        if self.bias is not None:
            y = y + self.bias
        return silu(y), x[:, time:].clone()


def sum_taps(x: Tensor, weight: Tensor) -> Tensor:
    """Returns sum_j w_j x_{t - j}, (batch, time, channels), from inputs that begin three steps earlier.

    Products of shifted views: on a CPU they take less time than PyTorch's grouped convolution.
    """
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
