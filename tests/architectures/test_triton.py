"""Tests of the Triton kernels against the eager passes in double precision.

They run on a GPU if there is one, else in Triton's interpreter.
"""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from architectures.kernels import (
    ATTENTIONS,
    INITIAL_LOG_DENOMINATOR,
    Attention,
    Backend,
    autograd,
    discounted_average,
    discounted_average_states,
    eager,
    pick_backend,
    triton_support,
)
from architectures.kernels.triton_passes import TritonPasses, tile_width
from architectures.kernels.triton_support import product_precision
from tests.architectures.cases import noise
from tests.architectures.test_kernels import random_operands

pytest.importorskip("triton")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True))]
gpu = [pytest.mark.gpu, pytest.mark.skipif(DEVICE.type == "cpu", reason="the interpreter multiplies no bfloat16")]


def each_choice_with(*sizes: Any) -> list[Any]:
    """Every choice with one of the sizes, every value of a choice with each size; all other pairs are slow tests."""
    pairs = []
    for i, choice in enumerate(CHOICES):
        # The sum of the digits of 2: neighbours in any of the choices have different ones.
        quick = i.bit_count() % len(sizes)
        for j, size in enumerate(sizes):
            pairs.append(pytest.param(*choice, *size, marks=[] if j == quick else pytest.mark.slow))
    return pairs


