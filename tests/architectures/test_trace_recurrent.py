"""Law 8 for recurrent architectures: every layer's trace, scanned step by step, gives its outputs."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from architectures import State, Trace, influence
from architectures.state import iter_tensors
from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
)
from tests.architectures.definitions.averaging import activations
from tests.architectures.definitions.common import initial_state, split_layers
from tests.architectures.definitions.gru import gates

TIME = 13
AVERAGES = ("rwa", "rda", "rda-exp-tanh", "rda-sigmoid-id")


def cases_named(*names: str) -> Iterator[Case]:
    return (case for case in CASES if case.name in names)


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """A layer's trace, from the start or from a carried state, with its parameters and input."""

    trace: Trace
    parameters: Mapping[str, Tensor]
    """The layer's parameters, by name."""
    x: Tensor
    start: tuple[Tensor, ...]
    """(h,), (h, c) or (r, l) before the first step."""


def layer_runs(case: Case) -> Iterator[LayerRun]:
    """Iterates over all layers, from the start, then from a carried state."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    parameters = split_layers(dict(encoder.named_parameters()), "layers.")
    _, carried = encoder(x[:, :4])
    starts: list[tuple[Tensor, State]] = [(x, None), (x[:, 4:], carried)]
    for layer_input, state in starts:
        trace = encoder.trace(layer_input, state)
        assert len(trace.layers) == len(parameters)
        assert torch.equal(trace.y, trace.layers[-1].y)
        for index, (layer_parameters, layer) in enumerate(zip(parameters, trace.layers, strict=True)):
            if state is None:
                start = expected_start(case, layer_parameters, layer.y)
            else:
                start = tuple(iter_tensors(state[index] if isinstance(state, tuple) else None))
            yield LayerRun(trace=layer, parameters=layer_parameters, x=layer_input, start=start)
            layer_input = layer.y


def expected_start(case: Case, parameters: Mapping[str, Tensor], y: Tensor) -> tuple[Tensor, ...]:
    """Returns a layer's initial state. That of an average is the s of h_0 = f_h(s), and d = 0."""
    if case.name in AVERAGES:
        r = parameters["initial"].repeat(len(y), 1) if "initial" in parameters else torch.zeros_like(y[:, 0])
        return r, torch.full_like(r, -torch.inf)
    return initial_state(parameters, 0, y, y.shape[2]), initial_state(parameters, 1, y, y.shape[2])


def accumulate(trace: Trace, start: Tensor) -> Tensor:
    """Accumulates retention_t value_{t-1} + write_t content_t, and checks it against the rows of influence."""
    assert trace.retention is not None
    assert trace.write is not None
    assert trace.content is not None
    values = []
    now = start
    for t in range(trace.y.shape[1]):
        now = trace.retention[:, t] * now + trace.write[:, t] * trace.content[:, t]
        row, share = influence(trace.retention, trace.write, at=t)
        assert_close((row * trace.content[:, : t + 1]).sum(1) + share * start, now)
        values.append(now)
    return torch.stack(values, dim=1)


@parametrize_cases(cases_named("rnn"))
def test_rnn_is_the_tanh_of_its_trace(case: Case) -> None:
    for run in layer_runs(case):
        assert run.trace.gates is not None
        assert_close(run.trace.gates["a"].tanh(), run.trace.y)


@parametrize_cases(cases_named("lstm", "lstm-peephole", "lstm-coupled"))
def test_lstm_follows_from_its_gates(case: Case) -> None:
    """c from f, i and g; then o tanh(c). A gate that is not there is 1, or 1 - f."""
    for run in layer_runs(case):
        trace = run.trace
        assert trace.gates is not None
        assert trace.gates["f"] is trace.retention
        assert trace.gates["i"] is trace.write
        assert_close(trace.gates["o"] * accumulate(trace, run.start[1]).tanh(), trace.y)
        for gate, option in (("f", "forget_gate"), ("o", "output_gate")):
            assert bool((trace.gates[gate] == 1).all()) is not case.options.get(option, True)
        if case.name == "lstm-coupled" or case.options.get("coupled"):
            assert_close(trace.gates["i"], 1 - trace.gates["f"])


@parametrize_cases(cases_named("lstm-layernorm", "lstm-mi", "depth-gated-lstm", "grid-lstm"))
def test_relatives_of_the_lstm_follow_from_their_gates(case: Case) -> None:
    """The memory along time from f, i and g, and from what a depth gate lets in; the output from it, normalised or not,
    or from the memory along depth."""
    for run in layer_runs(case):
        trace, gate = run.trace, run.trace.gates
        assert gate is not None
        assert gate["f"] is trace.retention
        assert gate["i"] is trace.write
        assert trace.content is not None
        before = torch.cat([run.start[1].unsqueeze(1), torch.zeros_like(trace.y[:, 1:])], dim=1)
        for t in range(TIME if trace.y.shape[1] == TIME else trace.y.shape[1]):
            c = gate["f"][:, t] * before[:, t] + gate["i"][:, t] * trace.content[:, t]
            c = c + gate["entering"][:, t] if "entering" in gate else c
            if t + 1 < before.shape[1]:
                before[:, t + 1] = c
            if case.name == "grid-lstm":
                assert_close(gate["m"][:, t], c)
                c = gate["m_depth"][:, t]
                assert_close((gate["o_depth"][:, t] * c).tanh(), trace.y[:, t])
            else:
                c = gate["n"][:, t] if case.name == "lstm-layernorm" else c
                assert_close(gate["o"][:, t] * c.tanh(), trace.y[:, t])


