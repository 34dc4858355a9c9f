"""Law 1: a sequence in pieces, with the state carried from piece to piece, gives the same as one call."""

from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import architectures
from architectures import Encoder, State
from tests.architectures.cases import (
    BIDIRECTIONAL,
    CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    gradients,
    make_encoder,
    noise,
    parametrize_cases,
)

TIME = 19
CUTS = st.sets(st.integers(1, TIME - 1), max_size=6)


@cache
def run_at_once(case: Case) -> tuple[Tensor, State, dict[str, Tensor]]:
    """Returns the outputs, the state and the gradients of one call."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE).requires_grad_()
    y, state = encoder(x)
    return y.detach(), architectures.detach(state), gradients(projection(y), encoder, x)


def projection(y: Tensor) -> Tensor:
    return (y * noise(*y.shape, seed=1)).sum()


def run_in_pieces(encoder: Encoder, x: Tensor, cuts: set[int]) -> tuple[Tensor, State]:
    edges = [0, *sorted(cuts), x.shape[1]]
    state: State = None
    pieces = []
    for start, stop in pairwise(edges):
        y, state = encoder(x[:, start:stop], state)
        pieces.append(y)
    return torch.cat(pieces, dim=1), state


@parametrize_cases(case for case in CASES if case.causal)
@settings(max_examples=1, derandomize=True, database=None, deadline=None)
@given(cuts=CUTS)
@example(cuts=set(range(1, TIME)))
@example(cuts={1, TIME - 1})
def test_any_cut_gives_the_same_as_one_call(case: Case, cuts: set[int]) -> None:
    """Outputs, the last state, and the gradients through the carried states agree. Cuts fall within the first steps of
    windows and kernels too."""
    check_cuts(case, cuts)


@pytest.mark.slow
@parametrize_cases(case for case in CASES if case.causal)
@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(cuts=CUTS)
def test_many_cuts_give_the_same_as_one_call(case: Case, cuts: set[int]) -> None:
    check_cuts(case, cuts)


def check_cuts(case: Case, cuts: set[int]) -> None:
    """Checks a sequence in pieces against one call."""
    y, state, grads = run_at_once(case)
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE).requires_grad_()
    y_in_pieces, last_state = run_in_pieces(encoder, x, cuts)
    assert_close(y_in_pieces, y)
    assert_close(last_state, state)
    assert_close(gradients(projection(y_in_pieces), encoder, x), grads)


@parametrize_cases(case for case in CASES if case.causal)
def test_the_state_matters(case: Case) -> None:
    """A second piece without the first one's state gives another output, unless the encoder sees no past."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    _, state = encoder(x[:, :7])
    same = torch.equal(encoder(x[:, 7:], state)[0], encoder(x[:, 7:])[0])
    assert same is (case.field == 1)


def test_only_the_bidirectional_are_exempt() -> None:
    """The exemption is by name, or by an option that says so, and agrees with the encoders' `causal`."""
    exempt = {case.name for case in CASES if not make_encoder(case).causal and "context" not in case.options}
    assert exempt == BIDIRECTIONAL
    assert not any(make_encoder(case).causal for case in CASES if case.name in BIDIRECTIONAL)


@parametrize_cases(case for case in CASES if not case.causal)
def test_the_exempt_refuse_a_state(case: Case) -> None:
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    _, state = encoder(x)
    assert state is None
    carried = make_encoder(next(other for other in CASES if other.name == "han"))(x)[1]
    for call in (encoder, encoder.trace):
        with pytest.raises(ValueError, match="cannot resume from a state"):
            call(x, carried)


def test_a_state_of_another_depth_is_refused() -> None:
    """A state with another number of layers, levels or blocks is an error."""
    x = noise(2, 5, INPUT_SIZE)
    for case in CASES:
        if case.causal:
            _, state = make_encoder(case)(x)
            assert isinstance(state, tuple)
            for wrong in ((*state, state[0]), state[0][0] if isinstance(state[0], tuple) else None):
                with pytest.raises(ValueError, match="state is not one of this encoder"):
                    make_encoder(case)(x, wrong)
