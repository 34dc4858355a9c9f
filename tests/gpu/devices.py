"""Marks for tests that run on an NVIDIA GPU and, at small sizes, on the CPU."""

from typing import Any

import pytest
import torch

GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))
each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])


def each_backend(*cpu_backends: str) -> pytest.MarkDecorator:
    """Returns a mark that runs a test with each backend of the averages: all on a GPU, the named ones on the CPU."""
    cuda_parameters: list[Any] = [pytest.param("cuda", name, marks=GPU) for name in ("triton", "graphs", "eager")]
    return pytest.mark.parametrize(("device", "backend"), [*(("cpu", name) for name in cpu_backends), *cuda_parameters])


def size_for(device: str, *, cpu: int, cuda: int) -> int:
    """Returns the size for a device."""
    return cuda if device == "cuda" else cpu
