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