@parametrize_cases(cases_named("mut1", "mut2", "mut3", "rhn", "clockwork-rnn"))
def test_what_is_kept_and_written_is_the_output(case: Case) -> None:
    """Shares of what was there and of the content, which sum to 1."""
    for run in layer_runs(case):
        assert run.trace.retention is not None
        assert run.trace.write is not None
        assert_close(accumulate(run.trace, run.start[0]), run.trace.y)
        assert_close(run.trace.retention + run.trace.write, torch.ones_like(run.trace.y))
        if case.name == "clockwork-rnn":
            steps = torch.arange(run.trace.y.shape[1]) + (TIME - run.trace.y.shape[1])
            fastest, slowest = run.trace.write[0, :, 0], run.trace.write[0, :, -1]
            modules = min(case.options.get("num_modules", 8), case.options["hidden_size"])
            assert_close(fastest, torch.ones_like(fastest))
            assert_close(slowest, (steps % 2 ** (modules - 1) == 0).to(slowest))


@parametrize_cases(cases_named("mrnn"))
def test_mrnn_is_the_tanh_of_its_trace(case: Case) -> None:
    """And its argument is that of h, x and the factors m."""
    for run in layer_runs(case):
        assert run.trace.gates is not None
        assert_close(run.trace.gates["a"].tanh(), run.trace.y)
        W_hx, W_hm = run.parameters["weight_x"].chunk(2)[1], run.parameters["weight_h"].chunk(2)[1]
        assert_close(run.trace.gates["a"], run.x @ W_hx.T + run.trace.gates["m"] @ W_hm.T + run.parameters["bias"])


@parametrize_cases(cases_named("gru"))
def test_gru_follows_from_its_gates(case: Case) -> None:
    """h from z and n; r, which acts inside n, is the definition's."""
    for run in layer_runs(case):
        trace, h_0 = run.trace, run.start[0]
        assert trace.gates is not None
        assert trace.content is not None
        assert_close(accumulate(trace, h_0), trace.y)
        before = torch.cat([h_0.unsqueeze(1), trace.y[:, :-1]], dim=1)
        for t in range(trace.y.shape[1]):
            r, z, n = gates(run.parameters, run.x[:, t], before[:, t])
            assert_close((trace.gates["r"][:, t], trace.gates["z"][:, t], trace.content[:, t]), (r, z, n))


@parametrize_cases(cases_named(*AVERAGES))
def test_averages_follow_from_their_traces(case: Case) -> None:
    """n and d from z, log a and log gamma, as the paper has them; r from w and z by influence; then f_h and f_o. Write
    and retention sum to 1, as do a row of influence and the remaining share of the start."""
    fixed = {
        "rwa": {"attention": "exp", "hidden": "tanh", "output": "identity"},
        "rda-sigmoid-id": {"attention": "sigmoid", "output": "identity"},
    }.get(case.name, {})
    _, hidden, output = activations({**case.options, **fixed})
    for run in layer_runs(case):
        trace, (r_0, l_0) = run.trace, run.start
        gate, z, alpha, discount = trace.gates, trace.content, trace.log_attention, trace.log_discount
        assert gate is not None
        assert z is not None
        assert alpha is not None
        assert discount is not None
        assert trace.retention is not None
        assert trace.write is not None
        n, d = r_0 * l_0.exp(), l_0.exp()
        averages = []
        for t in range(trace.y.shape[1]):
            a, gamma = alpha[:, t].exp(), discount[:, t].exp()
            n, d = gamma * n + a * z[:, t], gamma * d + a
            begun = d > 0
            averages.append(torch.where(begun, n / torch.where(begun, d, 1), r_0))
            assert_close(gate["l"][:, t][begun], d[begun].log())
            row, share = influence(trace.retention, trace.write, at=t)
            assert_close(row.sum(1) + share, torch.ones_like(share))
        r = torch.stack(averages, dim=1)
        assert_close(gate["r"], r)
        assert_close(accumulate(trace, r_0), r)
        assert_close(gate["u"] * gate["g"].tanh(), z)
        assert_close(trace.retention + trace.write, torch.ones_like(trace.write))
        h = r.tanh() if hidden == "tanh" else r
        assert_close(h.tanh() if output == "tanh" else h, trace.y)


def test_rows_of_influence_sum_to_one_in_single_precision() -> None:
    """Over 300 steps, for every f_a, within 1e-5."""
    for attention, hidden in itertools.product(("exp", "sigmoid", "softplus", "relu"), ("identity", "tanh")):
        case = Case(name="rda", options={"hidden_size": 6, "attention": attention, "hidden": hidden})
        trace = make_encoder(case, dtype=torch.float32).trace(noise(2, 300, INPUT_SIZE, dtype=torch.float32))
        assert trace.retention is not None
        assert trace.write is not None
        for at in (0, 1, 17, 299):
            row, share = influence(trace.retention, trace.write, at)
            assert_close(row.sum(1) + share, torch.ones_like(share), tolerance=1e-5)
