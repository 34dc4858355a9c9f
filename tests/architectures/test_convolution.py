"""Tests of the short convolution: every way to compute it, against a loop over steps and taps."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from architectures.kernels import native
from architectures.kernels.convolution import TAPS, short_convolution
from architectures.recording import transformed
from architectures.short_convolution import ShortConvolution
from tests.architectures.cases import assert_close, noise

SHAPES = [(1, 1, 1), (3, 2, 7), (2, 3, 16), (1, 9, 2), (2, 17, 33), (9, 4, 64)]
Operands = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=["eager", "compiled"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Each available backend."""
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    return request.param


def random_operands(batch: int, time: int, channels: int) -> Operands:
    """Returns x, the past, weights and biases."""
    shapes = ((batch, time, channels), (batch, TAPS - 1, channels), (TAPS, channels), (channels,))
    x, past, weight, bias = (2 * noise(*shape, seed=seed) for seed, shape in enumerate(shapes))
    return x.requires_grad_(), past.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


def naive(x: Tensor, past: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computes it as it is written, tap by tap."""
    steps = []
    for t in range(x.shape[1]):
        v = bias.expand(x.shape[0], -1)
        for lag in range(TAPS):
            v = v + weight[lag] * (x[:, t - lag] if lag <= t else past[:, TAPS - 1 + t - lag])
        steps.append(v / (1 + (-v).exp()))
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize(("batch", "time", "channels"), SHAPES)
def test_it_is_a_loop(backend: Any, batch: int, time: int, channels: int) -> None:
    """Values and the gradients of all operands, from operands and gradients of any layout."""
    operands = random_operands(batch, time, channels)
    expected = naive(*operands)
    probe = noise(batch, time, channels, seed=5)
    wanted = torch.autograd.grad(expected, operands, probe)
    for order in ((0, 1, 2), (2, 0, 1)):
        back = tuple(order.index(place) for place in range(3))
        x, past = (value.detach().permute(order).contiguous().permute(back).requires_grad_() for value in operands[:2])
        y = short_convolution(x, past, operands[2], operands[3], backend)
        assert_close(y, expected)
        spread = probe.permute(order).contiguous().permute(back)
        assert_close(torch.autograd.grad(y, (x, past, *operands[2:]), spread), wanted)
    with torch.no_grad():
        assert_close(short_convolution(*operands, backend), expected)


def test_gradients_are_those_of_finite_differences(backend: Any) -> None:
    operands = random_operands(2, 5, 3)
    assert torch.autograd.gradcheck(lambda x, past, w, b: short_convolution(x, past, w, b, backend), operands)
    assert torch.autograd.gradcheck(lambda x, past, w: short_convolution(x, past, w, None, backend), operands[:3])


def test_no_bias_is_a_bias_of_zeros(backend: Any) -> None:
    x, past, weight, bias = random_operands(3, 5, 7)
    y = short_convolution(x, past, weight, None, backend)
    assert_close(y, naive(x, past, weight, torch.zeros_like(bias)))


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e4])
def test_single_precision_is_as_good_as_pytorchs(backend: Any, size: float) -> None:
    x, past, weight, bias = (value.detach() for value in random_operands(3, 40, 19))
    x, past = size * x, size * past
    exact = naive(x, past, weight, bias)
    single = short_convolution(x.float(), past.float(), weight.float(), bias.float(), backend)
    assert_close(single.double() / size, exact / size, 2e-6)


def test_gradients_of_weights_keep_single_precision_over_many_steps(backend: Any) -> None:
    """Sums of 20,000 terms, most of one sign."""
    operands = [value.detach() for value in random_operands(1, 20_000, 5)]
    operands[0], operands[1] = operands[0].abs(), operands[1].abs()
    grads = []
    for dtype in (torch.float64, torch.float32):
        x, past, weight, bias = (value.to(dtype).requires_grad_() for value in operands)
        y = short_convolution(x, past, weight, bias, backend)
        grads.append(torch.autograd.grad(y.sum(), (weight, bias)))
    for exact, single in zip(*grads, strict=True):
        assert float((single.double() - exact).norm() / exact.norm()) < 5e-7


def test_recorded_it_is_the_same() -> None:
    operands = random_operands(2, 6, 5)
    with transformed():
        assert_close(short_convolution(*operands), naive(*operands))


@pytest.mark.parametrize("time", [1, 2, 3, 7])
def test_the_module_carries_its_last_three_inputs(time: int) -> None:
    convolution: Any = ShortConvolution(5).double()
    x, past = noise(2, time, 5), noise(2, 3, 5, seed=1)
    y, carried = convolution(x, past)
    assert_close(carried, torch.cat([past, x], dim=1)[:, -3:], 0.0)
    assert carried.untyped_storage().nbytes() == carried.numel() * carried.element_size()
    assert_close(y, naive(x, past, convolution.weight, convolution.bias))
    first, _ = convolution(x, None)
    assert_close(first, naive(x, torch.zeros_like(past), convolution.weight, convolution.bias))


def test_operands_that_do_not_fit_are_refused() -> None:
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    x, past, weight, _ = (value.detach() for value in random_operands(2, 5, 3))
    weights = torch.cat([weight, weight[:1]])
    for wrong in ((x, past[:, 1:], weights), (x, past, weight), (x[..., :2], past, weights), (x[0], past, weights)):
        with pytest.raises(ValueError, match="must be"):
            torch.ops.sequence_workbench.convolution(*wrong)
    with pytest.raises(TypeError, match="all operands must be"):
        torch.ops.sequence_workbench.convolution(x, past.float(), weights)
    with pytest.raises(ValueError, match="the gradient must be like x"):
        torch.ops.sequence_workbench.convolution_backward(x, past, weights, x[:, 1:])
    assert_close(torch.ops.sequence_workbench.convolution(x, past, 0 * weights), silu(0 * x))
