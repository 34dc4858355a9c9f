"""Tests of the dilated convolution by products, against PyTorch's own and a loop."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv1d

from architectures.kernels.dilated_convolution import dilated_convolution, takes_products
from architectures.recording import transformed
from architectures.tcn import CausalConvolution
from tests.architectures.cases import assert_close, noise

# Batch, time, channels in and out, taps, dilation: with taps that see everything, a part, and nothing.
SHAPES = [(1, 1, 1, 1, 2, 1), (3, 9, 2, 5, 3, 1), (2, 9, 4, 4, 4, 4), (2, 6, 3, 7, 7, 8), (5, 70, 6, 2, 1, 3)]


def random_operands(batch: int, time: int, inputs: int, outputs: int, taps: int, dilation: int) -> tuple[Tensor, ...]:
    """Returns x, the past, the weight and the bias."""
    shapes = [(batch, inputs, time), (batch, inputs, (taps - 1) * dilation), (outputs, inputs, taps), (outputs,)]
    return tuple(noise(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes))


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_pytorchs_convolution(shape: tuple[int, ...], carried: bool) -> None:
    """Values and the gradients of all operands, of single ones too, from operands of either layout."""
    dilation = shape[-1]
    x, past, weight, bias = random_operands(*shape)
    past = past if carried else torch.zeros_like(past)
    leaves = (x, *([past] if carried else []), weight, bias)
    expected = conv1d(torch.cat([past, x], dim=2), weight, bias, dilation=dilation)
    probe = noise(*expected.shape, seed=9)
    wanted = torch.autograd.grad(expected, leaves, probe)

    def compute(*operands: Tensor) -> Tensor:
        first, *middle, third, fourth = operands
        return dilated_convolution(first, middle[0] if middle else None, third, fourth, dilation)

    y = compute(*leaves)
    assert_close(y, expected)
    for gradient in (probe, probe.transpose(1, 2).contiguous().transpose(1, 2)):
        assert_close(torch.autograd.grad(y, leaves, gradient, retain_graph=True), wanted)
    for index, value in enumerate(leaves):
        one = [other if other is value else other.detach() for other in leaves]
        assert_close(torch.autograd.grad(compute(*one), value, probe)[0], wanted[index])
    turned = x.detach().transpose(1, 2).contiguous().transpose(1, 2)
    assert_close(compute(turned, *leaves[1:]), expected)


def test_it_is_a_loop_over_steps_and_taps() -> None:
    x, past, weight, bias = (value.detach() for value in random_operands(2, 5, 3, 4, 3, 2))
    y = dilated_convolution(x, past, weight, bias, 2)
    for t in range(5):
        total = bias.expand(2, -1)
        for tap in range(3):
            place = t - 2 * (2 - tap)
            total = total + (x[:, :, place] if place >= 0 else past[:, :, 4 + place]) @ weight[:, :, tap].t()
        assert_close(y[:, :, t], total)


def test_gradients_are_those_of_finite_differences() -> None:
    operands = random_operands(2, 4, 2, 3, 3, 2)
    assert torch.autograd.gradcheck(lambda x, past, w, b: dilated_convolution(x, past, w, b, 2), operands)
    x, _, weight, bias = operands
    assert torch.autograd.gradcheck(lambda x, w, b: dilated_convolution(x, None, w, b, 2), (x, weight, bias))


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("time", [1, 3, 6, 7, 100])
def test_the_module_is_the_same_by_either_way(time: int, carried: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and carried inputs."""
    convolution: Any = CausalConvolution(3, 4, 4, 2).double()
    x, past = noise(2, 3, time), noise(2, 3, 6, seed=1) if carried else None
    results = []
    for steps in (1, 10_000):
        for name in ("MIN_STEPS", "MIN_ROWS"):
            monkeypatch.setattr(f"architectures.kernels.dilated_convolution.{name}", steps)
        assert takes_products(x, True) is (steps == 1)
        results.append(convolution(x, past))
    assert_close(results[0], results[1])
    left = results[0][1]
    assert left.untyped_storage().nbytes() == left.numel() * left.element_size()


def test_hooks_and_recorded_programs_get_pytorchs_convolution() -> None:
    convolution: Any = CausalConvolution(3, 4, 2, 1).double()
    x = noise(10, 3, 100)
    assert takes_products(x, True)
    assert not takes_products(x, False)
    with transformed():
        assert not takes_products(x, True)
    with torch.no_grad():
        assert not takes_products(x, True)
    assert not takes_products(x[:9], True)
    assert not takes_products(x.repeat(2, 1, 1)[:, :, :99], True)
    assert not takes_products(x.half(), True)
    with torch.autocast("cpu", torch.bfloat16):
        assert not takes_products(x, True)
    expected, _ = convolution(x, None)
    calls = []
    convolution.conv.register_forward_hook(lambda module, args, output: calls.append(output))
    y, _ = convolution(x, None)
    assert len(calls) == 1
    assert_close(y, expected)
