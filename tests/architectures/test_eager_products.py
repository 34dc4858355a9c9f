"""Products and tanh of the eager backend, against the same in double precision."""

import pytest
import torch
from torch import Tensor

from architectures.kernels import pointwise
from architectures.kernels.pointwise import product, tanh, tanh_of_all
from tests.architectures.cases import close, noise


def single(*shape: int, seed: int) -> Tensor:
    return noise(*shape, seed=seed).float()


@pytest.mark.parametrize("rows", [3, 300], ids=["small", "large"])
@pytest.mark.parametrize("form", ["plain", "transposed", "columns"])
def test_products_are_those_of_double_precision(rows: int, form: str) -> None:
    """However the operands lie in memory, and whichever library multiplies them."""
    a, weight = single(rows, 128, seed=1), single(96, 128, seed=2)
    if form == "transposed":
        a, weight = a.t().contiguous().t(), weight.t().contiguous().t()
    elif form == "columns":
        a, weight = torch.cat([a, a], dim=1)[:, 64:192], torch.cat([weight, weight], dim=1)[:, 64:192]
    assert (a.numel() * len(weight) >= pointwise.ONEDNN_FROM) == (rows == 300)
    close(product(a, weight), (a.double() @ weight.double().t()).float(), 1e-5)


def test_products_without_onednn_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    a, weight = single(300, 128, seed=1), single(96, 128, seed=2)
    fast = product(a, weight)
    monkeypatch.setattr(pointwise, "has_onednn", lambda: False)
    close(product(a, weight), fast, 1e-5)


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
    """A few steps at a time, with a remainder, in memory that has time first or last."""
    monkeypatch.setitem(pointwise.TOGETHER, "cpu", 60)
    for x in (noise(time, batch, units).transpose(0, 1), noise(batch, time, units)):
        x.requires_grad_()
        probe = noise(batch, time, units, seed=1)
        found, expected = tanh_of_all(x), x.tanh()
        close(found, expected)
        close(torch.autograd.grad((found * probe).sum(), x), torch.autograd.grad((expected * probe).sum(), x))
