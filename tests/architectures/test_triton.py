"""The Triton kernels against the eager passes in double precision: by Triton's interpreter, or on a GPU where there is
one."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from architectures.kernels import (
    ATTENTIONS,
    START,
    Attention,
    Backend,
    autograd,
    average,
    eager,
    pick_backend,
    states,
    triton_support,
)
from architectures.kernels.triton_passes import TritonPasses, tile_width
from architectures.kernels.triton_support import precision
from tests.architectures.cases import noise
from tests.architectures.test_kernels import operands

pytest.importorskip("triton")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True))]
gpu = [pytest.mark.gpu, pytest.mark.skipif(DEVICE.type == "cpu", reason="the interpreter multiplies no bfloat16")]
chosen = pytest.mark.parametrize(("attention", "hidden_tanh", "discounted"), CHOICES)


@pytest.fixture(autouse=True)
def _overflow() -> Any:
    """The interpreter computes sigmoid(x) by exp(-x), which may be infinite, in NumPy, which then warns."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        yield


def outcome(
    passes: Any,
    inputs: tuple[Tensor, ...],
    attention: Attention,
    hidden_tanh: bool,
    *,
    dtype: torch.dtype = torch.float32,
    outputs: str = "yrl",
) -> list[Tensor]:
    """What is put out, and the gradients with respect to all operands of what `outputs` names of it."""
    device = DEVICE if dtype == torch.float32 else torch.device("cpu")
    given = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
    found = autograd.average(*given, attention=attention, hidden_tanh=hidden_tanh, output_tanh=False, passes=passes)
    probes = [noise(*value.shape, seed=9 + i).to(device, dtype) for i, value in enumerate(found)]
    # While every relu has been closed since the start, l is near -1e30.
    y, r, l = found[0], found[1], torch.where(found[2] > START / 2, found[2], 0.0)
    loss: Any = sum(
        (value * probe).sum() for name, value, probe in zip("yrl", (y, r, l), probes, strict=True) if name in outputs
    )
    grads = torch.autograd.grad(loss, given)
    return [value.detach().to("cpu", torch.float64) for value in (y, r, l, *grads)]


def off(found: list[Tensor], exact: list[Tensor]) -> float:
    """The largest relative error; of sums that all but cancel, relative to the largest of their kind."""
    scale = max(float(value.norm()) for value in exact[3:])
    norms = [max(float(value.norm()), 1.0) for value in exact[:3]] + [
        max(float(v.norm()), 0.1 * scale) for v in exact[3:]
    ]
    return max(float((a - b).norm()) / norm for a, b, norm in zip(found, exact, norms, strict=True))


def inputs_of(batch: int, time: int, units: int, discounted: bool, carried: bool) -> tuple[Tensor, ...]:
    l = noise(batch, units, seed=7) if carried else torch.full((batch, units), START, dtype=torch.float64)
    return (*operands(batch, time, units, discounted), l)


@pytest.mark.parametrize(
    ("batch", "time", "units", "carried"),
    [(1, 1, 1, True), (3, 1, 7, False), (19, 4, 7, True), (16, 3, 16, False), (2, 6, 33, True)],
)
@chosen
def test_kernels_and_eager_passes_agree(
    attention: Attention, hidden_tanh: bool, discounted: bool, batch: int, time: int, units: int, carried: bool
) -> None:
    """Values and all gradients: one step, batches that fill no tile or more than one, padded units, carried states."""
    inputs = inputs_of(batch, time, units, discounted, carried)
    exact = outcome(eager, inputs, attention, hidden_tanh, dtype=torch.float64)
    own = off(outcome(eager, inputs, attention, hidden_tanh), exact)
    # Near a closing relu the gradient 1 / p has no bound, and rounding decides.
    most = max(2e-6, (20 if attention == "relu" else 4) * own)
    assert off(outcome(TritonPasses(precision(DEVICE)), inputs, attention, hidden_tanh), exact) < most


