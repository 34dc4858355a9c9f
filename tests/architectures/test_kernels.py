"""The fast recurrence of the averages against the naive one, and its gradients against finite differences."""

import itertools

import pytest
import torch
from torch import Tensor

from architectures.kernels import ATTENTIONS, START, Attention, discounted_average
from architectures.kernels.naive import naive_discounted_average
from tests.architectures.cases import close, noise

CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True))]
Operands = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def operands(batch: int, time: int, units: int, discounted: bool) -> Operands:
    """x, input weight, bias, recurrent weight and r."""
    gates = 3 if discounted else 2
    shapes = [
        (batch, time, 2),
        (2, (1 + gates) * units),
        ((1 + gates) * units,),
        (units, gates * units),
        (batch, units),
    ]
    x, *rest = (noise(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes))
    return x, rest[0], rest[1], rest[2], rest[3]


@pytest.mark.parametrize(("batch", "time", "units"), [(1, 1, 1), (3, 1, 7), (3, 9, 1), (1, 9, 7), (3, 12, 7)])
@pytest.mark.parametrize(("attention", "hidden_tanh", "discounted"), CHOICES)
def test_fast_and_naive_agree(
    attention: Attention, hidden_tanh: bool, discounted: bool, batch: int, time: int, units: int
) -> None:
    """Averages and all gradients, the one with respect to the initial value included."""
    inputs = operands(batch, time, units, discounted)
    start = torch.full((batch, units), START, dtype=torch.float64)
    r, _ = discounted_average(*inputs, start, attention=attention, hidden_tanh=hidden_tanh)
    expected = naive_discounted_average(*inputs, attention=attention, hidden_tanh=hidden_tanh)
    close(r, expected)
    probe = noise(*r.shape, seed=9)
    # The weights of the recurrence take no part in a single step that starts from 0, yet they do from any other r.
    close(torch.autograd.grad((r * probe).sum(), inputs), torch.autograd.grad((expected * probe).sum(), inputs))


@pytest.mark.parametrize("carried", [False, True], ids=["start", "carried"])
@pytest.mark.parametrize(("attention", "hidden_tanh", "discounted"), CHOICES)
def test_gradients_are_those_of_finite_differences(
    attention: Attention, hidden_tanh: bool, discounted: bool, carried: bool
) -> None:
    """With respect to every operand, initial r and carried l included, of r and of l alike."""
    l = noise(2, 2, seed=7) if carried else torch.full((2, 2), START, dtype=torch.float64)
    inputs = (*operands(2, 4, 2, discounted), l.requires_grad_(carried))

    def outcome(x: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        input_weight, bias, recurrent_weight, r_0, l_0 = rest
        r, l = discounted_average(
            x, input_weight, bias, recurrent_weight, r_0, l_0, attention=attention, hidden_tanh=hidden_tanh
        )
        # While every relu has been closed since the start, l is near -1e30, whose differences are all rounding.
        return r, torch.where(l > START / 2, l, 0.0)

    assert torch.autograd.gradcheck(outcome, inputs)


def test_the_same_operands_give_the_same_bits_whatever_is_asked_for() -> None:
    """Gradients of some operands alone are those of all."""
    inputs = operands(2, 5, 3, True)
    start = torch.full((2, 3), START, dtype=torch.float64)
    r, _ = discounted_average(*inputs, start, attention="sigmoid", hidden_tanh=True)
    everything = torch.autograd.grad(r.sum(), inputs)
    for index in range(len(inputs)):
        frozen = [value if i == index else value.detach() for i, value in enumerate(inputs)]
        x, input_weight, bias, recurrent_weight, r_0 = frozen
        r, _ = discounted_average(
            x, input_weight, bias, recurrent_weight, r_0, start, attention="sigmoid", hidden_tanh=True
        )
        assert torch.equal(torch.autograd.grad(r.sum(), inputs[index])[0], everything[index])