@pytest.fixture(autouse=True)
def _overflow() -> Any:
    """Silences NumPy: the interpreter computes sigmoid(x) by exp(-x), which may be infinite."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        yield


def run_with_gradients(
    passes: Any,
    inputs: tuple[Tensor, ...],
    attention: Attention,
    hidden_tanh: bool,
    *,
    dtype: torch.dtype = torch.float32,
    outputs: str = "yrl",
) -> list[Tensor]:
    """Returns the results, and the gradients with respect to all operands of those that `outputs` names."""
    device = DEVICE if dtype == torch.float32 else torch.device("cpu")
    leaves = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
    results = autograd.discounted_average(
        *leaves, attention=attention, hidden_tanh=hidden_tanh, output_tanh=False, passes=passes
    )
    probes = [noise(*value.shape, seed=9 + i).to(device, dtype) for i, value in enumerate(results)]
    # While every relu has been closed since the start, l is near -1e30.
    y, r, l = results[0], results[1], torch.where(results[2] > INITIAL_LOG_DENOMINATOR / 2, results[2], 0.0)
    loss: Any = sum(
        (value * probe).sum() for name, value, probe in zip("yrl", (y, r, l), probes, strict=True) if name in outputs
    )
    grads = torch.autograd.grad(loss, leaves)
    return [value.detach().to("cpu", torch.float64) for value in (y, r, l, *grads)]


def max_relative_error(results: list[Tensor], exact: list[Tensor]) -> float:
    """Returns the largest relative error; for sums that all but cancel, relative to the largest of their kind."""
    scale = max(float(value.norm()) for value in exact[3:])
    norms = [max(float(value.norm()), 1.0) for value in exact[:3]] + [
        max(float(v.norm()), 0.1 * scale) for v in exact[3:]
    ]
    return max(float((a - b).norm()) / norm for a, b, norm in zip(results, exact, norms, strict=True))


def random_inputs(batch: int, time: int, units: int, discounted: bool, carried: bool) -> tuple[Tensor, ...]:
    l = (
        noise(batch, units, seed=7)
        if carried
        else torch.full((batch, units), INITIAL_LOG_DENOMINATOR, dtype=torch.float64)
    )
    return (*random_operands(batch, time, units, discounted), l)


SHAPES = [(1, 1, 1, True), (19, 4, 7, True), (16, 3, 16, False), (2, 6, 33, True)]


@pytest.mark.parametrize(
    ("attention", "hidden_tanh", "discounted", "batch", "time", "units", "carried"),
    # Every choice with two of the shapes, every shape with half of the choices.
    [
        pytest.param(*choice, *SHAPES[(i + j) % 4], marks=pytest.mark.slow if j else ())
        for i, choice in enumerate(CHOICES)
        for j in (0, 1 + i // 8)
    ],
)
def test_kernels_and_eager_passes_agree(
    attention: Attention, hidden_tanh: bool, discounted: bool, batch: int, time: int, units: int, carried: bool
) -> None:
    """Values and all gradients: one step, batches that fill no tile or more than one, padded units, carried states."""
    inputs = random_inputs(batch, time, units, discounted, carried)
    exact = run_with_gradients(eager, inputs, attention, hidden_tanh, dtype=torch.float64)
    eager_error = max_relative_error(run_with_gradients(eager, inputs, attention, hidden_tanh), exact)
    # Near a closing relu the gradient 1 / p has no bound, and rounding decides.
    limit = max(2e-6, (20 if attention == "relu" else 4) * eager_error)
    assert (
        max_relative_error(
            run_with_gradients(TritonPasses(product_precision(DEVICE)), inputs, attention, hidden_tanh), exact
        )
        < limit
    )


@pytest.mark.parametrize(
    ("attention", "hidden_tanh", "discounted", "units", "carried"), each_choice_with((3, False), (21, True))
)
def test_padding_units_change_nothing(
    attention: Attention, hidden_tanh: bool, discounted: bool, units: int, carried: bool
) -> None:
    """Compares values and gradients of the whole backend, which pads the number of units."""
    inputs = random_inputs(3, 4, units, discounted, carried)

    def compute(backend: Backend, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        leaves = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
        options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "backend": backend}
        results = (
            *discounted_average(*leaves, **options, output_tanh=True),
            *discounted_average_states(*leaves, **options),
        )
        assert {result.shape[-1] for result in results} == {units}
        # While every relu has been closed since the start, l is near -1e30.
        finite_results = [torch.where(result > INITIAL_LOG_DENOMINATOR / 2, result, 0.0) for result in results]
        loss: Any = sum(
            (result * noise(*result.shape, seed=i).to(result)).sum() for i, result in enumerate(finite_results)
        )
        return [
            value.detach().to("cpu", torch.float64) for value in (*finite_results, *torch.autograd.grad(loss, leaves))
        ]

    exact = compute("eager", torch.device("cpu"), torch.float64)
    eager_results = compute("eager", torch.device("cpu"), torch.float32)
    for a, b, c in zip(compute("triton", DEVICE, torch.float32), exact, eager_results, strict=True):
        assert a.shape == b.shape
        # Near a closing relu the gradient 1 / p has no bound, and rounding decides.
        limit = (20 if attention == "relu" else 4) * float((c - b).norm())
        assert float((a - b).norm()) <= max(limit, 2e-5 * max(float(b.norm()), 1.0))


@pytest.mark.parametrize("units", [7, 40])
@pytest.mark.parametrize("discounted", [False, True])
def test_three_products_of_parts_are_one_product(discounted: bool, units: int) -> None:
    """The interpreter splits factors as a GPU does, and multiplies the parts in float32. Without one of the two
    products of a small part, the error would be some 2e-4."""
    inputs = random_inputs(5, 4, units, discounted, True)
    exact = run_with_gradients(eager, inputs, "exp", True, dtype=torch.float64)
    assert max_relative_error(run_with_gradients(TritonPasses("tf32x3"), inputs, "exp", True), exact) < 2e-6


@pytest.mark.parametrize("outputs", ["y", "r", "l", "yr"])
@pytest.mark.parametrize("hidden_tanh", [False, True])
def test_gradients_of_some_outputs_alone(outputs: str, hidden_tanh: bool) -> None:
    inputs = random_inputs(5, 4, 6, True, True)
    exact = run_with_gradients(eager, inputs, "exp", hidden_tanh, dtype=torch.float64, outputs=outputs)
    results = run_with_gradients(TritonPasses(product_precision(DEVICE)), inputs, "exp", hidden_tanh, outputs=outputs)
    assert max_relative_error(results, exact) < 2e-6


@pytest.mark.parametrize(("attention", "hidden_tanh", "discounted", "time"), each_choice_with((1,), (2,), (5,)))
def test_states_after_every_step(attention: Attention, hidden_tanh: bool, discounted: bool, time: int) -> None:
    """r and l, and their gradients."""
    inputs = random_inputs(3, time, 7, discounted, True)

    def compute_states(passes: Any, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        leaves = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
        r, l = autograd.discounted_average_states(*leaves, attention=attention, hidden_tanh=hidden_tanh, passes=passes)
        loss: Any = sum((value * noise(*value.shape, seed=i).to(device, dtype)).sum() for i, value in enumerate((r, l)))
        return [value.detach().to("cpu", torch.float64) for value in (r, l, *torch.autograd.grad(loss, leaves))]

    exact = compute_states(eager, torch.device("cpu"), torch.float64)
    for a, b in zip(compute_states(TritonPasses(product_precision(DEVICE)), DEVICE, torch.float32), exact, strict=True):
        assert float((a - b).norm()) <= 2e-5 * max(float(b.norm()), 1.0)


@pytest.mark.parametrize("discounted", [False, True])
def test_values_without_a_backward_pass_are_the_same(discounted: bool) -> None:
    """Nothing is saved then."""
    leaves = [value.detach().to(DEVICE, torch.float32) for value in random_inputs(3, 5, 7, discounted, False)]
    passes = TritonPasses(product_precision(DEVICE))
    options: dict[str, Any] = {"attention": "sigmoid", "hidden_tanh": True, "output_tanh": False, "passes": passes}
    with torch.no_grad():
        plain = autograd.discounted_average(*leaves, **options)
    leaves[1].requires_grad_()
    # Two compilations may round differently; the interpreter has but one.
    tolerance = 1e-6 if DEVICE.type == "cuda" else 0.0
    for a, b in zip(plain, autograd.discounted_average(*leaves, **options), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_gradients_in_any_memory_layout() -> None:
    """The gradient of a mean is one number, expanded; that of a transposed product has units far apart."""
    leaves = [value.detach().to(DEVICE, torch.float32) for value in random_inputs(3, 4, 7, True, False)]
    leaves[1].requires_grad_()
    for read in (lambda y: y.mean(), lambda y: (y.transpose(1, 2) @ torch.ones(4, 2, device=DEVICE)).square().sum()):
        grads = []
        for passes in (eager, TritonPasses(product_precision(DEVICE))):
            y, _, _ = autograd.discounted_average(
                *leaves, attention="exp", hidden_tanh=False, output_tanh=True, passes=passes
            )
            grads.append(torch.autograd.grad(read(y), leaves[1])[0])
        torch.testing.assert_close(grads[1], grads[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fp16", pytest.param("bf16", marks=gpu)])
def test_operands_of_half_precision(name: Any) -> None:
    """Only the products are coarser: with weights and h that half precision represents exactly, results are exact."""
    inputs = random_inputs(4, 1, 6, True, False)
    x, weight_x, bias, weight_h, r, l = inputs
    r, weight_h = (value.detach().mul(8).round().div(8) for value in (r, weight_h))
    exact = run_with_gradients(eager, (x, weight_x, bias, weight_h, r, l), "exp", False, dtype=torch.float64)
    results = run_with_gradients(TritonPasses(name), (x, weight_x, bias, weight_h, r, l), "exp", False)
    for a, b in zip(results[:3], exact[:3], strict=True):
        assert float((a - b).norm()) <= 2e-6 * max(float(b.norm()), 1.0)
    long_inputs = random_inputs(4, 6, 6, True, False)
    error = max_relative_error(
        run_with_gradients(TritonPasses(name), long_inputs, "exp", False),
        run_with_gradients(eager, long_inputs, "exp", False, dtype=torch.float64),
    )
    assert 1e-5 < error < 2e-2


@pytest.mark.slow
def test_far_inputs_stay_finite() -> None:
    """The papers' loop overflows here."""
    x, weight_x, bias, weight_h, r, l = random_inputs(2, 30, 4, True, False)
    for attention in ATTENTIONS:
        results = run_with_gradients(
            TritonPasses(product_precision(DEVICE)),
            (x * 200, weight_x, bias, weight_h, r, l),
            attention,
            False,
            outputs="y",
        )
        assert all(bool(value.isfinite().all()) for value in results)


