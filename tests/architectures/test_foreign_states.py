"""Tests of states that are not the encoder's own: of another architecture, batch, width or type, or none at all."""

import io
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures import Encoder, State, map_state
from architectures.state import NAMED_STATES, strip_names
from tests.architectures.cases import (
    DEFAULT_CASES,
    INPUT_SIZE,
    Case,
    make_encoder,
    noise,
    parametrize_cases,
    state_leaf,
)

CAUSAL = [case for case in DEFAULT_CASES if case.causal]
X = noise(3, 5, INPUT_SIZE)


@cache
def encoder_of(case: Case) -> Encoder:
    return make_encoder(case, hidden_size=8)


@cache
def state_of(case: Case) -> State:
    state: State = encoder_of(case)(X)[1]
    return state


def refuse(case: Case, state: Any, reason: str, error: type[Exception] = ValueError) -> None:
    """Asserts that both a call and a trace refuse a state, for that reason."""
    encoder = encoder_of(case)
    for call in (encoder, encoder.trace):
        with pytest.raises(error, match=reason):
            call(X, state)


def family(name: str) -> str:
    if name == "act":
        # It carries the state of what ponders.
        return "lstm"
    return name if name in ("rnn-attention", "seq2seq-fixed", "han-memory") else name.partition("-")[0].rstrip("123")


@parametrize_cases(CAUSAL)
def test_a_state_of_another_architecture_is_refused(case: Case) -> None:
    """Even of one whose states have the same shapes, as those of RNN and GRU, or of LSTM, RWA and RDA."""
    for other in CAUSAL:
        if family(other.name) == family(case.name):
            encoder_of(case)(X, state_of(other))
        else:
            refuse(case, state_of(other), "the state is not one of this encoder")


@parametrize_cases(CAUSAL)
def test_a_state_of_another_batch_width_or_type_is_refused(case: Case) -> None:
    state = state_of(case)
    # One row would be broadcast.
    refuse(case, map_state(lambda part: part[:1], state), r"of shape \(1, .*\) where \(3, ")
    refuse(case, map_state(lambda part: part[..., :-1], state), "where .* belongs")
    refuse(case, map_state(lambda part: part[0], state), "where .* belongs")
    refuse(case, map_state(Tensor.float, state), r"torch\.float32, not torch\.float64")
    refuse(case, map_state(Tensor.long, state), r"torch\.int64, not torch\.float64")
    refuse(case, map_state(lambda part: part.to("meta"), state), "on meta, not on cpu as x is")


@parametrize_cases(CAUSAL)
def test_what_is_no_tree_of_tuples_of_tensors_is_refused(case: Case) -> None:
    state = state_of(case)
    assert isinstance(state, tuple)
    first = state[0]
    assert isinstance(first, tuple)
    refuse(case, list(state), r"a state is .* not builtins\.list", TypeError)
    refuse(case, {"h": state}, r"not builtins\.dict", TypeError)
    refuse(case, ((state_leaf(first, 0).detach().numpy(), *first[1:]), *state[1:]), r"not numpy\.ndarray", TypeError)
    refuse(case, (state,), "the state is not one of this encoder")
    refuse(case, (*state, first), r"it has \d parts where \d belong")
    refuse(case, (), "it has 0 parts where")
    refuse(case, (None, *state[1:]), "it has None where")
    refuse(case, ((None, *first[1:]), *state[1:]), "it has None where a tensor belongs")
    refuse(case, first[0], r"it has torch\.Tensor where")


@pytest.mark.parametrize("backend", ["eager", "auto"])
def test_a_single_row_is_not_broadcast_in_half_precision(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_BACKEND", backend)
    encoder = architectures.build("rda", 3, hidden_size=4).bfloat16()
    _, state = encoder(X[:1].bfloat16())
    with pytest.raises(ValueError, match=r"of shape \(1, 4\) where \(3, 4\) belongs"):
        encoder(X.bfloat16(), state)


def test_levels_of_the_hierarchy_hold_the_same_past() -> None:
    """Keys without their values, or more steps at one level than at the next, belong to no sequence."""
    case = next(case for case in CAUSAL if case.name == "han")
    state = state_of(case)
    short = state_leaf(state, 0, 1)[:, :-1]
    assert isinstance(state, tuple)
    refuse(case, ((state_leaf(state, 0, 0), short), *state[1:]), "its tensors hold")
    refuse(case, ((state_leaf(state, 0, 0)[:, :-1], short), *state[1:]), "its tensors hold")


@parametrize_cases(CAUSAL)
def test_plain_tuples_and_saved_states_resume(case: Case) -> None:
    """A state has the same meaning without its names, and keeps them in a file that is loaded with weights only."""
    encoder, state = encoder_of(case), state_of(case)
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    expected, _ = encoder(X, state)
    for same in (loaded, strip_names(state), architectures.detach(state)):
        assert torch.equal(encoder(X, same)[0], expected)
    for named, names in (
        (state, True),
        (loaded, True),
        (architectures.detach(state), True),
        (strip_names(state), False),
    ):
        assert isinstance(named, tuple)
        assert all(isinstance(part, NAMED_STATES) is names for part in named)
