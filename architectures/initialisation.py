"""Xavier weights, as the RDA paper (section 6.1) has them for every unit it compares."""

import math

from torch import Tensor, nn


def xavier_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fills a weight in place, uniformly within sqrt(6 / (fan_in + fan_out)) of 0 (Glorot and Bengio 2010, eq. 16).

    The fans are given, not read off the shape: gates are stored side by side, yet each is a map [x, h] -> gate.
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)