@pytest.mark.parametrize("units", [3, 16, 21])
@pytest.mark.parametrize("carried", [False, True])
@chosen
def test_units_that_are_added_change_nothing(
    attention: Attention, hidden_tanh: bool, discounted: bool, carried: bool, units: int
) -> None:
    """Values and gradients of the backend as a whole, which makes the number of units round."""
    inputs = inputs_of(3, 4, units, discounted, carried)

    def found(backend: Backend, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        given = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
        options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "backend": backend}
        told = (*average(*given, **options, output_tanh=True), *states(*given, **options))
        assert {each.shape[-1] for each in told} == {units}
        # While every relu has been closed since the start, l is near -1e30.
        safe = [torch.where(each > START / 2, each, 0.0) for each in told]
        loss: Any = sum((each * noise(*each.shape, seed=i).to(each)).sum() for i, each in enumerate(safe))
        return [value.detach().to("cpu", torch.float64) for value in (*safe, *torch.autograd.grad(loss, given))]

    exact = found("eager", torch.device("cpu"), torch.float64)
    own = found("eager", torch.device("cpu"), torch.float32)
    for a, b, c in zip(found("triton", DEVICE, torch.float32), exact, own, strict=True):
        assert a.shape == b.shape
        # Near a closing relu the gradient 1 / p has no bound, and rounding decides.
        most = (20 if attention == "relu" else 4) * float((c - b).norm())
        assert float((a - b).norm()) <= max(most, 2e-5 * max(float(b.norm()), 1.0))


@pytest.mark.parametrize("units", [7, 40])
@pytest.mark.parametrize("discounted", [False, True])
def test_three_products_of_parts_are_one_product(discounted: bool, units: int) -> None:
    """The interpreter cuts factors as a GPU does, and multiplies the parts in float32. Without one of the two products
    of a small part, some 2e-4 would be lost."""
    inputs = inputs_of(5, 4, units, discounted, True)
    exact = outcome(eager, inputs, "exp", True, dtype=torch.float64)
    assert off(outcome(TritonPasses("tf32x3"), inputs, "exp", True), exact) < 2e-6


@pytest.mark.parametrize("outputs", ["y", "r", "l", "yr"])
@pytest.mark.parametrize("hidden_tanh", [False, True])
def test_gradients_of_some_outputs_alone(outputs: str, hidden_tanh: bool) -> None:
    inputs = inputs_of(5, 4, 6, True, True)
    exact = outcome(eager, inputs, "exp", hidden_tanh, dtype=torch.float64, outputs=outputs)
    found = outcome(TritonPasses(precision(DEVICE)), inputs, "exp", hidden_tanh, outputs=outputs)
    assert off(found, exact) < 2e-6


