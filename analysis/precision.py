"""What products are computed in: PyTorch's switches, set alike for everything that is compared."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch

from workbench.config import Precision

MatmulPrecision = Literal["highest", "high", "medium"]
"""Of products of float32, in PyTorch's words."""


@contextmanager
def products(precision: MatmulPrecision) -> Iterator[None]:
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
