"""Xavier weights, as the RDA paper (section 6.1) has them for every unit it compares, and chrono biases."""

import math

import torch
from torch import Tensor, nn


def xavier_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fills a weight in place, uniformly within sqrt(6 / (fan_in + fan_out)) of 0 (Glorot and Bengio 2010, eq. 16).

    The fans are given, not read off the shape: gates are stored side by side, yet each is a map [x, h] -> gate.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)


def chrono_(longest: int, retain: Tensor, write: Tensor | None = None) -> None:
    """Fills the biases of a layer's gates in place, so that its units remember over spans up to that of the task
    (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", arXiv 1804.11188):

        b_retain = log u, u ~ U(1, longest - 1)        b_write = -b_retain

    A gate sigmoid(log u) = u / (1 + u) forgets over 1 + u steps: the spans are uniform between 2 and `longest`.

    Args:
        longest: the longest span T_max, in steps, at least 2.
        retain: (units,) the bias of the gate on what was there.
        write: (units,) the bias of the gate on what is new, where that is a gate of its own.

    Raises:
        TypeError, ValueError: if `longest` is no whole number, or below 2; said of `chrono`, the option behind it.
    """
    if isinstance(longest, bool) or not isinstance(longest, int):
        raise TypeError(f"chrono must be a whole number of steps, not {longest!r}")
    if longest < 2:
        raise ValueError(f"chrono must be at least 2 steps, not {longest}")
    with torch.no_grad():
        retain.uniform_(1, longest - 1).log_()
        if write is not None:
            write.copy_(-retain)


def chrono_choices(time: int) -> dict[str, list[int | None]]:
    """What a sweep chooses of `chrono` on sequences of `time` steps: without it, or with spans up to all of them.

    Nothing below 3 steps, where there is but one span to draw.
    """
    return {"chrono": [None, time]} if time > 2 else {}
