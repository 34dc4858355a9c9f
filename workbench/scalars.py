"""Scores as numbers, many at a time: a GPU that is asked for a number first does all that it has been told to."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def numbers(scores: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
    """What scalar tensors hold, exactly, in one transfer from each device.

    Args:
        scores: scalar tensors by name, on any devices.
    """
    values = [value.detach() for each in scores for value in each.values()]
    found = {}
    for device in {value.device for value in values}:
        here = [value.reshape(()).double() for value in values if value.device == device]
        found[device] = iter(torch.stack(here).tolist())
    plain = iter([next(found[value.device]) for value in values])
    return [{name: next(plain) for name in each} for each in scores]
