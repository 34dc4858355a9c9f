"""Two hierarchical attention encoders, the second reading each sequence from its last valid step backwards."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.architectures.definitions.common import strip_prefix
from tests.architectures.definitions.han import han


def han_bidirectional(
    parameters: Mapping[str, Tensor], x: Tensor, options: Mapping[str, Any], lengths: list[int]
) -> Tensor:
    """y_t = W [onward_t, backward_t] + b, one sequence after the other; 0 behind each sequence's length."""
    sequences = []
    for row, length in enumerate(lengths):
        valid = x[row : row + 1, :length]
        onward = han(strip_prefix(parameters, "onward."), valid, options, [length])
        backward = han(strip_prefix(parameters, "backward."), valid.flip(1), options, [length]).flip(1)
        joined = torch.cat([onward, backward], dim=2)
        y = joined @ parameters["project.weight"].T + parameters["project.bias"]
        sequences.append(torch.cat([y, y.new_zeros(1, x.shape[1] - length, y.shape[2])], dim=1))
    return torch.cat(sequences)
