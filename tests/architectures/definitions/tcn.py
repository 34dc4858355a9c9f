"""The temporal convolutional network (Bai, Kolter and Koltun 2018, section 3)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import layers, under


def tcn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Block upon block, dilated by 1, 2, 4, ..."""
    for level, own in enumerate(layers(parameters, "blocks.")):
        x = block(own, x, 2**level)
    return x


def block(own: Mapping[str, Tensor], x: Tensor, dilation: int) -> Tensor:
    """relu(relu(conv(relu(conv(x)))) + side(x)): (batch, time, size) -> (batch, time, hidden_size)."""
    hidden = torch.relu(convolution(under(own, "first.conv."), x, dilation))
    hidden = torch.relu(convolution(under(own, "second.conv."), hidden, dilation))
    beside = x @ own["side.weight"][:, :, 0].T + own["side.bias"] if "side.weight" in own else x
    return torch.relu(hidden + beside)


def convolution(own: Mapping[str, Tensor], x: Tensor, dilation: int) -> Tensor:
    """y_t = b + sum over taps i of w_i x_{t - (k-1-i) dilation}, with w = g v / ||v|| for each channel put out."""
    g, v = own["parametrizations.weight.original0"], own["parametrizations.weight.original1"]
    w = torch.stack([g[channel] * v[channel] / v[channel].square().sum().sqrt() for channel in range(len(v))])
    taps = w.shape[2]
    outputs = []
    for t in range(x.shape[1]):
        y = own["bias"].repeat(x.shape[0], 1)
        for i in range(taps):
            seen = t - (taps - 1 - i) * dilation
            if seen >= 0:
                y = y + x[:, seen] @ w[:, :, i].T
        outputs.append(y)
    return torch.stack(outputs, dim=1)
