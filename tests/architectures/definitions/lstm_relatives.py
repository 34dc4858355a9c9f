"""LSTMs with other sums, other norms, or a memory along depth."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers


def layernorm_lstm(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """Ba et al. 2016, equations 20 to 22: sums = LN(U h) + LN(W x) + b, h = o tanh(LN(c))."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        h, c = initial_state(layer, 0, x, units), initial_state(layer, 1, x, units)
        outputs = []
        for t in range(x.shape[1]):
            of_h, of_x = normalise(h @ layer["weight_h"].T), normalise(x[:, t] @ layer["weight_x"].T)
            i, f, g, o = (layer["gain_h"] * of_h + layer["gain_x"] * of_x + layer["bias"]).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(layer["gain_c"] * normalise(c) + layer["offset_c"])
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def normalise(values: Tensor) -> Tensor:
    """Returns rows with a mean of 0 and a deviation of 1."""
    centred = values - values.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()


def mi_lstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Wu et al. 2016, section 2.2: sums = alpha W x U h + beta_1 U h + beta_2 W x + b."""
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        h, c = initial_state(layer, 0, x, units), initial_state(layer, 1, x, units)
        outputs = []
        for t in range(x.shape[1]):
            of_h, of_x = h @ layer["weight_h"].T, x[:, t] @ layer["weight_x"].T
            sums = layer["alpha"] * of_x * of_h + layer["beta_1"] * of_h + layer["beta_2"] * of_x + layer["bias"]
            i, f, g, o = sums.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def depth_gated_lstm(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """Yao et al. 2015, section 3: c^l = d c^{l-1} + f c^l_{t-1} + i g above the first layer."""
    cells: list[Tensor] = []
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        h, c = initial_state(layer, 0, x, units), initial_state(layer, 1, x, units)
        outputs, below, cells = [], cells, []
        for t in range(x.shape[1]):
            sums = x[:, t] @ layer["weight_x"].T + h @ layer["weight_h"].T + layer["bias"]
            i, f, g, o = sums.chunk(4, dim=1)
            peep = [layer.get(f"peephole_{gate}", torch.zeros(units, dtype=x.dtype)) for gate in "ifo"]
            i, f = torch.sigmoid(i + peep[0] * c), torch.sigmoid(f + peep[1] * c)
            from_below: Tensor | float = 0.0
            if below:
                d = x[:, t] @ layer["weight_d"].T + layer["bias_d"]
                d = torch.sigmoid(d + layer["cell_before"] * c + layer["cell_below"] * below[t])
                from_below = d * below[t]
            c = f * c + i * torch.tanh(g) + from_below
            h = torch.sigmoid(o + peep[2] * c) * torch.tanh(c)
            cells.append(c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    return x


def grid_lstm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Kalchbrenner et al. 2016, section 3: an LSTM along time and one along depth, both of the concatenated h."""
    entered = x @ parameters["enter.weight"].T + parameters["enter.bias"]
    h_depth, m_depth = entered.chunk(2, dim=2)
    for layer in split_layers(parameters, "layers."):
        units = layer["weight_h"].shape[1]
        h, m = initial_state(layer, 0, x, units), initial_state(layer, 1, x, units)
        weight = torch.cat([layer["weight_h"], layer["weight_x"]], dim=1)
        outputs, memories = [], []
        for t in range(x.shape[1]):
            both = torch.cat([h, h_depth[:, t]], dim=1)
            along_time, along_depth = (both @ weight.T + layer["bias"]).chunk(2, dim=1)
            h, m = lstm_transform(along_time, m)
            h_above, m_above = lstm_transform(along_depth, m_depth[:, t])
            outputs.append(h_above)
            memories.append(m_above)
        h_depth, m_depth = torch.stack(outputs, dim=1), torch.stack(memories, dim=1)
    return h_depth


def lstm_transform(sums: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Kalchbrenner et al. 2016, section 2, from the sums of the gates i, f, g, o: m' = f m + i g, h' = tanh(o m')."""
    i, f, g, o = sums.chunk(4, dim=1)
    m = torch.sigmoid(f) * m + torch.sigmoid(i) * torch.tanh(g)
    return torch.tanh(torch.sigmoid(o) * m), m
