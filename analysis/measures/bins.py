"""Steps put together to bins, so that long sequences fit into a figure."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


def spaced(count: int, most: int, *, log: bool = False, start: int = 0) -> list[slice]:
    """Neighbouring places `start` .. count - 1, cut into at most so many bins of equal width; none is empty.

    Args:
        count: places.
        most: bins.
        log: whether the widths are equal on a logarithmic axis, on which the places count from 1.
        start: the first place.
    """
    if log:
        edges = np.geomspace(start + 1, count + 1, most + 1) - 1
    else:
        edges = np.linspace(start, count, min(most, count - start) + 1)
    cuts = np.unique(np.clip(np.round(edges).astype(int), start, count))
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def means(values: Tensor, parts: list[slice], dim: int = 1) -> Tensor:
    """The mean in each bin along a dimension; NaN is left out, and what remains where a bin has nothing else."""
    return torch.stack([values.narrow(dim, part.start, part.stop - part.start).nanmean(dim) for part in parts], dim)


def centres(parts: list[slice], first: float = 1.0) -> np.ndarray:
    """The middle of each bin, places being counted from `first`."""
    return np.array([first + (part.start + part.stop - 1) / 2 for part in parts])
