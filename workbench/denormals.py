"""Denormal numbers, which slow training down wherever gradients vanish."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Takes denormal numbers for 0 inside, in what this thread computes on the processor, and compiled kernels for it.

    They are those below 1.2e-38 in float32 and below 2.2e-308 in float64, and take a processor some hundred times as
    long. A gradient that vanishes over hundreds of steps comes to them: a pass of a GRU over 800 steps may take twenty
    times as long. A gradient that is itself so small becomes 0, which is too little to move a weight; all others are
    sums whose last digits are far above.

    PyTorch's own threads, where there are several, go on with denormal numbers, and so does a processor that cannot
    flush them.
    """
    # They take the mode from the thread that starts them, and would keep it.
    start_threads()
    before = are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def start_threads() -> None:
    """Makes sure that all of the threads that PyTorch divides its work among are running."""
    if (threads := torch.get_num_threads()) > 1:
        # No thread has fewer than 2^15 numbers.
        torch.empty(threads * 2**15).fill_(1.0)


def are_flushed() -> bool:
    """Returns whether this thread takes denormal numbers for 0."""
    return torch.full((1,), torch.finfo(torch.float32).tiny).div(2).item() == 0
