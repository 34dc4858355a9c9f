"""Tests of the sLSTM: as an average, against the RDA, and its C++ cell against PyTorch and finite differences."""

from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures import Encoder
from architectures.kernels import native
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise

OPTIONS: list[dict[str, Any]] = [{}, {"forget": "exp"}, {"num_heads": 3}]


@pytest.fixture(params=["eager", "compiled"])
def _each_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Selects each available backend in turn."""
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    monkeypatch.setenv("WORKBENCH_BACKEND", request.param)


each_backend = pytest.mark.usefixtures("_each_backend")


@each_backend
def test_with_an_open_output_gate_it_is_the_rda() -> None:
    """With exponential attention, the identity for its outputs, and u = 1; values, states and the gradients of what
    both have."""
    x, units = noise(3, 40, INPUT_SIZE), 7
    rda = make_encoder(Case(name="rda", options={"hidden_size": units, "output": "identity"}))
    slstm = make_encoder(Case(name="slstm", options={"hidden_size": units}))
    average, layer = dict(rda.named_parameters()), dict(slstm.named_parameters())
    with torch.no_grad():
        average["layers.0.weight_x"][:units] = 0
        average["layers.0.bias_u"].fill_(1)
        layer["layers.0.weight_x"][: 3 * units] = average["layers.0.weight_x"][units:]
        layer["layers.0.weight_h"][: 3 * units] = average["layers.0.weight_h"]
        layer["layers.0.weight_x"][3 * units :] = 0
        layer["layers.0.weight_h"][3 * units :] = 0
        # A sigmoid of 50 is 1 in double precision.
        biases = (average["layers.0.bias_g"], average["layers.0.bias_gamma"], torch.full((units,), 50.0))
        layer["layers.0.bias"].copy_(torch.cat([*biases[:2], biases[2].double()]))
    (y, state), (expected, expected_state) = slstm(x), rda(x)
    assert_close(y, expected)
    assert_close(tuple(state[0][:2]), tuple(expected_state[0]))
    probe = noise(*y.shape, seed=1)
    of_slstm = torch.autograd.grad((y * probe).sum(), layer["layers.0.weight_h"])[0]
    assert_close(of_slstm[: 3 * units], torch.autograd.grad((expected * probe).sum(), average["layers.0.weight_h"])[0])
    assert_close(slstm.trace(x).write, rda.trace(x).write)


@each_backend
@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    """Of outputs and states, with respect to the input, a carried state and every parameter."""
    encoder = make_encoder(Case(name="slstm", options={"hidden_size": 3, **options}))
    _, state = encoder(noise(2, 3, INPUT_SIZE, seed=5))
    carried = tuple(part.detach().requires_grad_() for part in state[0])

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        y, after = encoder(x, (rest[:3],))
        return y, *after[0]

    assert torch.autograd.gradcheck(run, (noise(2, 4, INPUT_SIZE).requires_grad_(), *carried, *encoder.parameters()))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("batch", "time", "units"), [(1, 1, 3), (3, 12, 252), (29, 5, 33), (5, 40, 63)])
def test_the_cell_is_the_step_of_pytorch(
    options: dict[str, Any], batch: int, time: int, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients, in double precision to 1e-10 and in single precision to 2e-6 of their norm."""
    if reason := native.unavailable_reason():
        pytest.skip(reason)

    def outcome(encoder: Encoder, name: str) -> list[Tensor]:
        monkeypatch.setenv("WORKBENCH_BACKEND", name)
        x = noise(batch, time, INPUT_SIZE, seed=9).to(dtype).requires_grad_()
        y, state = encoder(x)
        score = (y * noise(*y.shape, seed=7).to(dtype)).sum() + state[0][1].sum() + state[0][2].square().sum()
        return [
            y.detach(),
            *(part.detach() for part in state[0]),
            *torch.autograd.grad(score, [x, *encoder.parameters()]),
        ]

    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-6)):
        encoder = make_encoder(Case(name="slstm", options={"hidden_size": units, **options}), fresh=True, dtype=dtype)
        for value, expected in zip(outcome(encoder, "compiled"), outcome(encoder, "eager"), strict=True):
            assert float((value - expected).norm()) <= tolerance * max(float(expected.norm()), 1e-30)


@each_backend
def test_long_sequences_of_large_gates_stay_an_average() -> None:
    """Exponents of 500 either way, where exp overflows in single precision from 88 on: c / n lies between the smallest
    and the largest z, -1 and 1."""
    encoder: Any = make_encoder(
        Case(name="slstm", options={"hidden_size": 4, "forget": "exp"}), dtype=torch.float32, fresh=True
    )
    with torch.no_grad():
        encoder.layers[0].weight_x[4:12] *= 500
    x = noise(1, 600, INPUT_SIZE, dtype=torch.float32).requires_grad_()
    trace = encoder.trace(x)
    assert trace.gates["r"].abs().max() <= 1
    y, _ = encoder(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    assert grad.isfinite().all()


@pytest.mark.parametrize("options", OPTIONS)
def test_a_trace_of_all_steps_at_once_is_that_of_every_step(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the start and from a carried state; where a gradient is required, the steps are traced one by one."""
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    encoder, x = make_encoder(Case(name="slstm", options={"hidden_size": 6, **options})), noise(2, 12, INPUT_SIZE)
    for state in (None, encoder(noise(2, 3, INPUT_SIZE, seed=1))[1]):
        with torch.no_grad():
            trace = encoder.trace(x, state)
        stepwise = encoder.trace(x, state)
        assert stepwise.y.requires_grad
        for name in ("y", "retention", "write", "content", "log_attention", "log_discount", "gates"):
            assert_close(getattr(trace, name), getattr(stepwise, name))


@each_backend
def test_units_hear_those_of_their_head_alone() -> None:
    encoder: Any = make_encoder(Case(name="slstm", options={"hidden_size": 6, "num_heads": 3}))
    x = noise(1, 1, INPUT_SIZE)
    empty = encoder(x)[1][0]
    for unit in range(6):
        h = empty.h.detach().clone().requires_grad_()
        y, _ = encoder(x, (empty._replace(h=h),))
        (felt,) = torch.autograd.grad(y[0, 0, unit], h)
        assert [index for index in range(6) if felt[0, index] != 0] == [unit // 2 * 2, unit // 2 * 2 + 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forget": "relu"}, "forget must be sigmoid or exp, not 'relu'"),
        ({"num_heads": 3}, "hidden_size 4 cannot be divided among 3 heads"),
        ({"num_heads": 0}, "num_heads must be at least 1, not 0"),
        ({"forget": "exp", "chrono": 9}, "chrono draws biases for a forget gate that is a sigmoid"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architectures.build("slstm", 2, hidden_size=4, **options)
