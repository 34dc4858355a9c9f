"""Tests of every backend of the averages' recurrence against the naive loop and finite differences."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures.kernels import (
    ATTENTIONS,
    INITIAL_LOG_DENOMINATOR,
    Attention,
    discounted_average,
    discounted_average_states,
    native,
    pick_backend,
)
from architectures.kernels.naive import naive_discounted_average
from tests.architectures.cases import assert_close, noise

CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True), (False, True))]
Operands = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
each_choice = pytest.mark.parametrize(("attention", "hidden_tanh", "output_tanh", "discounted"), CHOICES)


@pytest.fixture(params=["eager", "compiled"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Each available backend."""
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    return request.param


def random_operands(
    batch: int, time: int, units: int, discounted: bool, dtype: torch.dtype = torch.float64
) -> Operands:
    """Returns random x, weight_x, bias, weight_h and r, scaled such that sums over weights stay near 1."""
    gates = 3 if discounted else 2
    shapes = [
        (batch, time, 2),
        (2, (1 + gates) * units),
        ((1 + gates) * units,),
        (units, gates * units),
        (batch, units),
    ]
    x, *rest = (noise(*shape, seed=seed) for seed, shape in enumerate(shapes))
    rest[2] /= units**0.5
    x, *rest = (value.to(dtype).requires_grad_() for value in (x, *rest))
    return x, rest[0], rest[1], rest[2], rest[3]


def apply_activations(r: Tensor, hidden_tanh: bool, output_tanh: bool) -> Tensor:
    """Returns o = f_o(f_h(r))."""
    h = r.tanh() if hidden_tanh else r
    return h.tanh() if output_tanh else h


@pytest.mark.parametrize(
    ("batch", "time", "units"), [(1, 1, 1), (3, 1, 7), (3, 9, 1), (1, 9, 7), (3, 12, 7), (29, 3, 33)]
)
@each_choice
def test_fast_and_naive_agree(
    backend: Any,
    attention: Attention,
    hidden_tanh: bool,
    output_tanh: bool,
    discounted: bool,
    batch: int,
    time: int,
    units: int,
) -> None:
    """Outputs, averages and all gradients agree, the one with respect to the initial value included."""
    inputs = random_operands(batch, time, units, discounted)
    start = torch.full((batch, units), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh}
    y, last, _ = discounted_average(*inputs, start, output_tanh=output_tanh, backend=backend, **options)
    expected = naive_discounted_average(*inputs, **options)
    assert_close(y, apply_activations(expected, hidden_tanh, output_tanh))
    assert_close(last, expected[:, -1])
    with torch.no_grad():
        assert_close(discounted_average_states(*inputs, start, backend=backend, **options)[0], expected)
    probe, of_last = noise(*y.shape, seed=9), noise(*last.shape, seed=10)
    # The weights of the recurrence take no part in a single step that starts from 0, yet they do from any other r.
    wanted = (apply_activations(expected, hidden_tanh, output_tanh) * probe).sum() + (expected[:, -1] * of_last).sum()
    assert_close(
        torch.autograd.grad((y * probe).sum() + (last * of_last).sum(), inputs), torch.autograd.grad(wanted, inputs)
    )