@pytest.mark.parametrize("time", [1, 2, 5])
@chosen
def test_states_after_every_step(attention: Attention, hidden_tanh: bool, discounted: bool, time: int) -> None:
    """r and l, and their gradients."""
    inputs = inputs_of(3, time, 7, discounted, True)

    def every(passes: Any, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        given = [value.detach().to(device, dtype).requires_grad_() for value in inputs]
        r, l = autograd.states(*given, attention=attention, hidden_tanh=hidden_tanh, passes=passes)
        loss: Any = sum((value * noise(*value.shape, seed=i).to(device, dtype)).sum() for i, value in enumerate((r, l)))
        return [value.detach().to("cpu", torch.float64) for value in (r, l, *torch.autograd.grad(loss, given))]

    exact = every(eager, torch.device("cpu"), torch.float64)
    for a, b in zip(every(TritonPasses(precision(DEVICE)), DEVICE, torch.float32), exact, strict=True):
        assert float((a - b).norm()) <= 2e-5 * max(float(b.norm()), 1.0)


@pytest.mark.parametrize("discounted", [False, True])
def test_without_a_backward_pass_nothing_is_kept(discounted: bool) -> None:
    """And the values are the same."""
    given = [value.detach().to(DEVICE, torch.float32) for value in inputs_of(3, 5, 7, discounted, False)]
    passes = TritonPasses(precision(DEVICE))
    options: dict[str, Any] = {"attention": "sigmoid", "hidden_tanh": True, "output_tanh": False, "passes": passes}
    with torch.no_grad():
        plain = autograd.average(*given, **options)
    given[1].requires_grad_()
    # Two compilations may round differently; the interpreter has but one.
    tolerance = 1e-6 if DEVICE.type == "cuda" else 0.0
    for a, b in zip(plain, autograd.average(*given, **options), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_gradients_that_lie_anyhow_in_memory() -> None:
    """Those of a mean are one number, expanded; those of a transposed product have units far apart."""
    given = [value.detach().to(DEVICE, torch.float32) for value in inputs_of(3, 4, 7, True, False)]
    given[1].requires_grad_()
    for read in (lambda y: y.mean(), lambda y: (y.transpose(1, 2) @ torch.ones(4, 2, device=DEVICE)).square().sum()):
        grads = []
        for passes in (eager, TritonPasses(precision(DEVICE))):
            y, _, _ = autograd.average(*given, attention="exp", hidden_tanh=False, output_tanh=True, passes=passes)
            grads.append(torch.autograd.grad(read(y), given[1])[0])
        torch.testing.assert_close(grads[1], grads[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fp16", pytest.param("bf16", marks=gpu)])
def test_operands_of_half_precision(name: Any) -> None:
    """The products alone are coarser: with weights and h that half precision holds exactly, nothing is."""
    inputs = inputs_of(4, 1, 6, True, False)
    x, weight_x, bias, weight_h, r, l = inputs
    r, weight_h = (value.detach().mul(8).round().div(8) for value in (r, weight_h))
    exact = outcome(eager, (x, weight_x, bias, weight_h, r, l), "exp", False, dtype=torch.float64)
    found = outcome(TritonPasses(name), (x, weight_x, bias, weight_h, r, l), "exp", False)
    for a, b in zip(found[:3], exact[:3], strict=True):
        assert float((a - b).norm()) <= 2e-6 * max(float(b.norm()), 1.0)
    long = inputs_of(4, 6, 6, True, False)
    coarse = off(
        outcome(TritonPasses(name), long, "exp", False), outcome(eager, long, "exp", False, dtype=torch.float64)
    )
    assert 1e-5 < coarse < 2e-2


def test_far_inputs_stay_finite() -> None:
    """Where the papers' loop overflows."""
    x, weight_x, bias, weight_h, r, l = inputs_of(2, 30, 4, True, False)
    for attention in ATTENTIONS:
        found = outcome(
            TritonPasses(precision(DEVICE)), (x * 200, weight_x, bias, weight_h, r, l), attention, False, outputs="y"
        )
        assert all(bool(value.isfinite().all()) for value in found)


def test_weights_far_below_the_rest_add_up() -> None:
    """Each is lost in a sum with 1, but not in its logarithm."""
    time = 200
    x = torch.full((1, time, 1), -18.0, device=DEVICE)
    x[:, 0] = 0
    weight_x, one = torch.tensor([[0.0, 0.0, 1.0]], device=DEVICE), torch.zeros(1, 1, device=DEVICE)
    operands = (x, weight_x, torch.zeros(3, device=DEVICE), torch.zeros(1, 2, device=DEVICE), one, one + START)
    passes = TritonPasses(precision(DEVICE))
    with torch.no_grad():
        _, _, l = autograd.average(*operands, attention="exp", hidden_tanh=False, output_tanh=False, passes=passes)
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
def test_the_first_look_does_not_depend_on_the_mode_that_it_falls_in(mode: Any) -> None:
    """Since it is the last, too."""
    triton_support.try_kernel.cache_clear()
    with mode():
        assert triton_support.failure(DEVICE) is None


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE.type == "cpu", reason="needs an NVIDIA GPU")
def test_auto_takes_triton_on_a_gpu() -> None:
    assert pick_backend(torch.zeros(1, device=DEVICE), "auto", 250) == "triton"


def test_what_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C\ncompiler")

    triton_support.try_kernel.cache_clear()
    monkeypatch.setattr(TritonPasses, "launch", broken)
    with pytest.raises(RuntimeError, match="the Triton kernels do not work here: RuntimeError: no C compiler"):
        pick_backend(torch.zeros(1, device=DEVICE), "triton")
    triton_support.try_kernel.cache_clear()
