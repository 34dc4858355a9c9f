"""A causal convolution of a few taps, for each channel by itself."""

import math

import torch
from torch import Tensor, nn

from architectures.kernels.convolution import TAPS, short_convolution


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
        past = x.new_zeros(x.shape[0], TAPS - 1, x.shape[2]) if past is None else past.to(x)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        y = short_convolution(x, past, self.weight.to(x.dtype), bias)
        left = x if x.shape[1] >= TAPS - 1 else torch.cat([past, x], dim=1)
        return y, left[:, 1 - TAPS :].clone()
