"""The device that something runs on."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Literal

import torch
from torch import Tensor

from workbench.config import Precision
from workbench.errors import UserError


def device_named(name: str) -> str:
    """The device behind auto, cpu or cuda.

    Raises:
        UserError: if there is no such device here.
    """
    there = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if there else "cpu"
    if name == "cuda" and not there:
        raise UserError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return name


def release(device: str) -> None:
    """Gives back what PyTorch keeps of a GPU's memory for later: the processes beside this one cannot have it."""
    if device == "cuda":
        gc.collect()
        # A GPU that has failed says so once more, over what it has failed in.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def to_floats(scores: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
    """What scalar tensors hold, exactly, in one transfer from each device.

    Args:
        scores: scalar tensors by name, on any devices.
    """
    values = [value.detach() for each in scores for value in each.values()]
    found = {}
    for device in {value.device for value in values}:
        here = [value.reshape(()).double() for value in values if value.device == device]
        found[device] = iter(torch.stack(here).tolist())
    plain = iter([next(found[value.device]) for value in values])
    return [{name: next(plain) for name in each} for each in scores]


MatmulPrecision = Literal["highest", "high", "medium"]
"""Of products of float32, in PyTorch's words."""


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """Sets how products of float32 are computed: by `torch.set_float32_matmul_precision`, and in cuDNN, which has a
    switch of its own, with TF32 save at `highest`."""
    of_cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), of_cudnn.allow_tf32
    torch.set_float32_matmul_precision(precision)
    of_cudnn.allow_tf32 = precision != "highest"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        of_cudnn.allow_tf32 = before[1]


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Autocast where it is asked for. It is for forward passes alone: backward follows them."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")


def dtype(precision: Precision) -> torch.dtype:
    """Of the operands of a product."""
    return torch.bfloat16 if precision == "bf16" else torch.float32
