"""Recurrent networks with modules, factors or highways."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def clockwork_rnn(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """Koutnik et al. 2014, section 3: each module by itself, where t is a multiple of its period."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_x"].shape[0]
        h, outputs = initial_state(layer, 0, x, units), []
        for t in range(x.shape[1]):
            before, after, first, g = h, h.clone(), 0, 0
            while f"weight_h{g}" in layer:
                U = layer[f"weight_h{g}"]
                rows = slice(first, first + len(U))
                if t % 2**g == 0:
                    sums = x[:, t] @ layer["weight_x"][rows].T + before[:, first:] @ U.T + layer["bias"][rows]
                    after = torch.cat([after[:, :first], torch.tanh(sums), after[:, first + len(U) :]], dim=1)
                first, g = first + len(U), g + 1
            assert first == units
            h = after
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def rhn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Zilly et al. 2017, equations 7 to 9, with c = 1 - t: s^l = a t + s^{l-1} (1 - t)."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        R, b = layer["weight_h"].split(2 * units), layer["bias"].split(2 * units)
        s, outputs = initial_state(layer, 0, x, units), []
        for t in range(x.shape[1]):
            for index, (matrix, bias) in enumerate(zip(R, b, strict=True)):
                sums = s @ matrix.T + bias
                if index == 0:
                    sums = sums + x[:, t] @ layer["weight_x"].T
                transform = torch.sigmoid(sums[:, units:])
                s = torch.tanh(sums[:, :units]) * transform + s * (1 - transform)
            outputs.append(s)
        x = torch.stack(outputs, dim=1)
    return x


def mrnn(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Sutskever et al. 2011, section 3.2, with the factored matrix written out: U_t = W_hm diag(W_mx x) W_mh."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        (W_mx, W_hx), (W_mh, W_hm) = layer["weight_x"].split(units), layer["weight_h"].split(units)
        h, outputs = initial_state(layer, 0, x, units), []
        for t in range(x.shape[1]):
            factors = x[:, t] @ W_mx.T
            h = torch.tanh(x[:, t] @ W_hx.T + (factors * (h @ W_mh.T)) @ W_hm.T + layer["bias"])
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x
