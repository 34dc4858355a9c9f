"""Tests of the compiled LSTM, GRU and RNN against PyTorch's own."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from architectures.gru import GRULayer
from architectures.kernels import native
from architectures.lstm import LSTMLayer
from architectures.recurrent import TorchLayer
from architectures.rnn import RNNLayer
from tests.architectures.cases import assert_close, noise

LAYERS: dict[str, type[TorchLayer]] = {"gru": GRULayer, "rnn": RNNLayer, "lstm": LSTMLayer}
Outcome = tuple[Tensor, Tensor, tuple[Tensor, ...]]
each_cell = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture(autouse=True)
def require_compiler() -> None:
    if reason := native.unavailable_reason():
        pytest.skip(reason)


def make_layer(name: str, units: int, inputs: int = 3, dtype: torch.dtype = torch.float64) -> TorchLayer:
    """Returns a layer with noise for weights and biases."""
    layer = LAYERS[name](inputs, units, False)  # type: ignore[call-arg]
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(noise(*parameter.shape, seed=seed) / (units**0.5 if parameter.ndim == 2 else 4))
    return layer.to(dtype)


def run_layer(layer: TorchLayer, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the outputs and the last state; the LSTM's c starts as its h does, reversed."""
    y, after = layer(x, (h, h.flip(1))[: layer.num_states])
    return y, torch.cat(after, dim=1)


def run_with_gradients(
    layer: TorchLayer, x: Tensor, h: Tensor, backend: Literal["compiled", "eager"], monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    """Returns the outputs, the last state, and the gradients of x, h and every parameter."""
    monkeypatch.setenv("WORKBENCH_BACKEND", backend)
    y, last = run_layer(layer, x, h)
    score = (y * noise(*y.shape, seed=7).to(y)).sum() + (last * noise(*last.shape, seed=8).to(y)).sum()
    return y.detach(), last.detach(), torch.autograd.grad(score, [x, h, *layer.parameters()])


@each_cell
@pytest.mark.parametrize(
    ("batch", "time", "units"), [(1, 1, 1), (3, 1, 7), (1, 12, 7), (3, 12, 250), (29, 5, 33), (5, 40, 64)]
)
def test_values_and_gradients_are_those_of_pytorch(
    name: str, batch: int, time: int, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision to 1e-10, in single precision to 1e-6 of their norm."""
    x, h = noise(batch, time, 3, seed=9), noise(batch, units, seed=10)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-6)):
        layer = make_layer(name, units, dtype=dtype)
        x_cast, h_cast = x.to(dtype).requires_grad_(), h.to(dtype).requires_grad_()
        compiled, expected = (
            run_with_gradients(layer, x_cast, h_cast, "compiled", monkeypatch),
            run_with_gradients(layer, x_cast, h_cast, "eager", monkeypatch),
        )
        for value, expected_value in zip((*compiled[:2], *compiled[2]), (*expected[:2], *expected[2]), strict=True):
            assert float((value - expected_value).norm()) <= tolerance * max(float(expected_value.norm()), 1e-30)


@each_cell
def test_a_single_step_packs_no_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is PyTorch's cell that runs; and who changes the output does not change the state."""
    layer, (x, h) = make_layer(name, 5), (noise(2, 6, 3), noise(2, 5))
    expected, last = run_layer(layer, x, h)
    kernel = type(layer).run_native

    def refuse_single_steps(self: TorchLayer, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        assert x.shape[1] > 1
        return kernel(self, x, state)

    monkeypatch.setattr(type(layer), "run_native", refuse_single_steps)
    state = (h, h.flip(1))[: layer.num_states]
    for t in range(6):
        y, state = layer(x[:, t : t + 1], state)
        assert_close(y, expected[:, t : t + 1], 1e-12)
        y.detach().zero_()
    assert_close(torch.cat(state, dim=1), last, 1e-12)
    assert_close(run_layer(layer, x, h)[0], expected, 1e-12)


@each_cell
def test_gradients_are_those_of_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With respect to the input, the initial state and every parameter."""
    monkeypatch.setenv("WORKBENCH_BACKEND", "compiled")
    layer = make_layer(name, 3)
    inputs = (noise(2, 4, 3, seed=9).requires_grad_(), noise(2, 3, seed=10).requires_grad_())

    def run(x: Tensor, h: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        return run_layer(layer, x, h)

    assert torch.autograd.gradcheck(run, (*inputs, *layer.parameters()))


@each_cell
def test_pytorch_runs_what_the_kernel_does_not_support(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch runs under autocast, and if the eager backend is requested."""
    layer = make_layer(name, 4, dtype=torch.float32)
    x, h = noise(2, 5, 3).float(), torch.zeros(2, 4)
    calls: list[str] = []
    pytorch_forward = type(layer.core).forward

    def recorded_forward(*arguments: object, **options: object) -> object:
        calls.append(name)
        return pytorch_forward(*arguments, **options)

    monkeypatch.setattr(type(layer.core), "forward", recorded_forward)
    monkeypatch.setenv("WORKBENCH_BACKEND", "auto")
    expected, _ = run_layer(layer, x, h)
    assert not calls
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(run_layer(layer, x, h)[0].float(), expected, 0.05)
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    assert_close(run_layer(layer, x, h)[0], expected, 1e-6)
    assert calls == [name, name]


@each_cell
def test_operands_that_do_not_fit_are_refused(name: str) -> None:
    """PyTorch's own layers would refuse them too; the kernel's loops do not check sizes."""
    layer, x = make_layer(name, 4), noise(2, 5, 3)
    with pytest.raises(ValueError, match="the state must be of shape"):
        run_layer(layer, x, torch.zeros(3, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="the state must be of shape"):
        run_layer(layer, x, torch.zeros(2, 5, dtype=torch.float64))
    with pytest.raises(TypeError, match="must be"):
        run_layer(layer, x, torch.zeros(2, 4))


@each_cell
@pytest.mark.parametrize("units", [15, 16, 17])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")], ids=str)
def test_infinity_spreads_no_further_than_in_pytorch(
    name: str, units: int, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its product with a weight of 0 is NaN: there are such weights beyond the units in a vector, and where the GRU's
    recurrent product has no input. Sequences beside it keep every bit."""
    layer = make_layer(name, units, dtype=torch.float32)
    clean = noise(3, 6, 3, seed=9).float()
    x = clean.clone()
    x[1, 2, 1] = value
    h = noise(3, units, seed=10).float().requires_grad_()
    outcomes = []
    for backend in ("compiled", "eager"):
        monkeypatch.setenv("WORKBENCH_BACKEND", backend)
        y, last = run_layer(layer, x, h)
        (of_h,) = torch.autograd.grad(y[:, :2].sum() + y[0].sum(), h)
        outcomes.append((y.detach(), last.detach(), of_h))
    torch.testing.assert_close(outcomes[0], outcomes[1], rtol=1e-5, atol=1e-5, equal_nan=True)
    assert bool(outcomes[0][0][1, 2:].isfinite().all()) is (value == value)
    monkeypatch.setenv("WORKBENCH_BACKEND", "compiled")
    assert torch.equal(outcomes[0][0][[0, 2]], run_layer(layer, clean, h)[0][[0, 2]])
