"""Tests of the choice of a backend and its warnings on a GPU, which is simulated."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from architectures.kernels import dispatch, pick_backend, triton_support
from architectures.kernels.triton_support import product_precision


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(dispatch.BACKEND_VARIABLE, raising=False)
    dispatch.warn_once.cache_clear()
    yield
    dispatch.warn_once.cache_clear()


def gpu_tensor(dtype: torch.dtype = torch.float32) -> Any:
    """Returns a stand-in for a tensor, with the attributes that the choice reads."""
    return SimpleNamespace(device=torch.device("cuda", 0), dtype=dtype)


def set_triton_failure(monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
    """Makes the Triton kernels unavailable for a reason, or available."""
    monkeypatch.setattr(triton_support, "unavailable_reason", lambda device: reason)
    monkeypatch.setattr(triton_support, "shared_memory", lambda device: 227 * 1024)


def test_triton_where_it_works(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    set_triton_failure(monkeypatch, None)
    assert pick_backend(gpu_tensor(), units=512) == "triton"
    assert not caplog.records


@pytest.mark.parametrize(
    ("reason", "dtype", "units", "message"),
    [
        ("no C compiler", torch.float32, 64, "the Triton kernels do not work here: no C compiler"),
        (None, torch.float64, 64, "the Triton kernels take float32 on NVIDIA GPUs, not torch.float64 on cuda:0"),
        (None, torch.float32, 600, "the Triton kernels take 512 units at most here, not 600"),
    ],
)
def test_graphs_otherwise_and_why(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reason: str | None,
    dtype: torch.dtype,
    units: int,
    message: str,
) -> None:
    """In one line, once."""
    set_triton_failure(monkeypatch, reason)
    with caplog.at_level(logging.WARNING, "architectures"):
        assert [pick_backend(gpu_tensor(dtype), units=units) for _ in range(3)] == ["graphs"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"recurrent layers run as CUDA graphs, more slowly than as Triton kernels: {message}"
    ]


def test_eager_where_neither_works(monkeypatch: pytest.MonkeyPatch) -> None:
    set_triton_failure(monkeypatch, None)
    assert pick_backend(gpu_tensor(torch.bfloat16)) == "eager"


@pytest.mark.parametrize("name", ["graphs", "triton"])
def test_a_requested_gpu_backend_is_not_replaced(monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(RuntimeError, match=r"on NVIDIA GPUs, not torch\.float32 on cpu"):
        pick_backend(torch.zeros(1), name)
    monkeypatch.setenv(dispatch.BACKEND_VARIABLE, name)
    with pytest.raises(RuntimeError, match=r"on NVIDIA GPUs, not torch\.float32 on cpu"):
        pick_backend(torch.zeros(1))


@pytest.mark.parametrize(
    ("setting", "capability", "mixed", "expected"),
    [
        ("highest", (9, 0), None, "tf32x3"),
        ("high", (8, 0), None, "tf32"),
        ("medium", (9, 0), None, "bf16"),
        ("high", (7, 5), None, "ieee"),
        ("highest", (9, 0), torch.bfloat16, "bf16"),
        ("highest", (7, 0), torch.float16, "fp16"),
        ("highest", (7, 5), torch.bfloat16, "ieee"),
    ],
)
def test_precision_is_what_pytorch_and_autocast_are_set_to(
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    capability: tuple[int, int],
    mixed: torch.dtype | None,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: setting)
    assert product_precision(torch.device("cuda"), mixed) == expected
    assert product_precision(torch.device("cpu")) == "ieee"


@pytest.mark.parametrize(("setting", "expected"), [("tf32", "tf32"), ("ieee", "tf32x3")])
def test_precision_by_the_setting_of_the_backend_alone(
    monkeypatch: pytest.MonkeyPatch, setting: str, expected: str
) -> None:
    """PyTorch's older setting does not reflect it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    before = torch.backends.cuda.matmul.fp32_precision
    try:
        torch.backends.cuda.matmul.fp32_precision = setting
        assert product_precision(torch.device("cuda")) == expected
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
