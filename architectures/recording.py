"""Whether PyTorch records the operations of a call, to run them elsewhere, rather than only runs them."""

import torch


def is_recording() -> bool:
    """Returns whether `torch.export` or `torch.jit.trace` records this call.

    What they record may run where this package is not installed, so it contains PyTorch's own operations and plain
    tuples only.
    """
    return torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
