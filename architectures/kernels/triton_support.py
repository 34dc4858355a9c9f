"""Where the Triton kernels work, for what, and in which precision."""

import functools
import os

import torch
from torch import Tensor

from architectures.kernels import autograd
from architectures.kernels.triton_passes import Precision, TritonPasses, shared_memory

PRECISIONS: dict[str, Precision] = {"highest": "tf32x3", "high": "tf32", "medium": "bf16"}
"""What float32 is multiplied in, by PyTorch's own setting (`torch.set_float32_matmul_precision`). Three products of
TF32 keep as many digits as one of float32, and unlike that run on the matrix units."""
MAX_UNITS = 512
"""The gates of a step of `ROWS` sequences have to find room in one multiprocessor."""


def precision(device: torch.device, mixed: torch.dtype | None = None) -> Precision:
    """What recurrent products are to be multiplied in: as autocast says, or else as PyTorch is set for products of
    float32. GPUs before Ampere have no matrix units for float32, nor has the interpreter."""
    if mixed == torch.float16:
        return "fp16"
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        return "ieee"
    if mixed is not None:
        return "bf16"
    try:
        return PRECISIONS[torch.get_float32_matmul_precision()]
    except RuntimeError:
        # PyTorch does not tell where its newer setting, of this backend alone, says something else.
        return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "tf32x3"


def max_units(device: torch.device) -> int:
    """Units up to which the weights of all gates find room, however few rows of them at once."""
    return MAX_UNITS if shared_memory(device) >= 128 * 1024 else MAX_UNITS // 2


def takes(x: Tensor) -> bool:
    """Whether the kernels are for numbers such as these; in Triton's interpreter, for the CPU's too."""
    here = x.device.type == "cuda" or (x.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1")
    return here and x.dtype == torch.float32


def failure(device: torch.device) -> str | None:
    """Why the kernels cannot be used on a device; `None` if they can. The first call compiles and runs a small one,
    unless a graph is being recorded, which must not wait for it."""
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return None
    return try_kernel(device)


@functools.cache
def try_kernel(device: torch.device) -> str | None:
    """`failure`, whatever mode the caller is in."""
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            operands = [
                torch.zeros(shape, device=device) for shape in ((1, 2, 1), (1, 4), (4,), (1, 3), (1, 1), (1, 1))
            ]
            operands[1].requires_grad_()
            y, _, _ = autograd.average(
                *operands,
                attention="exp",
                hidden_tanh=False,
                output_tanh=False,
                passes=TritonPasses(precision(device)),
            )
            y.sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except Exception as error:  # A compiler, a driver and a C compiler are asked: each has errors of its own.
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None
