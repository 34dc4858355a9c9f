"""Tests of what is special to single ones of the recurrent architectures."""

import math
from typing import Any

import pytest
import torch

import architectures
from architectures.state import ClockworkState
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise


def test_clocks_that_differ_go_on_each_by_itself() -> None:
    """Sequences that stopped at different steps, in one batch: each goes on as it does alone."""
    encoder = make_encoder(Case(name="clockwork-rnn", options={"hidden_size": 6, "num_modules": 4}))
    x, states = noise(2, 20, INPUT_SIZE), []
    for row, stop in ((0, 3), (1, 5)):
        states.append(encoder(x[row : row + 1, :stop])[1])
    (first,), (second,) = states
    both = ClockworkState(*(torch.cat(parts) for parts in zip(first, second, strict=True)))
    assert both.clock.tolist() == [[3.0], [5.0]]
    rest = torch.cat([x[:1, 3:14], x[1:, 5:16]])
    y, (after,) = encoder(rest, (both,))
    trace = encoder.trace(rest, (both,))
    assert_close(trace.y, y)
    for row, state in enumerate(states):
        alone, (after_alone,) = encoder(rest[row : row + 1], state)
        assert_close(y[row : row + 1], alone)
        assert_close(tuple(part[row : row + 1] for part in after), tuple(after_alone))
        write = encoder.trace(rest[row : row + 1], state).write
        assert trace.write is not None
        assert write is not None
        assert_close(trace.write[row : row + 1], write)


def test_the_clock_goes_round() -> None:
    """After every period of the slowest module; 300 steps are more than bfloat16 counts."""
    encoder = architectures.build("clockwork-rnn", INPUT_SIZE, hidden_size=8).bfloat16()
    for time, expected in ((128, 0), (129, 1), (300, 44)):
        _, (state,) = encoder(noise(1, time, INPUT_SIZE).bfloat16())
        assert state.clock.tolist() == [[expected]]


def test_units_are_divided_as_evenly_as_possible() -> None:
    encoder: Any = architectures.build("clockwork-rnn", INPUT_SIZE, hidden_size=10, num_modules=4)
    assert encoder.layers[0].sizes == [3, 3, 2, 2]
    assert [tuple(value.shape) for name, value in encoder.named_parameters() if "weight_h" in name] == [
        (3, 10),
        (3, 7),
        (2, 4),
        (2, 2),
    ]
    few: Any = architectures.build("clockwork-rnn", INPUT_SIZE, hidden_size=3)
    assert few.layers[0].sizes == [1, 1, 1]
    assert few.path_length(9) == 2 + 1


def test_a_highway_whose_gates_are_closed_keeps_its_state() -> None:
    encoder: Any = make_encoder(Case(name="rhn", options={"hidden_size": 5, "learn_initial_state": True}))
    with torch.no_grad():
        encoder.layers[0].bias.view(3, 2, 5)[:, 1] = -200
        y, _ = encoder(noise(2, 30, INPUT_SIZE))
    assert_close(y, encoder.layers[0].initial[0].detach().expand_as(y))


def test_output_gates_of_a_grid_lstm_act_within_the_tanh() -> None:
    """With gates i and f open, g = 1 and o = 1/2, the memory along time counts the steps, and that along depth is 1."""
    encoder: Any = make_encoder(Case(name="grid-lstm", options={"hidden_size": 2, "num_layers": 1}))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
        encoder.layers[0].bias.view(2, 4, 2)[:, :3] = 800
        y, ((h, m),) = encoder(noise(1, 3, INPUT_SIZE))
    assert m.tolist() == [[3.0, 3.0]]
    assert_close(h, torch.full_like(h, math.tanh(3 / 2)))
    assert_close(y, torch.full_like(y, math.tanh(1 / 2)))


def test_a_closed_depth_gate_leaves_a_stack_of_lstms() -> None:
    options = {"hidden_size": 5, "num_layers": 2}
    gated = make_encoder(Case(name="depth-gated-lstm", options=options))
    plain = make_encoder(Case(name="lstm-peephole", options=options))
    with torch.no_grad():
        for name, value in plain.named_parameters():
            value.copy_(gated.get_parameter(name))
        gated.get_parameter("layers.1.bias_d").fill_(-200)
    x = noise(2, 12, INPUT_SIZE)
    assert_close(gated(x)[0], plain(x)[0])


@pytest.mark.parametrize("name", ["mut1", "mut2", "mut3"])
def test_units_found_by_search_start_as_retentive_as_a_gru(name: str) -> None:
    """Their z writes, so that its biases are negative: -1, or by chrono."""
    z = architectures.build(name, 2, hidden_size=40).get_parameter("layers.0.bias").detach()[:40]
    assert set(z.tolist()) == {-1.0}
    drawn = architectures.build(name, 2, hidden_size=40, chrono=30).get_parameter("layers.0.bias").detach()
    assert -float(torch.tensor(29.0).log()) <= float(drawn[:40].min()) < float(drawn[:40].max()) <= 0
    assert not drawn[40:].any()


def test_with_as_many_units_as_inputs_mut_takes_x_itself() -> None:
    for variant, maps in ((1, 2), (2, 2), (3, 3)):
        weight = architectures.build(f"mut{variant}", 4, hidden_size=4).get_parameter("layers.0.weight_x")
        assert weight.shape == (4 * maps, 4)


def test_sums_are_in_single_precision_under_autocast() -> None:
    """The cells of the LSTMs and the states of the others: products alone are in bfloat16."""
    x = noise(2, 200, INPUT_SIZE, dtype=torch.float32)
    names = ("lstm-peephole", "lstm-layernorm", "lstm-mi", "depth-gated-lstm", "grid-lstm", "mut1", "rhn", "slstm")
    for name in (*names, "mingru", "minlstm", "lru", "s4d"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = architectures.build(name, INPUT_SIZE, hidden_size=6)
        with torch.no_grad():
            expected, _ = encoder(x)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y, state = encoder(x)
        assert {part.dtype for layer in state for part in layer} == {torch.float32}, name
        # Of single numbers some differ by more: the norms of few units magnify what rounding does to them.
        assert 1e-5 < float((y - expected).norm() / expected.norm()) < 0.05, name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("depth-gated-lstm", {"num_layers": 1}, "num_layers must be at least 2, not 1: the depth gate is between"),
        ("gru", {"reset": "after"}, "reset must be behind or before, not 'after'"),
        ("mut1", {"variant": 2}, "mut1 fixes variant=1; use architectures.mut:MUT to choose it"),
        ("architectures.mut:MUT", {"variant": 4}, "variant must be 1, 2 or 3, not 4"),
        ("clockwork-rnn", {"num_modules": 9}, "num_modules must be at most 8, not 9"),
        ("rhn", {"recurrence_depth": 0}, "recurrence_depth must be at least 1, not 0"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architectures.build(name, 2, hidden_size=4, **options)


def test_gates_of_an_rhn_that_are_shut_leave_its_trace_finite() -> None:
    """What is written is 1e-18 of a content and less, which 1 - retention would round to 0."""
    x = torch.randn(2, 4, 3)
    for bias in (-18.0, -200.0):
        encoder: Any = make_encoder(Case(name="rhn", options={"hidden_size": 5, "recurrence_depth": 2}))
        parameters = [(name, value) for name, value in encoder.named_parameters() if "bias" in name]
        with torch.no_grad():
            for _, value in parameters:
                value.fill_(bias)
        trace = encoder.trace(x.to(parameters[0][1].dtype))
        assert trace.content.isfinite().all()
        assert trace.content.abs().max() <= 1
