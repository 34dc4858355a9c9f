"""The neural Turing machine (Graves et al. 2014, section 3), one sequence, step, head and slot at a time."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers
from tests.architectures.definitions.seq2seq import Step, choose_step


def ntm(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """y_t = [h_t, r_t]."""
    return torch.stack([run_sequence(parameters, row, options)[0] for row in x])


def run_sequence(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Returns the outputs for one sequence (time, features), and the memory and the weights after every step."""
    step, count = choose_step({"base": "lstm", **options})
    layers = split_layers(parameters, "base.layers.")
    slots, size, heads = options.get("slots", 128), options.get("slot_size", 20), options.get("num_heads", 1)
    units = options["hidden_size"]
    states: list[Step] = [
        tuple(layer.get(f"initial.{part}", x.new_zeros(units)) for part in range(count)) for layer in layers
    ]
    memory = [x.new_full((size,), 1e-6) for _ in range(slots)]
    if "first_weights" in parameters:
        # Of every head that writes, then of every one that reads.
        weights = [list(torch.softmax(part, 0)) for part in parameters["first_weights"].split(slots)]
        read = parameters["first_read"]
    else:
        weights = [[x.new_tensor(float(i == 0)) for i in range(slots)] for _ in range(2 * heads)]
        read = x.new_zeros(heads * size)
    outputs, seen = [], []
    for x_t in x:
        below = torch.cat([x_t, read])
        for index, layer in enumerate(layers):
            states[index] = step(layer, below, states[index])
            below = states[index][0]
        h = below
        addresses = parameters["addresses.weight"] @ h + parameters["addresses.bias"]
        vectors = parameters["erase_and_add.weight"] @ h + parameters["erase_and_add.bias"]
        by = addresses.split(size + 6)
        erased, added = (part.split(size) for part in vectors.split(heads * size))
        for head in range(heads):
            weights[head] = weigh(by[head], memory, weights[head])
        for head in range(heads):
            memory = [M * (1 - w * torch.sigmoid(erased[head])) for M, w in zip(memory, weights[head], strict=True)]
        for head in range(heads):
            memory = [M + w * added[head] for M, w in zip(memory, weights[head], strict=True)]
        for head in range(heads, 2 * heads):
            weights[head] = weigh(by[head], memory, weights[head])
        read = torch.cat([sum_of(weights[head], memory) for head in range(heads, 2 * heads)])
        outputs.append(torch.cat([h, read]))
        seen.append({"memory": torch.stack(memory), "weights": [torch.stack(each) for each in weights]})
    return torch.stack(outputs), seen


def sum_of(weights: list[Tensor], vectors: list[Tensor]) -> Tensor:
    """Returns the sum of vectors with their weights."""
    return torch.stack([w * v for w, v in zip(weights, vectors, strict=True)]).sum(0)


def weigh(by: Tensor, memory: list[Tensor], before: list[Tensor]) -> list[Tensor]:
    """Returns a head's weights: by content, between them and those before, shifted, sharpened (equations 5 to 9)."""
    slots, size = len(memory), len(memory[0])
    k = by[:size]
    s = torch.exp(by[size : size + 3]) / torch.exp(by[size : size + 3]).sum()
    beta, gamma = softplus(by[size + 3]), 1 + softplus(by[size + 4])
    g = 1 / (1 + torch.exp(-by[size + 5]))
    cosines = [(k @ M) / (torch.sqrt(k @ k) * torch.sqrt(M @ M) + 1e-8) for M in memory]
    exponentials = [torch.exp(beta * cosine) for cosine in cosines]
    gated = [g * c / sum(exponentials) + (1 - g) * w for c, w in zip(exponentials, before, strict=True)]
    # s is of -1, 0 and 1: what is shifted on comes from the slot before.
    shifted = [sum(gated[(i - j) % slots] * s[j + 1] for j in (-1, 0, 1)) for i in range(slots)]
    powers = [(w + 1e-12) ** gamma for w in shifted]
    return [power / sum(powers) for power in powers]


def softplus(z: Tensor) -> Tensor:
    """log(1 + e^z)."""
    return torch.log(1 + torch.exp(z))