@each_choice
def test_gradients_are_those_of_finite_differences(
    backend: Any, attention: Attention, hidden_tanh: bool, output_tanh: bool, discounted: bool
) -> None:
    """Of all outputs, r and l included, with respect to every operand, initial r and, in half the cases, l included."""
    carried = hidden_tanh == output_tanh
    l = noise(2, 2, seed=7) if carried else torch.full((2, 2), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    inputs = (*random_operands(2, 4, 2, discounted), l.requires_grad_(carried))

    def outcome(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight_x, bias, weight_h, r_0, l_0 = given
        y, r, l = discounted_average(
            x,
            weight_x,
            bias,
            weight_h,
            r_0,
            l_0,
            attention=attention,
            hidden_tanh=hidden_tanh,
            output_tanh=output_tanh,
            backend=backend,
        )
        # While every relu has been closed since the start, l is near -1e30, whose differences are all rounding.
        return y, r, torch.where(l > INITIAL_LOG_DENOMINATOR / 2, l, 0.0)

    assert torch.autograd.gradcheck(outcome, inputs)


SMOOTH = [choice for choice in CHOICES if choice[0] != "relu"]
"""Near a closing relu the gradient 1 / p has no bound, and rounding decides: it is compared in double precision."""


@pytest.mark.parametrize(
    ("batch", "time", "units"),
    [(1, 1, 1), (3, 1, 250), (3, 40, 7), (1, 40, 250), (29, 40, 64), (29, 6, 200)],
)
@pytest.mark.parametrize(("attention", "hidden_tanh", "output_tanh", "discounted"), SMOOTH)
def test_compiled_and_eager_agree_in_single_precision(
    attention: Attention, hidden_tanh: bool, output_tanh: bool, discounted: bool, batch: int, time: int, units: int
) -> None:
    """Values and gradients to 1e-6 of their norm. Some gradients are sums that all but cancel (those of alpha do so by
    law), and are less exact in single precision: there, to within the error of the eager backend."""
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "output_tanh": output_tanh}

    def outcome(backend: Any, dtype: torch.dtype) -> list[Tensor]:
        inputs = random_operands(batch, time, units, discounted, dtype)
        l = torch.full((batch, units), INITIAL_LOG_DENOMINATOR, dtype=dtype)
        y, r, log = discounted_average(*inputs, l, backend=backend, **options)
        probe = noise(*y.shape, seed=9).to(dtype)
        grads = torch.autograd.grad((y * probe).sum() + log.sum(), inputs)
        return [value.detach() for value in (y, r, log, *grads)]

    exact = outcome("eager", torch.float64)
    triples = zip(outcome("compiled", torch.float32), outcome("eager", torch.float32), exact, strict=True)
    for compiled, eager, expected in triples:
        norm = float(expected.norm()) or 1.0
        eager_error = float((eager - expected).norm()) / norm
        assert float((compiled - eager).norm()) / norm <= max(1e-6, 4 * eager_error)


def test_the_same_operands_give_the_same_bits_whatever_is_asked_for(backend: Any) -> None:
    """Gradients of single operands are those of all, and the outputs are the same without gradients."""
    inputs = random_operands(2, 5, 3, True)
    start = torch.full((2, 3), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    options: dict[str, Any] = {"attention": "sigmoid", "hidden_tanh": True, "output_tanh": True, "backend": backend}
    y, _, _ = discounted_average(*inputs, start, **options)
    everything = torch.autograd.grad(y.sum(), inputs)
    with torch.no_grad():
        assert torch.equal(discounted_average(*inputs, start, **options)[0], y)
    for index in range(len(inputs)):
        x, weight_x, bias, weight_h, r_0 = (v if i == index else v.detach() for i, v in enumerate(inputs))
        y, _, _ = discounted_average(x, weight_x, bias, weight_h, r_0, start, **options)
        assert torch.equal(torch.autograd.grad(y.sum(), inputs[index])[0], everything[index])


def test_gradients_may_come_in_any_layout_or_not_at_all(backend: Any) -> None:
    """Gradients may come from the outputs, the state or both, in any memory layout, or expanded from one number."""
    inputs = random_operands(3, 4, 5, True)
    start = torch.full((3, 5), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    options: dict[str, Any] = {"attention": "exp", "hidden_tanh": False, "output_tanh": True, "backend": backend}
    probe = noise(3, 4, 5, seed=9)
    y, r, l = discounted_average(*inputs, start, **options)
    plain = torch.autograd.grad(y, inputs, probe, retain_graph=True)
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        back = [order.index(axis) for axis in range(3)]
        spread = probe.permute(order).contiguous().permute(back)
        assert spread.stride() != probe.stride()
        assert_close(torch.autograd.grad(y, inputs, spread, retain_graph=True), plain)
    ones = torch.autograd.grad(y, inputs, torch.ones_like(probe), retain_graph=True)
    assert_close(torch.autograd.grad(y.sum(), inputs, retain_graph=True), ones)
    both = torch.autograd.grad(r.sum() + l.sum(), inputs, retain_graph=True)
    whole = torch.autograd.grad(y.sum() + r.sum() + l.sum(), inputs)
    assert_close(whole, [one + other for one, other in zip(both, ones, strict=True)])


def test_the_number_of_threads_does_not_change_results(backend: Any) -> None:
    """More threads than rows, as many, and fewer give the same outputs and gradients."""
    inputs = random_operands(5, 7, 6, True)
    start = torch.full((5, 6), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 2, 5, 8):
            torch.set_num_threads(number)
            y, _, _ = discounted_average(
                *inputs, start, attention="exp", hidden_tanh=False, output_tanh=False, backend=backend
            )
            results.append((y, torch.autograd.grad(y.square().sum(), inputs)))
    finally:
        torch.set_num_threads(threads)
    for y, grads in results[1:]:
        assert_close(y, results[0][0])
        assert_close(grads, results[0][1])


def test_a_backend_can_be_named_by_call_and_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument takes precedence."""
    x = torch.zeros(1)
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    assert pick_backend(x) == "eager"
    monkeypatch.setenv("WORKBENCH_BACKEND", "fastest")
    with pytest.raises(
        ValueError, match=r"backend must be one of auto, eager, compiled, graphs, triton, not 'fastest'"
    ):
        pick_backend(x)
    assert pick_backend(x, "eager") == "eager"
    assert pick_backend(torch.zeros(1, dtype=torch.bfloat16), "auto") == "eager"
    with pytest.raises(RuntimeError, match="take float32 and float64 on the CPU"):
        pick_backend(torch.zeros(1, dtype=torch.bfloat16), "compiled")
