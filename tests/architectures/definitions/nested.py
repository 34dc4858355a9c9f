"""Encoders that run another one: attention over its outputs, and one from each end."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import strip_prefix


def run_base(
    parameters: Mapping[str, Tensor], prefix: str, x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """Returns the outputs of the encoder inside, by its own definition."""
    from tests.architectures.definitions import DEFINITIONS

    own = {key: options[key] for key in ("hidden_size", "num_layers") if key in options}
    definition = DEFINITIONS[options.get("base", "lstm")]
    return definition(strip_prefix(parameters, prefix), x, {**own, **(options.get("base_options") or {})}, lengths)


def rnn_attention(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """[y_t, r_t] with r_t = sum_i exp(p_i) y_i / sum_i exp(p_i), p_t = v . tanh(W y_t + b), a v for each head, over the
    steps so far or, as a single vector, over all valid ones."""
    y = run_base(parameters, "base.", x, options, lengths)
    W, b, V = (parameters[name] for name in ("hidden.weight", "hidden.bias", "score.weight"))
    size, rows = y.shape[2] // len(V), []
    for row, length in enumerate(lengths):
        steps = []
        for t in range(x.shape[1]):
            read = range(max(1, length)) if options.get("context") == "whole" else range(t + 1)
            averages = []
            for head, v in enumerate(V):
                own = slice(head * size, (head + 1) * size)
                weights = torch.stack([torch.exp(torch.tanh(W @ y[row, i] + b) @ v) for i in read])
                values = torch.stack([y[row, i, own] for i in read])
                averages.append((weights.unsqueeze(1) * values).sum(0) / weights.sum())
            steps.append(torch.cat([y[row, t], *averages]))
        rows.append(torch.stack(steps))
    return torch.stack(rows)


def bidirectional(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """[onward_t, backward_t], one sequence after the other; 0 behind each sequence's length."""
    sequences = []
    for row, length in enumerate(lengths):
        valid = x[row : row + 1, :length]
        onward = run_base(parameters, "onward.", valid, options, [length])
        backward = run_base(parameters, "backward.", valid.flip(1), options, [length]).flip(1)
        y = torch.cat([onward, backward], dim=2)
        sequences.append(torch.cat([y, y.new_zeros(1, x.shape[1] - length, y.shape[2])], dim=1))
    return torch.cat(sequences)
