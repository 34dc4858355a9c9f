"""Devices: their choice, their memory, transfers from them, and the precision of what they compute."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from workbench.config import Precision
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MatmulPrecision = Literal["highest", "high", "medium"]
"""Precision of float32 products, in PyTorch's words."""


def resolve_device(name: str) -> str:
    """Returns the device that auto, cpu, cuda or mps (the GPU of a Mac) stands for.

    Raises:
        UserError: if this machine has no such device.
    """
    # Here and below, as what only names a precision does not wait for torch.
    import torch

    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name == "cuda" and not has_cuda:
        raise UserError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: PyTorch finds no GPU of a Mac here; use --device cpu")
    return name


def release_memory(device: str) -> None:
    """Releases the GPU memory that PyTorch keeps for later, as other processes cannot use it meanwhile."""
    if device in ("cuda", "mps"):
        import torch

        gc.collect()
        # A GPU that has failed raises its error again here, and would hide the first one.
        with suppress(RuntimeError):
            (torch.mps if device == "mps" else torch.cuda).empty_cache()


def to_floats(scores: "Sequence[Mapping[str, Tensor]]") -> list[dict[str, float]]:
    """Returns the exact values of scalar tensors, with one transfer from each device.

    Args:
        scores: scalar tensors by name, on any devices.
    """
    import torch

    from architectures.kernels.double_precision import float64_device

    values = [value.detach() for tensors in scores for value in tensors.values()]
    fetched = {}
    for device in {value.device for value in values}:
        on_device = [value.reshape(()) for value in values if value.device == device]
        on_device = [value.to(float64_device(device)).double() for value in on_device]
        fetched[device] = iter(torch.stack(on_device).tolist())
    floats = iter([next(fetched[value.device]) for value in values])
    return [{name: next(floats) for name in tensors} for tensors in scores]


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """Sets the precision of float32 products while the context lasts, in cuDNN too.

    cuDNN has a switch of its own: it may use TF32 except at `highest`.
    """
    import torch

    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    torch.set_float32_matmul_precision(precision)
    cudnn.allow_tf32 = precision != "highest"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Returns PyTorch's autocast, enabled for bf16. Only forward passes belong in it: backward follows them."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")


def operand_dtype(precision: Precision) -> "torch.dtype":
    """Returns the type of the operands of a product in a precision."""
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float32
