"""Reasons for failed measures, and the errors that are the machine's fault rather than the model's."""

import re

import torch

from workbench.files import describe_error

OUT_OF_MEMORY = "too little memory; fewer --workers, or a smaller --length, take less"
"""Reason why something is not available that may be available on the next try; results on disk are compared with it."""
OUT_OF_MEMORY_PATTERN = re.compile(r"out of memory|can't allocate memory|_ALLOC_FAILED")
"""Messages of PyTorch and NVIDIA's libraries that raise a general exception when memory runs out."""


class MachineError(Exception):
    """The machine failed, for a reason in one line. This says nothing about the model, so no result is kept."""


class BrokenGpuError(MachineError):
    """A GPU failed in a way that makes it unusable for the rest of this process."""


def failure_reason(error: BaseException, device: torch.device) -> str:
    """Returns in one line why a measure of a model failed; `OUT_OF_MEMORY` if memory ran out.

    Args:
        error: the failure.
        device: of the model.

    Raises:
        MachineError: if the GPU is broken, or `error` is such an error already.
    """
    if isinstance(error, MachineError):
        raise error
    if not is_working(device):
        raise BrokenGpuError(f"the GPU failed: {describe_error(error)}") from error
    text, kind = describe_error(error), type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or OUT_OF_MEMORY_PATTERN.search(text):
        return OUT_OF_MEMORY
    return text if text == kind else f"{kind}: {text}"


def is_working(device: torch.device) -> bool:
    """Returns whether a device can still be used: a GPU that has failed raises at every synchronization."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except (RuntimeError, AssertionError):
        return False
    return True
