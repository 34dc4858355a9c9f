"""The recurrent weighted average and recurrent discounted attention (RDA paper, sections 3 and 5)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from architectures.kernels.naive import naive_discounted_average
from tests.architectures.definitions.common import split_layers


def rwa(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """Computes the RWA: f_a = exp, f_h = tanh, f_o = identity, no discount."""
    return rda(parameters, x, {}, lengths, attention="exp", hidden="tanh", output="identity")


def rda(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int], **fixed: str
) -> Tensor:
    """Computes n_t / d_t step by step, then f_h and f_o, layer upon layer."""
    attention, hidden, output = activations({**options, **fixed})
    for layer in split_layers(parameters, "layers."):
        units = len(layer["bias_u"])
        biases = [layer.get(name, x.new_zeros(units)) for name in ("bias_u", "bias_g", "bias_a")]
        if "bias_gamma" in layer:
            biases.append(layer["bias_gamma"])
        s = layer["initial"] if "initial" in layer else x.new_zeros(units)
        average = naive_discounted_average(
            x,
            layer["weight_x"].T,
            torch.cat(biases),
            layer["weight_h"].T,
            s.repeat(x.shape[0], 1),
            attention=attention,
            hidden_tanh=hidden == "tanh",
        )
        x = average.tanh() if hidden == "tanh" else average
        x = x.tanh() if output == "tanh" else x
    return x


def activations(options: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Returns the names of f_a, f_h and f_o, by default the RDA's."""
    return options.get("attention", "exp"), options.get("hidden", "identity"), options.get("output", "tanh")


def scalar_loop(
    layer: Mapping[str, Tensor], x: list[list[float]], attention: str, hidden: str, output: str
) -> list[list[float]]:
    """Computes one layer for one sequence, one number at a time, without torch's arithmetic.

    The rows of `weight_x` are W_u, W_g, W_a, W_gamma; those of `weight_h` have no W_u.
    """
    units = len(layer["bias_u"])
    zeros = [0.0] * units
    biases = {name: layer[name].tolist() if name in layer else zeros for name in ("bias_u", "bias_g", "bias_a")}
    weight_x, weight_h = layer["weight_x"].tolist(), layer["weight_h"].tolist()
    f_a, f_h, f_o = SCALARS[attention], SCALARS[hidden], SCALARS[output]
    s = layer["initial"].tolist() if "initial" in layer else zeros
    h, n, d = [f_h(value) for value in s], list(zeros), list(zeros)
    outputs = []
    for x_t in x:
        h_before = h
        h = list(h_before)
        for k in range(units):
            u = dot(weight_x[k], x_t) + biases["bias_u"][k]
            g = dot(weight_x[units + k], x_t) + dot(weight_h[k], h_before) + biases["bias_g"][k]
            p = dot(weight_x[2 * units + k], x_t) + dot(weight_h[units + k], h_before) + biases["bias_a"][k]
            gamma = 1.0
            if "bias_gamma" in layer:
                q = (
                    dot(weight_x[3 * units + k], x_t)
                    + dot(weight_h[2 * units + k], h_before)
                    + layer["bias_gamma"][k].item()
                )
                gamma = SCALARS["sigmoid"](q)
            n[k] = gamma * n[k] + u * math.tanh(g) * f_a(p)
            d[k] = gamma * d[k] + f_a(p)
            if d[k] > 0:
                h[k] = f_h(n[k] / d[k])
        outputs.append([f_o(value) for value in h])
    return outputs


def dot(row: list[float], vector: list[float]) -> float:
    """Returns the product of a row with a vector."""
    return sum(weight * value for weight, value in zip(row, vector, strict=True))


SCALARS: Mapping[str, Callable[[float], float]] = {
    "exp": math.exp,
    "sigmoid": lambda p: 1 / (1 + math.exp(-p)),
    "softplus": lambda p: math.log(1 + math.exp(p)),
    "relu": lambda p: max(p, 0.0),
    "tanh": math.tanh,
    "identity": float,
}
