"""Why a measure failed: what is said of the model, and what the machine is to blame for."""

import re

import torch

from workbench.files import one_line

LACKING = "too little memory; fewer --workers, or a smaller --length, take less"
"""Why something is not available that another try may find."""
SHORT = re.compile(r"out of memory|can't allocate memory|_ALLOC_FAILED")
"""How PyTorch and NVIDIA's libraries say so where there is no exception of its own for it."""


class MachineError(Exception):
    """The machine failed, in a line. It says nothing of the model, so it is nothing to keep."""


class BrokenError(MachineError):
    """A GPU failed so that it refuses all else that this process asks of it."""


def reason(error: BaseException, device: torch.device) -> str:
    """Why a measure of a model on a device is not available, in a line; `LACKING` for want of memory.

    Raises:
        MachineError: if the GPU is broken, or the error is one already.
    """
    if isinstance(error, MachineError):
        raise error
    if not working(device):
        raise BrokenError(f"the GPU failed: {one_line(error)}") from error
    text, kind = one_line(error), type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or SHORT.search(text):
        return LACKING
    return text if text == kind else f"{kind}: {text}"


def working(device: torch.device) -> bool:
    """Whether a device still does what it is told: a GPU that has failed says so whenever it is waited for."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except (RuntimeError, AssertionError):
        return False
    return True
