"""The plain recurrent network (Elman 1990)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def rnn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """h_t = tanh(W x_t + b + U h_{t-1} + c), layer upon layer."""
    for layer in split_layers(parameters, "layers."):
        W, U = layer["core.weight_ih_l0"], layer["core.weight_hh_l0"]
        b, c = layer["core.bias_ih_l0"], layer["core.bias_hh_l0"]
        h = initial_state(layer, 0, x, len(U))
        outputs = []
        for t in range(x.shape[1]):
            h = torch.tanh(x[:, t] @ W.T + b + h @ U.T + c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x
