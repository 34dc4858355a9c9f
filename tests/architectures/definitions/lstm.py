"""Long short-term memory (Gers, Schmidhuber and Cummins 2000; Greff et al. 2015), one gate at a time."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import initial_state, split_layers

ONES: Mapping[str, str] = {"i": "input_gate", "f": "forget_gate", "o": "output_gate"}
"""The option that makes a gate 1."""
GATES = "ifo"
"""The order of the states and weights of full gate recurrence."""


def lstm(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int], **fixed: bool
) -> Tensor:
    """i, f, o = sigmoid(..), g = tanh(..), c_t = f c_{t-1} + i g, h_t = o tanh(c_t), layer upon layer."""
    for layer in split_layers(parameters, "layers."):
        units = weights(layer)[1].shape[1]
        state = tuple(initial_state(layer, index, x, units) for index in range(5))
        outputs = []
        for t in range(x.shape[1]):
            state = lstm_step(layer, x[:, t], state, {**options, **fixed})
            outputs.append(state[0])
        x = torch.stack(outputs, dim=1)
    return x


def lstm_step(
    layer: Mapping[str, Tensor], x: Tensor, state: tuple[Tensor, ...], options: Mapping[str, Any]
) -> tuple[Tensor, ...]:
    """Returns h, c, i, f and o after a step.

    The rows of the weights are those of i, f, g, o in this order, without those of gates that are not there.
    """
    h, c, *before = state
    W, U, b = weights(layer)
    units = U.shape[1]
    absent = [gate for gate, option in ONES.items() if not options.get(option, True)]
    absent += ["i"] if options.get("coupled") else []
    rows = [name for name in "ifgo" if name not in absent]

    def total(name: str) -> Tensor:
        own = slice(rows.index(name) * units, (rows.index(name) + 1) * units)
        value = x @ W[own].T + h @ U[own].T + b[own]
        if options.get("full_gate_recurrence") and name != "g":
            for from_gate, seen in zip(GATES, before, strict=True):
                to, of = GATES.index(name) * units, GATES.index(from_gate) * units
                value = value + seen @ layer["weight_gates"][to : to + units, of : of + units].T
        return value

    def gate(name: str, seen: Tensor) -> Tensor:
        if name in absent:
            return torch.ones_like(seen)
        return torch.sigmoid(
            total(name) + layer[f"peephole_{name}"] * seen if options.get("peepholes") else total(name)
        )

    f = gate("f", c)
    i = 1 - f if options.get("coupled") else gate("i", c)
    g = torch.tanh(total("g")) if options.get("input_activation", True) else total("g")
    c = f * c + i * g
    o = gate("o", c)
    return o * (torch.tanh(c) if options.get("output_activation", True) else c), c, i, f, o


def weights(layer: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the weights of x and h, and the biases; those of PyTorch's layer if it is one."""
    if "weight_x" in layer:
        return layer["weight_x"], layer["weight_h"], layer["bias"]
    return layer["core.weight_ih_l0"], layer["core.weight_hh_l0"], layer["core.bias_ih_l0"] + layer["core.bias_hh_l0"]
