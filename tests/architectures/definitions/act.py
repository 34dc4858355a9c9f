"""Adaptive computation time (Graves 2016, section 2), one sequence, step and micro-step at a time."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import split_layers
from tests.architectures.definitions.seq2seq import Step, choose_step


def act(parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]) -> Tensor:
    """y_t = sum_n p^n y^n, and so each state."""
    return torch.stack([ponder_sequence(parameters, row, options)[0] for row in x])


def ponder_sequence(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any]
) -> tuple[Tensor, list[Tensor]]:
    """Returns the outputs for one sequence (time, features), and N + R of every step."""
    step, count = choose_step({"base": "lstm", **options})
    layers = split_layers(parameters, "base.layers.")
    states: list[Step] = [(x.new_zeros(options["hidden_size"]),) * count for _ in layers]
    outputs, pondered = [], []
    for x_t in x:
        weights: list[Tensor] = []
        seen: list[list[Step]] = []
        halted = x.new_zeros(())
        while True:
            below = torch.cat([x_t, x.new_tensor([0.0 if seen else 1.0])])
            now: list[Step] = []
            for layer, before in zip(layers, seen[-1] if seen else states, strict=True):
                now.append(step(layer, below, before))
                below = now[-1][0]
            seen.append(now)
            h = torch.sigmoid(parameters["halt.weight"][0] @ below + parameters["halt.bias"][0])
            if len(seen) == options.get("max_ponder", 20) or float((halted + h).detach()) >= 0.99:
                weights.append(1 - halted)
                break
            weights.append(h)
            halted = halted + h
        states = [
            tuple(
                torch.stack([p * now[layer][part] for p, now in zip(weights, seen, strict=True)]).sum(0)
                for part in range(count)
            )
            for layer in range(len(layers))
        ]
        outputs.append(torch.stack([p * now[-1][0] for p, now in zip(weights, seen, strict=True)]).sum(0))
        pondered.append(len(seen) + weights[-1])
    return torch.stack(outputs), pondered
