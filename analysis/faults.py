"""Why a probe failed: what is said of a model, and what the machine is to blame for."""

import re

import torch

from workbench.files import one_line

BROKEN = re.compile(r"^CUDA error|^cuDNN error|CUBLAS_STATUS|CUDNN_STATUS")
"""How PyTorch says that a GPU failed where it has no exception of its own for it."""


class MachineError(Exception):
    """The machine failed, in a line. It says nothing of the model, so it is nothing to keep."""


def reason(error: Exception) -> str:
    """Why a measure of a model is not available, in a line.

    Raises:
        MachineError: if the GPU failed. After some errors it refuses all else that this process asks of it.
    """
    if broken(error):
        raise MachineError(said(error)) from error
    return said(error)


def said(error: Exception) -> str:
    """What went wrong, in a line."""
    if short_of_memory(error):
        return "too little memory; with fewer --workers, or a shorter --length, --again may find it"
    return f"the GPU failed: {one_line(error)}" if broken(error) else f"{type(error).__name__}: {one_line(error)}"


def broken(error: Exception) -> bool:
    """Whether the GPU failed."""
    if short_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or BROKEN.search(str(error)) is not None


def short_of_memory(error: Exception) -> bool:
    """Whether a GPU, or the machine, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
