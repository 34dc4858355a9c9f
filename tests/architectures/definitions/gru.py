"""The gated recurrent unit (Cho et al. 2014, arXiv 1406.1078v1), with the reset gate in either place."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def gru(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """r, z = sigmoid(..), h_t = z h_{t-1} + (1 - z) n, layer upon layer, with n = tanh(W x_t + b + r (U h_{t-1} + c)),
    or tanh(W x_t + b + U (r h_{t-1}))."""
    for layer in split_layers(parameters, "layers."):
        units = (layer["weight_h"] if "weight_h" in layer else layer["core.weight_hh_l0"]).shape[1]
        h, outputs = initial_state(layer, 0, x, units), []
        for t in range(x.shape[1]):
            _, z, n = gates(layer, x[:, t], h)
            h = z * h + (1 - z) * n
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def gates(layer: Mapping[str, Tensor], x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns r, z and n of one step of one layer; the rows of the weights are in this order."""
    units = h.shape[1]
    if "weight_h" in layer:
        W, U, b = (layer[name].split(units) for name in ("weight_x", "weight_h", "bias"))
        r, z = (torch.sigmoid(x @ W[row].T + h @ U[row].T + b[row]) for row in (0, 1))
        return r, z, torch.tanh(x @ W[2].T + (r * h) @ U[2].T + b[2])
    of_x, of_h = [], []
    for row in range(3):
        rows = slice(row * units, (row + 1) * units)
        of_x.append(x @ layer["core.weight_ih_l0"][rows].T + layer["core.bias_ih_l0"][rows])
        of_h.append(h @ layer["core.weight_hh_l0"][rows].T + layer["core.bias_hh_l0"][rows])
    r, z = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
    return r, z, torch.tanh(of_x[2] + r * of_h[2])
