"""The temporal convolutional network (Bai, Kolter and Koltun 2018, section 3)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers, strip_prefix


def tcn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Block upon block, dilated by 1, 2, 4, ..."""
    for level, parameters_of_block in enumerate(split_layers(parameters, "blocks.")):
        x = block(parameters_of_block, x, 2**level)
    return x


def block(parameters: Mapping[str, Tensor], x: Tensor, dilation: int) -> Tensor:
    """relu(relu(conv(relu(conv(x)))) + side(x)): (batch, time, size) -> (batch, time, hidden_size)."""
    hidden = torch.relu(convolution(strip_prefix(parameters, "first.conv."), x, dilation))
    hidden = torch.relu(convolution(strip_prefix(parameters, "second.conv."), hidden, dilation))
    residual = x @ parameters["side.weight"][:, :, 0].T + parameters["side.bias"] if "side.weight" in parameters else x
    return torch.relu(hidden + residual)


def convolution(parameters: Mapping[str, Tensor], x: Tensor, dilation: int) -> Tensor:
    """y_t = b + sum over taps i of w_i x_{t - (k-1-i) dilation}, with w = g v / ||v|| for each output channel."""
    g, v = parameters["parametrizations.weight.original0"], parameters["parametrizations.weight.original1"]
    w = torch.stack([g[channel] * v[channel] / v[channel].square().sum().sqrt() for channel in range(len(v))])
    taps = w.shape[2]
    outputs = []
    for t in range(x.shape[1]):
        y = parameters["bias"].repeat(x.shape[0], 1)
        for i in range(taps):
            source = t - (taps - 1 - i) * dilation
            if source >= 0:
                y = y + x[:, source] @ w[:, :, i].T
        outputs.append(y)
    return torch.stack(outputs, dim=1)
