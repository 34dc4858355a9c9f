"""Tests that run on an NVIDIA GPU and, at sizes that take no time, on the CPU."""

from typing import Any

import pytest
import torch

GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))
each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])


def each_backend(*on_cpu: str) -> pytest.MarkDecorator:
    """Runs a test with each backend of the averages: those of a GPU there, and those named on the CPU."""
    there: list[Any] = [pytest.param("cuda", name, marks=GPU) for name in ("triton", "graphs", "eager")]
    return pytest.mark.parametrize(("device", "backend"), [*(("cpu", name) for name in on_cpu), *there])


def largest(device: str, *, cpu: int, cuda: int) -> int:
    """A size for each device."""
    return cuda if device == "cuda" else cpu
