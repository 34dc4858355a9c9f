"""Long short-term memory with a forget gate (Gers, Schmidhuber and Cummins 2000)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def lstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """i, f, o = sigmoid(..), g = tanh(..), c_t = f c_{t-1} + i g, h_t = o tanh(c_t), layer upon layer. The rows of
    the weights are those of i, f, g, o in this order."""
    for layer in split_layers(parameters, "layers."):
        units = layer["core.weight_hh_l0"].shape[1]
        h, c = initial_state(layer, 0, x, units), initial_state(layer, 1, x, units)
        outputs = []
        for t in range(x.shape[1]):
            i, f, o = (torch.sigmoid(_gate(layer, x[:, t], h, row, units)) for row in (0, 1, 3))
            g = torch.tanh(_gate(layer, x[:, t], h, 2, units))
            c = f * c + i * g
            h = o * torch.tanh(c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def _gate(layer: Mapping[str, Tensor], x: Tensor, h: Tensor, row: int, units: int) -> Tensor:
    rows = slice(row * units, (row + 1) * units)
    W, U = layer["core.weight_ih_l0"][rows], layer["core.weight_hh_l0"][rows]
    return x @ W.T + layer["core.bias_ih_l0"][rows] + h @ U.T + layer["core.bias_hh_l0"][rows]
