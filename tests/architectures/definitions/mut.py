"""MUT1, MUT2 and MUT3 (Jozefowicz, Zaremba and Sutskever 2015, section 3.5)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def mut(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int], variant: int
) -> Tensor:
    """Computes h_t = n z + h (1 - z), layer upon layer. The rows of the weights are those of z, r, n in this order,
    without those that there are not."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        W: list[Tensor | None] = list(layer["weight_x"].split(units))
        U = layer["weight_h"].split(units)
        b_z, b_r, b_h = layer["bias"].split(units)
        if x.shape[2] == units and variant != 3:
            W.insert({1: 2, 2: 1}[variant], None)
        h, outputs = initial_state(layer, 0, x, units), []
        for t in range(x.shape[1]):
            v = [x[:, t] if w is None else x[:, t] @ w.T for w in W]
            if variant == 1:
                z = torch.sigmoid(v[0] + b_z)
                r = torch.sigmoid(v[1] + h @ U[0].T + b_r)
                n = torch.tanh((r * h) @ U[1].T + torch.tanh(v[2]) + b_h)
            else:
                z = torch.sigmoid(v[0] + (h if variant == 2 else torch.tanh(h)) @ U[0].T + b_z)
                r = torch.sigmoid(v[1] + h @ U[1].T + b_r)
                n = torch.tanh((r * h) @ U[2].T + v[2] + b_h)
            h = n * z + h * (1 - z)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x
