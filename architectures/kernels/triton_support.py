"""Support of the Triton kernels: on which devices they work, for which operands, and in which precision."""

import functools
import os

import torch
from torch import Tensor

from architectures.kernels import autograd
from architectures.kernels.triton_passes import Precision, TritonPasses, shared_memory

PRECISIONS: dict[str, Precision] = {"highest": "tf32x3", "high": "tf32", "medium": "bf16"}
"""The precision of float32 products, by PyTorch's setting (`torch.set_float32_matmul_precision`). Three products of
TF32 keep as many digits as one of float32, and unlike that run on the matrix units."""
MAX_UNITS = 512
"""The most units of which the gates of a step, for `TILE_ROWS` sequences, fit into one multiprocessor."""


def product_precision(device: torch.device, autocast_dtype: torch.dtype | None = None) -> Precision:
    """Returns the precision of recurrent products: autocast's, or else PyTorch's setting for products of float32.

    GPUs before Ampere have no matrix units for float32, nor does the interpreter.
    """
    if autocast_dtype == torch.float16:
        return "fp16"
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        return "ieee"
    if autocast_dtype is not None:
        return "bf16"
    try:
        return PRECISIONS[torch.get_float32_matmul_precision()]
    except RuntimeError:
        # PyTorch refuses to answer if its newer setting, which is of this backend alone, differs.
        return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "tf32x3"


def max_units(device: torch.device) -> int:
    """Returns up to how many units the weights of all gates fit into shared memory, however few rows at once."""
    return MAX_UNITS if shared_memory(device) >= 128 * 1024 else MAX_UNITS // 2


def supports(x: Tensor) -> bool:
    """Returns whether the kernels support the device and dtype of x; in Triton's interpreter, the CPU too."""
    device_supported = x.device.type == "cuda" or (x.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1")
    return device_supported and x.dtype == torch.float32


def unavailable_reason(device: torch.device) -> str | None:
    """Returns why the kernels cannot be used on a device; `None` if they can.

    The first call compiles and runs a small kernel, except while a CUDA graph is being recorded, which must not wait.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return None
    return try_kernel(device)


@functools.cache
def try_kernel(device: torch.device) -> str | None:
    """Runs a small kernel, independently of the caller's gradient and autocast modes; returns its error, if any."""
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            operands = [
                torch.zeros(shape, device=device) for shape in ((1, 2, 1), (1, 4), (4,), (1, 3), (1, 1), (1, 1))
            ]
            operands[1].requires_grad_()
            y, _, _ = autograd.discounted_average(
                *operands,
                attention="exp",
                hidden_tanh=False,
                output_tanh=False,
                passes=TritonPasses(product_precision(device)),
            )
            y.sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except Exception as error:  # Triton's compiler, the driver and a C compiler raise errors of their own.
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None
