"""Sums over time in full precision, whatever the products around them have."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def full_precision(x: Tensor) -> Iterator[None]:
    """Turns autocast off, if it is on: sums over time are not taken in half precision."""
    if not torch.is_autocast_enabled(x.device.type):
        yield
        return
    with torch.autocast(x.device.type, enabled=False):
        yield


def at_least_single(x: Tensor) -> Tensor:
    """Returns a tensor in single precision, or in its own if that is higher."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def sum_dtype(x: Tensor) -> torch.dtype | None:
    """Returns the type of a state that is a sum over all steps so far, for a batch like x: single precision at least.

    In half precision, a sum of a few hundred terms is too large for the next one to change it. `None`, any
    floating-point type, under autocast.
    """
    if torch.is_autocast_enabled(x.device.type):
        return None
    return torch.promote_types(x.dtype, torch.float32)
