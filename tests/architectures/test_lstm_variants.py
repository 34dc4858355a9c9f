"""Tests of the LSTM's parts: every combination that there is, compiled and not."""

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import architectures
from architectures import Encoder
from architectures.kernels import native
from architectures.lstm_parts import LSTMParts
from architectures.state import iter_tensors
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, gradients, make_encoder, noise
from tests.architectures.definitions.lstm import lstm

FLAGS = (
    *("peepholes", "coupled", "input_gate", "forget_gate", "output_gate"),
    *("input_activation", "output_activation", "full_gate_recurrence"),
)


def is_possible(flags: dict[str, bool]) -> bool:
    try:
        LSTMParts(**flags)
    except ValueError:
        return False
    return True


PARTS = st.fixed_dictionaries({flag: st.booleans() for flag in FLAGS}).filter(is_possible)
ALL = {"peepholes": True, "coupled": False, **dict.fromkeys(FLAGS[2:], True)}
NONE = dict.fromkeys(FLAGS, False)

each_combination = settings(max_examples=12, derandomize=True, database=None, deadline=None)


@pytest.fixture(scope="module", params=["compiled", "eager"])
def backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_BACKEND", request.param)
        yield request.param


def build(flags: dict[str, bool], hidden_size: int, **options: Any) -> tuple[Encoder, dict[str, Any]]:
    options = {"hidden_size": hidden_size, **flags, **options}
    return make_encoder(Case(name="lstm", options=options)), options


@pytest.mark.usefixtures("backend")
@each_combination
@given(flags=PARTS, units=st.sampled_from([1, 7, 8, 17]), time=st.integers(1, 9))
@example(flags=ALL, units=7, time=5)
@example(flags=NONE, units=7, time=5)
def test_every_combination_is_its_definition(flags: dict[str, bool], units: int, time: int) -> None:
    """Outputs, the state, and the gradients of the input and of every parameter, peepholes and the start included."""
    encoder, options = build(flags, units, learn_initial_state=True)
    x = noise(3, time, INPUT_SIZE).requires_grad_()
    y, _ = encoder(x)
    expected = lstm(dict(encoder.named_parameters()), x, options, [time] * 3)
    assert_close(y, expected)
    probe = noise(*y.shape, seed=1)
    assert_close(gradients((y * probe).sum(), encoder, x), gradients((expected * probe).sum(), encoder, x), 1e-9)


@pytest.mark.usefixtures("backend")
@settings(max_examples=6, derandomize=True, database=None, deadline=None)
@given(flags=PARTS)
@example(flags={**ALL, "full_gate_recurrence": False})
def test_gradients_are_those_of_finite_differences(flags: dict[str, bool]) -> None:
    """With respect to the input, the state before and every parameter, of the outputs and of the state after."""
    encoder, _ = build(flags, 2)
    _, state = encoder(noise(2, 2, INPUT_SIZE, seed=5))
    start = tuple(value.requires_grad_() for value in iter_tensors(architectures.detach(state)))

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        y, after = encoder(x, (values[: len(start)],))
        return y, *after[0]

    inputs = (noise(2, 3, INPUT_SIZE).requires_grad_(), *start, *encoder.parameters())
    assert torch.autograd.gradcheck(run, inputs)


def test_the_compiled_kernel_runs_all_but_full_gate_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    monkeypatch.delenv("WORKBENCH_BACKEND", raising=False)
    ran: list[str] = []
    run_cell = native.run_cell

    def record(cell: Any, *arguments: Any) -> Any:
        ran.append(cell)
        return run_cell(cell, *arguments)

    monkeypatch.setattr(native, "run_cell", record)
    x = noise(2, 3, INPUT_SIZE)
    for flags in ({}, {"peepholes": True}, {"coupled": True}, {"peepholes": True, "input_gate": False}):
        build(flags, 3)[0](x)
    assert ran == ["lstm", "lstm-peephole", "lstm-3", "lstm-peephole-3"]
    build({"full_gate_recurrence": True}, 3)[0](x)
    assert len(ran) == 4


def test_a_peephole_of_zero_and_a_gate_that_stays_open_change_nothing() -> None:
    """Peepholes start at 0; and a bias so large that its gate is 1 is that gate left out."""
    plain = make_encoder(Case(name="lstm", options={"hidden_size": 5}))
    values = {name.rsplit(".", 1)[-1]: value for name, value in plain.named_parameters()}
    with torch.no_grad():
        values["bias_hh_l0"].zero_()
        values["weight_ih_l0"][15:], values["weight_hh_l0"][15:], values["bias_ih_l0"][15:] = 0, 0, 50
    x = noise(2, 9, INPUT_SIZE)
    expected, _ = plain(x)
    for options, rows in (({"peepholes": True}, 20), ({"output_gate": False}, 15)):
        other = make_encoder(Case(name="lstm", options={"hidden_size": 5, **options}), fresh=True)
        with torch.no_grad():
            for name, source in (("weight_x", "weight_ih_l0"), ("weight_h", "weight_hh_l0"), ("bias", "bias_ih_l0")):
                other.get_parameter(f"layers.0.{name}").copy_(values[source][:rows])
        assert_close(other(x)[0], expected, 1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coupled": True, "input_gate": False}, "coupled=true makes the input gate 1 - f"),
        ({"coupled": True, "forget_gate": False}, "coupled=true makes the input gate 1 - f"),
        ({"coupled": True, "full_gate_recurrence": True}, "full_gate_recurrence=true needs an input, a forget"),
        ({"peepholes": True, **dict.fromkeys(FLAGS[2:5], False)}, "peepholes=true needs a gate"),
        ({"forget_gate": False, "chrono": 9}, "chrono draws the biases of the forget gate"),
        ({"peepholes": "no"}, "peepholes must be true or false, not 'no'"),
    ],
)
def test_parts_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build("lstm", 2, hidden_size=3, **options)


def test_chrono_draws_the_biases_of_the_gates_that_there_are() -> None:
    encoder = architectures.build("lstm-peephole", 2, hidden_size=50, chrono=30)
    i, f, g, o = encoder.get_parameter("layers.0.bias").detach().chunk(4)
    assert torch.equal(i, -f)
    assert 0 <= float(f.min()) < float(f.max()) <= float(torch.tensor(29.0).log()) + 1e-6
    assert not g.any()
    assert not o.any()


def test_what_is_fixed_is_chosen_by_the_lstm() -> None:
    with pytest.raises(ValueError, match="lstm-coupled fixes coupled=True; use lstm to choose it"):
        architectures.build("lstm-coupled", 2, hidden_size=3, coupled=False)
