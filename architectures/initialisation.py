"""Initialisation of weights and biases: Xavier weights (RDA paper, section 6.1) and chrono biases."""

import math

import torch
from torch import Tensor, nn

from architectures.limits import check_steps


def xavier_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fills a weight in place, uniformly within sqrt(6 / (fan_in + fan_out)) of 0 (Glorot and Bengio 2010, eq. 16).

    The fans are arguments, not read off the shape: gates are stored side by side, yet each is a map [x, h] -> gate.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)


def make_linear(inputs: int, outputs: int, *, maps: int = 1, bias: bool = False) -> nn.Linear:
    """Returns a linear layer with Xavier weights and, if it has any, zero biases.

    Args:
        inputs: features that it reads.
        outputs: features of each map.
        maps: maps that are stored as one.
        bias: whether it has biases.
    """
    layer = nn.Linear(inputs, maps * outputs, bias=bias)
    xavier_(layer.weight, inputs, outputs)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def chrono_(longest: int, retain: Tensor, write: Tensor | None = None) -> None:
    """Fills gate biases in place, so that units remember over spans of up to `longest` steps.

    Source: Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", arXiv 1804.11188:

        b_retain = log u, u ~ U(1, longest - 1)        b_write = -b_retain

    A gate sigmoid(log u) = u / (1 + u) forgets over 1 + u steps: the spans are uniform between 2 and `longest`.

    Args:
        longest: the longest span T_max, in steps, at least 2.
        retain: (units,) the bias of the gate on the previous content.
        write: (units,) the bias of the gate on the new content, if that is a separate gate.

    Raises:
        TypeError, ValueError: if `longest` is not a whole number, below 2 or beyond `MAX_STEPS`. The messages call it
            `chrono`, the option that sets it.
    """
    check_steps(2, chrono=longest)
    with torch.no_grad():
        retain.uniform_(1, longest - 1).log_()
        if write is not None:
            write.copy_(-retain)


def chrono_choices(time: int) -> dict[str, list[int | None]]:
    """Returns the search space of `chrono` for sequences of `time` steps: off, or spans of up to all steps.

    Empty below 3 steps, where there is only one span to draw.
    """
    return {"chrono": [None, time]} if time > 2 else {}
