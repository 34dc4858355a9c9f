"""Tests of the eager backend's products and tanh against double precision."""

import pytest
import torch
from torch import Tensor

from architectures.kernels import pointwise
from architectures.kernels.pointwise import product, tanh, tanh_over_time
from tests.architectures.cases import assert_close, noise


def float32_noise(*shape: int, seed: int) -> Tensor:
    return noise(*shape, seed=seed).float()


@pytest.mark.parametrize("rows", [3, 300], ids=["small", "large"])
@pytest.mark.parametrize("form", ["plain", "transposed", "columns"])
def test_products_are_those_of_double_precision(rows: int, form: str) -> None:
    """However the operands lie in memory, and whichever library multiplies them."""
    a, weight = float32_noise(rows, 128, seed=1), float32_noise(96, 128, seed=2)
    if form == "transposed":
        a, weight = a.t().contiguous().t(), weight.t().contiguous().t()
    elif form == "columns":
        a, weight = torch.cat([a, a], dim=1)[:, 64:192], torch.cat([weight, weight], dim=1)[:, 64:192]
    assert (a.numel() * len(weight) >= pointwise.ONEDNN_MIN_MULTIPLY_ADDS) == (rows == 300)
    assert_close(product(a, weight), (a.double() @ weight.double().t()).float(), 1e-5)


def test_products_without_onednn_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    a, weight = float32_noise(300, 128, seed=1), float32_noise(96, 128, seed=2)
    fast = product(a, weight)
    monkeypatch.setattr(pointwise, "has_onednn", lambda: False)
    assert_close(product(a, weight), fast, 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_exact_near_zero_and_far_from_it(dtype: torch.dtype) -> None:
    x = torch.tensor([0.0, -0.0, 1e-30, -1e-8, 1e-3, 0.5, -3.0, 20.0, -50.0, 1e4, -1e30], dtype=dtype)
    out = torch.empty_like(x)
    tanh(x, out, torch.empty_like(x))
    torch.testing.assert_close(out, x.double().tanh().to(dtype), rtol=4 * torch.finfo(dtype).eps, atol=0)
    tanh(x, x, torch.empty_like(x))
    assert torch.equal(x, out)


@pytest.mark.parametrize(("batch", "time", "units"), [(1, 1, 1), (3, 50, 7), (2, 0, 3)])
def test_tanh_of_all_steps(monkeypatch: pytest.MonkeyPatch, batch: int, time: int, units: int) -> None:
    """Steps are processed in blocks, with a remainder, in memory that has time first or second."""
    monkeypatch.setitem(pointwise.BLOCK_NUMEL, "cpu", 60)
    for x in (noise(time, batch, units).transpose(0, 1), noise(batch, time, units)):
        x.requires_grad_()
        probe = noise(batch, time, units, seed=1)
        y, expected = tanh_over_time(x), x.tanh()
        assert_close(y, expected)
        assert_close(torch.autograd.grad((y * probe).sum(), x), torch.autograd.grad((expected * probe).sum(), x))