def test_weights_far_below_the_rest_add_up() -> None:
    """Each one is lost in a sum with 1, but not in the logarithm."""
    time = 200
    x = torch.full((1, time, 1), -18.0, device=DEVICE)
    x[:, 0] = 0
    weight_x, one = torch.tensor([[0.0, 0.0, 1.0]], device=DEVICE), torch.zeros(1, 1, device=DEVICE)
    operands = (
        x,
        weight_x,
        torch.zeros(3, device=DEVICE),
        torch.zeros(1, 2, device=DEVICE),
        one,
        one + INITIAL_LOG_DENOMINATOR,
    )
    passes = TritonPasses(product_precision(DEVICE))
    with torch.no_grad():
        _, _, l = autograd.discounted_average(
            *operands, attention="exp", hidden_tanh=False, output_tanh=False, passes=passes
        )
    expected = np.log1p((time - 1) * np.exp(-18.0))
    assert abs(float(l) - expected) < 1e-3 * expected


def test_tiles() -> None:
    assert [tile_width(units) for units in (1, 16, 17, 250, 256, 257)] == [16, 16, 32, 256, 256, 512]


def test_backend_by_name() -> None:
    x = torch.zeros(1, device=DEVICE)
    assert pick_backend(x, "triton") == "triton"
    with pytest.raises(RuntimeError, match="512 units at most here, not 513"):
        pick_backend(x, "triton", triton_support.MAX_UNITS + 1)
    with pytest.raises(RuntimeError, match="take float32 on NVIDIA GPUs, not torch"):
        pick_backend(x.double(), "triton")


@pytest.mark.parametrize(
    "mode",
    [torch.inference_mode, torch.no_grad, lambda: torch.autocast(DEVICE.type, torch.bfloat16)],
    ids=["inference", "no gradient", "autocast"],
)
def test_the_trial_kernel_does_not_depend_on_the_callers_mode(mode: Any) -> None:
    """It runs only once, so its result has to hold for all modes."""
    triton_support.try_kernel.cache_clear()
    with mode():
        assert triton_support.unavailable_reason(DEVICE) is None


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE.type == "cpu", reason="needs an NVIDIA GPU")
def test_auto_takes_triton_on_a_gpu() -> None:
    assert pick_backend(torch.zeros(1, device=DEVICE), "auto", 250) == "triton"


def test_a_failing_kernel_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C\ncompiler")

    triton_support.try_kernel.cache_clear()
    monkeypatch.setattr(TritonPasses, "launch", broken)
    with pytest.raises(RuntimeError, match="the Triton kernels do not work here: RuntimeError: no C compiler"):
        pick_backend(torch.zeros(1, device=DEVICE), "triton")
    triton_support.try_kernel.cache_clear()
