"""The minGRU and the minLSTM (Feng et al. 2024, section 3), and the sLSTM (Beck et al. 2024, section 2.2)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def content_of(v: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Returns v, or g(v): v + 1/2 where it is not negative, else sigmoid(v)."""
    if options.get("content", "linear") == "linear":
        return v
    return torch.where(v >= 0, v + 0.5, v.sigmoid())


def mingru(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes h = (1 - z) h + z n step by step, layer upon layer."""
    for layer in split_layers(parameters, "layers."):
        (W_z, W_n), (b_z, b_n) = layer["weight_x"].chunk(2), layer["bias"].chunk(2)
        h, outputs = initial_state(layer, 0, x, len(b_z)), []
        for t in range(x.shape[1]):
            z = (x[:, t] @ W_z.T + b_z).sigmoid()
            h = (1 - z) * h + z * content_of(x[:, t] @ W_n.T + b_n, options)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def minlstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes h = f / (f + i) h + i / (f + i) n step by step, layer upon layer."""
    for layer in split_layers(parameters, "layers."):
        (W_f, W_i, W_n), (b_f, b_i, b_n) = layer["weight_x"].chunk(3), layer["bias"].chunk(3)
        h, outputs = initial_state(layer, 0, x, len(b_f)), []
        for t in range(x.shape[1]):
            f, i = (x[:, t] @ W_f.T + b_f).sigmoid(), (x[:, t] @ W_i.T + b_i).sigmoid()
            h = f / (f + i) * h + i / (f + i) * content_of(x[:, t] @ W_n.T + b_n, options)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def slstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes c and n step by step, head by head, and h = o c / n, layer upon layer."""
    heads = options.get("num_heads", 1)
    for layer in split_layers(parameters, "layers."):
        W, U = layer["weight_x"].chunk(4), layer["weight_h"].chunk(4)
        b_z, b_f, b_o = layer["bias"].chunk(3)
        h, outputs = initial_state(layer, 0, x, len(b_z)), []
        c = n = torch.zeros_like(h)
        for t in range(x.shape[1]):
            sums = []
            for W_gate, U_gate in zip(W, U, strict=True):
                groups = zip(h.chunk(heads, dim=1), U_gate.chunk(heads), strict=True)
                of_h = torch.cat([part @ U_head.T for part, U_head in groups], dim=1)
                sums.append(x[:, t] @ W_gate.T + of_h)
            z, i, f, o = (sums[0] + b_z).tanh(), sums[1].exp(), sums[2] + b_f, (sums[3] + b_o).sigmoid()
            f = f.exp() if options.get("forget") == "exp" else f.sigmoid()
            c, n = f * c + i * z, f * n + i
            h = o * c / n
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x
