"""Whether a call is to consist of PyTorch's own operations: as they are recorded, or transformed, not only run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Not a `ContextVar`: `torch.compile` reads this one like any other global.
_transformed = False


def is_recording() -> bool:
    """Returns whether `torch.export` or `torch.jit.trace` records this call, or `torch.func` transforms it.

    What the first two record may run where this package is not installed, and the third knows no compiled kernel and no
    backward pass written by hand. So the call consists of PyTorch's own operations, none of which depends on the values
    of its data.
    """
    return is_exporting() or _transformed


def is_exporting() -> bool:
    """Returns whether this call is recorded for use without this package, with plain tuples for states."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def is_transformed() -> bool:
    """Returns whether this call is made within `transformed`."""
    return _transformed


@contextmanager
def transformed() -> Iterator[None]:
    """Lets encoders consist of operations that `torch.func.vmap` can transform, while the context lasts."""
    global _transformed
    before, _transformed = _transformed, True
    try:
        yield
    finally:
        _transformed = before
