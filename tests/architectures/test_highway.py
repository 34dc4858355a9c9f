"""Tests of the recurrence of highway layers: its own backward pass, against PyTorch's of the formulas."""

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import rhn
from architectures.kernels import highway
from architectures.kernels.highway import highway_recurrence
from architectures.recording import transformed
from architectures.rhn import RHNLayer
from architectures.stepwise import StepwiseLayer
from tests.architectures.cases import assert_close, noise

SHAPES = [(1, 1, 1, 1), (3, 1, 2, 4), (2, 9, 1, 5), (4, 7, 3, 6)]
Operands = tuple[Tensor, ...]


def random_operands(batch: int, time: int, depth: int, units: int) -> Operands:
    """Returns what the first layer is given, the start, the weights of every layer, and biases of those above."""
    shapes = [(batch, time, 2 * units), (batch, units), *[(2 * units, units)] * depth, *[(2 * units,)] * (depth - 1)]
    return tuple(noise(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes))


def compute(depth: int, operands: Operands) -> Tensor:
    given, start, *rest = operands
    return highway_recurrence(given, start, rest[:depth], rest[depth:])


def naive(depth: int, operands: Operands) -> Tensor:
    """Computes it as it is written."""
    given, s, *rest = operands
    outputs = []
    for step in given.unbind(1):
        for layer in range(depth):
            p, q = (s @ rest[layer].t() + (rest[depth + layer - 1] if layer else step)).chunk(2, dim=1)
            s = s * (1 - q.sigmoid()) + p.tanh() * q.sigmoid()
        outputs.append(s)
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize(("batch", "time", "depth", "units"), SHAPES)
def test_it_is_its_formulas(batch: int, time: int, depth: int, units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, and the gradients of all operands, of single ones too, twice from one graph."""
    # Blocks of the way back of which the last is not full.
    monkeypatch.setattr(highway, "BLOCK_STEPS", 4)
    operands = random_operands(batch, time, depth, units)
    expected, y = naive(depth, operands), compute(depth, operands)
    assert_close(y, expected)
    assert y.untyped_storage().nbytes() == y.numel() * y.element_size()
    probe = noise(*y.shape, seed=99)
    wanted = torch.autograd.grad(expected, operands, probe)
    for gradient in (probe, probe.transpose(0, 1).contiguous().transpose(0, 1)):
        assert_close(torch.autograd.grad(y, operands, gradient, retain_graph=True), wanted)
    for index, value in enumerate(operands):
        one = tuple(other if other is value else other.detach() for other in operands)
        assert_close(torch.autograd.grad(compute(depth, one), value, probe)[0], wanted[index])


def test_gradients_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(lambda *operands: compute(2, operands), random_operands(2, 3, 2, 3))


def test_shut_and_open_gates_have_finite_gradients() -> None:
    for size in (-1e4, 1e4):
        operands = random_operands(2, 4, 2, 3)
        y = compute(2, (operands[0] + size, *operands[1:]))
        assert y.isfinite().all()
        assert all(grad.isfinite().all() for grad in torch.autograd.grad(y.sum(), operands))


def test_operands_that_do_not_fit_are_refused() -> None:
    given, start, *rest = random_operands(3, 4, 2, 5)
    for first, weights in ((start[:1], rest[:2]), (start, rest[:1])):
        with pytest.raises(ValueError, match="do not fit"):
            highway_recurrence(given, first, weights, rest[2:])


def test_the_layer_trains_by_it_and_is_what_its_steps_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in evaluation, where it would keep what nobody needs, nor where it cannot be."""
    calls = []

    def counted(*operands: Any) -> Tensor:
        calls.append(len(operands))
        return highway_recurrence(*operands)

    monkeypatch.setattr(rhn, "highway_recurrence", counted)
    layer: Any = RHNLayer(3, 5, 2, False).double()
    x, state = noise(2, 6, 3), (noise(2, 5, seed=1),)
    y, after = layer(x, state)
    expected, last = StepwiseLayer.forward(layer, x, state)
    assert len(calls) == 1
    assert_close(y, expected)
    assert_close(after, last)
    probe = noise(*y.shape, seed=2)
    parameters = list(layer.parameters())
    wanted = torch.autograd.grad(expected, parameters, probe)
    assert_close(torch.autograd.grad(y, parameters, probe), wanted)
    with torch.no_grad():
        assert_close(layer(x, state)[0], expected)
    with transformed():
        assert_close(layer(x, state)[0], expected)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x, state)
    assert len(calls) == 1
    assert layer.to("meta")(x.to("meta"), tuple(part.to("meta") for part in state))[0].shape == y.shape
