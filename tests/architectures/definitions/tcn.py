"""The temporal convolutional network (Bai, Kolter and Koltun 2018, section 3)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers, strip_prefix


def tcn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Block upon block, dilated by 1, 2, 4, ..., as often as there are rounds."""
    blocks = split_layers(parameters, "blocks.")
    dilations = [2**level for level in range(len(blocks) // options.get("rounds", 1))] * options.get("rounds", 1)
    if options.get("block") == "wavenet":
        return wavenet(parameters, x, dilations)[-1]
    for dilation, parameters_of_block in zip(dilations, blocks, strict=True):
        x = block(parameters_of_block, x, dilation)
    return x


def wavenet(parameters: Mapping[str, Tensor], x: Tensor, dilations: list[int]) -> list[Tensor]:
    """The outputs of all blocks but the last, and the head's: van den Oord et al. 2016, equation 2 and figure 4."""
    x, skips, outputs = pointwise(strip_prefix(parameters, "entry."), x), [], []
    for dilation, of_block in zip(dilations, split_layers(parameters, "blocks."), strict=True):
        gates = plain_convolution(of_block["gates.conv.weight"], of_block["gates.conv.bias"], x, dilation)
        of_filter, of_gate = gates.chunk(2, dim=2)
        z = torch.tanh(of_filter) / (1 + torch.exp(-of_gate))
        skips.append(pointwise(strip_prefix(of_block, "skip."), z))
        if "residual.weight" in of_block:
            x = x + pointwise(strip_prefix(of_block, "residual."), z)
            outputs.append(x)
    hidden = pointwise(strip_prefix(parameters, "head.1."), torch.relu(torch.stack(skips).sum(0)))
    return [*outputs, pointwise(strip_prefix(parameters, "head.3."), torch.relu(hidden))]


def pointwise(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """A 1x1 convolution: (batch, time, in) -> (batch, time, out)."""
    return x @ parameters["weight"][:, :, 0].T + parameters["bias"]


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
    return plain_convolution(w, parameters["bias"], x, dilation)


def plain_convolution(w: Tensor, bias: Tensor, x: Tensor, dilation: int) -> Tensor:
    """y_t = b + sum over taps i of w_i x_{t - (k-1-i) dilation}."""
    taps = w.shape[2]
    outputs = []
    for t in range(x.shape[1]):
        y = bias.repeat(x.shape[0], 1)
        for i in range(taps):
            source = t - (taps - 1 - i) * dilation
            if source >= 0:
                y = y + x[:, source] @ w[:, :, i].T
        outputs.append(y)
    return torch.stack(outputs, dim=1)
