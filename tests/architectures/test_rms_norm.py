"""Tests of the root mean square norm, against its formula and PyTorch's own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from architectures.heads import HeadNorm, RMSNorm
from architectures.kernels.rms_norm import has_own_backward, rms_norm
from architectures.recording import transformed
from tests.architectures.cases import assert_close, noise

SHAPES = [(7,), (3, 5, 16), (2, 9, 4, 6), (4, 3, 1), (1, 1, 2, 1)]


@pytest.fixture(autouse=True)
def _whatever_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors, too, get the backward pass that is tested here."""
    monkeypatch.setattr("architectures.kernels.rms_norm.MIN_NUMEL", 1)


def naive(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_its_formula(shape: tuple[int, ...], heads: bool) -> None:
    """Values and both gradients, alone too, from operands and gradients of any layout."""
    if heads and len(shape) < 3:
        shape = (2, *shape)
    x, weight = noise(*shape).requires_grad_(), noise(*shape[-2 if heads else -1 :], seed=1).requires_grad_()
    expected, probe = naive(x, weight, 1e-5), noise(*shape, seed=2)
    wanted = torch.autograd.grad(expected, (x, weight), probe, retain_graph=True)
    assert_close(rms_norm(x, weight, 1e-5), expected)
    turned = x.detach().transpose(0, -1).contiguous().transpose(0, -1).requires_grad_()
    spread = probe.transpose(0, -1).contiguous().transpose(0, -1)
    for given, gradient in ((x, probe), (turned, probe), (turned, spread)):
        y = rms_norm(given, weight, 1e-5)
        assert_close(torch.autograd.grad(y, (given, weight), gradient), wanted)
    assert_close(torch.autograd.grad(rms_norm(x.detach(), weight, 1e-5), weight, probe)[0], wanted[1])
    assert_close(torch.autograd.grad(rms_norm(x, weight.detach(), 1e-5), x, probe)[0], wanted[0])
    with transformed():
        assert_close(rms_norm(x, weight, 1e-5), expected)


def test_gradients_are_those_of_finite_differences() -> None:
    for weight in (noise(4, seed=1), noise(3, 4, seed=1)):
        operands = (noise(2, 3, 4).requires_grad_(), weight.requires_grad_())
        assert torch.autograd.gradcheck(lambda x, scales: rms_norm(x, scales, 1e-3), operands)


@pytest.mark.parametrize("eps", [None, 1e-5])
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e6])
def test_single_precision_is_as_good_as_pytorchs(size: float, eps: float | None) -> None:
    """Beside double precision, with the epsilon of single precision."""
    plain, own = (make(64, eps=eps) for make in (nn.RMSNorm, RMSNorm))
    x, probe = size * noise(20, 50, 64), noise(20, 50, 64, seed=2)
    epsilon = torch.finfo(torch.float32).eps if eps is None else eps
    weight = torch.ones(64, dtype=torch.float64, requires_grad=True)
    exact_x = x.clone().requires_grad_()
    exact_y = naive(exact_x, weight, epsilon)
    exact = [exact_y.detach(), *torch.autograd.grad(exact_y, (exact_x, weight), probe)]
    errors: list[list[float]] = []
    for module in (plain, own):
        given = x.float().requires_grad_()
        y: Tensor = module(given)
        results = [y.detach(), *torch.autograd.grad(y, (given, module.weight), probe.float())]
        errors.append([float((a.double() - b).norm() / b.norm()) for a, b in zip(results, exact, strict=True)])
    for theirs, ours in zip(*errors, strict=True):
        assert ours < max(4 * theirs, 4e-7)


def test_zeros_have_a_finite_gradient() -> None:
    x = torch.zeros(3, 8, requires_grad=True)
    y = rms_norm(x, torch.ones(8), 1e-5)
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, torch.zeros(3, 8))
    assert_close(grad, torch.full((3, 8), 1e-5**-0.5), 1e-3)


def test_the_norm_of_heads_lays_them_side_by_side() -> None:
    norm: Any = HeadNorm(12).double()
    with torch.no_grad():
        norm.weight.copy_(noise(12, seed=3))
    x = noise(2, 5, 3, 4)
    y = norm(x)
    assert y.shape == (2, 5, 12)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        assert_close(y[..., part], naive(x[:, :, head], norm.weight[part], 1e-5))


@pytest.mark.parametrize("eps", [None, 1e-3])
@pytest.mark.parametrize("shape", [(6,), (3, 6)])
@pytest.mark.parametrize("affine", [False, True])
def test_the_module_is_pytorchs(affine: bool, shape: tuple[int, ...], eps: float | None) -> None:
    """With the options that no architecture uses, too."""
    own, plain = (make(shape, eps=eps, elementwise_affine=affine) for make in (RMSNorm, nn.RMSNorm))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = noise(4, 3, 6).to(dtype).requires_grad_()
        y, expected = own.to(dtype)(x), plain.to(dtype)(x)
        assert y.dtype == expected.dtype
        assert_close(y.double(), expected.double(), 1e-2 if dtype == torch.bfloat16 else 1e-6)
    with pytest.raises(RuntimeError, match="normalized_shape"):
        own(noise(4, 1).bfloat16())


def test_its_own_backward_is_for_the_training_of_large_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(20, 200, 64), torch.ones(64, requires_grad=True)
    assert has_own_backward(x, weight)
    with torch.no_grad():
        assert not has_own_backward(x, weight)
    assert not has_own_backward(x, weight.detach())
    assert not has_own_backward(x.bfloat16(), weight.bfloat16())
    with transformed():
        assert not has_own_backward(x, weight)
    monkeypatch.undo()
    assert has_own_backward(x, weight)
    assert not has_own_backward(x[:1, :1], weight)


def test_within_autocast_the_gradient_is_the_same() -> None:
    x, weight, probe = (noise(*shape, dtype=torch.float32) for shape in ((40, 30, 64), (64,), (40, 30, 64)))
    y = rms_norm(x.requires_grad_(), weight, 1e-5)
    (expected,) = torch.autograd.grad(y, x, probe, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        (grad,) = torch.autograd.grad(y, x, probe)
    assert torch.equal(grad, expected)
