"""The recurrent weighted average and recurrent discounted attention (RDA paper, sections 3 and 5)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from architectures.kernels.naive import naive_discounted_average
from tests.architectures.definitions.common import layers


def rwa(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """f_a = exp, f_h = tanh, f_o = identity, no discount."""
    return rda(parameters, x, {}, lengths, attention="exp", hidden="tanh", output="identity")


def rda(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int], **fixed: str
) -> Tensor:
    """n_t / d_t step by step, then f_h and f_o, layer upon layer."""
    attention, hidden, output = activations({**options, **fixed})
    for own in layers(parameters, "layers."):
        units = len(own["bias_u"])
        biases = [own.get(name, x.new_zeros(units)) for name in ("bias_u", "bias_g", "bias_a")]
        if "bias_gamma" in own:
            biases.append(own["bias_gamma"])
        s = own["initial"] if "initial" in own else x.new_zeros(units)
        average = naive_discounted_average(
            x,
            own["weight_x"].T,
            torch.cat(biases),
            own["weight_h"].T,
            s.repeat(x.shape[0], 1),
            attention=attention,
            hidden_tanh=hidden == "tanh",
        )
        x = average.tanh() if hidden == "tanh" else average
        x = x.tanh() if output == "tanh" else x
    return x


def activations(options: Mapping[str, Any]) -> tuple[Any, str, str]:
    """f_a, f_h and f_o, the RDA's defaults where they are not given."""
    return options.get("attention", "exp"), options.get("hidden", "identity"), options.get("output", "tanh")


def scalar_loop(
    own: Mapping[str, Tensor], x: list[list[float]], attention: str, hidden: str, output: str
) -> list[list[float]]:
    """The same once more for one layer and one sequence, one number at a time, without torch's arithmetic.

    The rows of `weight_x` are W_u, W_g, W_a, W_gamma; those of `weight_h` have no W_u.
    """
    units = len(own["bias_u"])
    zeros = [0.0] * units
    biases = {name: own[name].tolist() if name in own else zeros for name in ("bias_u", "bias_g", "bias_a")}
    of_x, of_h = own["weight_x"].tolist(), own["weight_h"].tolist()
    f_a, f_h, f_o = SCALARS[attention], SCALARS[hidden], SCALARS[output]
    s = own["initial"].tolist() if "initial" in own else zeros
    h, n, d = [f_h(value) for value in s], list(zeros), list(zeros)
    outputs = []
    for step in x:
        before = h
        h = list(before)
        for k in range(units):
            u = dot(of_x[k], step) + biases["bias_u"][k]
            g = dot(of_x[units + k], step) + dot(of_h[k], before) + biases["bias_g"][k]
            p = dot(of_x[2 * units + k], step) + dot(of_h[units + k], before) + biases["bias_a"][k]
            gamma = 1.0
            if "bias_gamma" in own:
                q = dot(of_x[3 * units + k], step) + dot(of_h[2 * units + k], before) + own["bias_gamma"][k].item()
                gamma = SCALARS["sigmoid"](q)
            n[k] = gamma * n[k] + u * math.tanh(g) * f_a(p)
            d[k] = gamma * d[k] + f_a(p)
            if d[k] > 0:
                h[k] = f_h(n[k] / d[k])
        outputs.append([f_o(value) for value in h])
    return outputs


def dot(row: list[float], vector: list[float]) -> float:
    """The product of a row with a vector."""
    return sum(weight * value for weight, value in zip(row, vector, strict=True))


SCALARS: Mapping[str, Callable[[float], float]] = {
    "exp": math.exp,
    "sigmoid": lambda p: 1 / (1 + math.exp(-p)),
    "softplus": lambda p: math.log(1 + math.exp(p)),
    "relu": lambda p: max(p, 0.0),
    "tanh": math.tanh,
    "identity": float,
}
