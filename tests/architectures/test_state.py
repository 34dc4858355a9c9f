"""Tests of the state that is carried from one call to the next."""

import torch

import architectures
from architectures import State, map_state
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

STREAMING = [case for case in CASES if case.causal]


@parametrize_cases(STREAMING)
def test_state_size_counts_what_is_carried(case: Case) -> None:
    """The numbers of a state are batch * state_size(time), however many calls it took to get there."""
    encoder, x = make_encoder(case), noise(3, 40, INPUT_SIZE)
    for time in (1, 2, 3, 7, 8, 9, 16, 28, 40):
        _, state = encoder(x[:, :time])
        assert sum(tensor.numel() for tensor in iter_tensors(state)) == 3 * encoder.state_size(time)
    state = None
    for time in range(1, 41):
        _, state = encoder(x[:, time - 1 : time], state)
        assert sum(tensor.numel() for tensor in iter_tensors(state)) == 3 * encoder.state_size(time)


@parametrize_cases(STREAMING)
def test_a_state_keeps_no_more_memory_than_it_counts(case: Case) -> None:
    """A state is not a view of the whole sequence, which would stay in memory and be saved with it."""
    _, state = make_encoder(case)(noise(2, 200, INPUT_SIZE))
    for tensor in iter_tensors(state):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@parametrize_cases(case for case in STREAMING if case.field != 1)
def test_detach_cuts_the_graph(case: Case) -> None:
    """Earlier inputs have a gradient through a carried state, and none through a detached one; the outputs are the
    same."""
    encoder, x = make_encoder(case), noise(8, 9, INPUT_SIZE).requires_grad_()
    _, state = encoder(x[:, :5])
    through, _ = encoder(x[:, 5:], state)
    (grad,) = torch.autograd.grad((through * noise(*through.shape, seed=1)).sum(), x, retain_graph=True)
    assert torch.count_nonzero(grad[:, :5]) > 0
    cut = architectures.detach(state)
    assert not any(tensor.requires_grad for tensor in iter_tensors(cut))
    y, _ = encoder(x[:, 5:], cut)
    assert torch.equal(y, through)
    (grad,) = torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), x)
    assert torch.count_nonzero(grad[:, :5]) == 0
    assert torch.count_nonzero(grad[:, 5:]) > 0


@parametrize_cases(STREAMING)
def test_a_state_can_be_moved_and_chosen_from(case: Case) -> None:
    """Mapped to another precision and to some sequences of the batch, a state resumes those sequences."""
    encoder, x = make_encoder(case), noise(4, 12, INPUT_SIZE)
    expected = encoder(x)[0][1:3, 8:]
    _, state = encoder(x[:, :8])
    single = make_encoder(case, dtype=torch.float32)
    y, stop = single(x[1:3, 8:].float(), map_state(lambda tensor: tensor[1:3].float(), state))
    assert_close(y.double(), expected, 1e-4)
    assert {tensor.dtype for tensor in iter_tensors(stop)} <= {torch.float32}
    back = map_state(lambda tensor: tensor[1:3].clone(), state)
    assert_close(encoder(x[1:3, 8:], back)[0], expected)


def test_mapping_keeps_the_shape_of_the_tree() -> None:
    """`None` stays `None`, at any depth."""
    one, two = torch.ones(1), torch.full((2,), 2.0)
    tree: State = (one, (None, (two,)), ())
    mapped = map_state(lambda tensor: tensor + 1, tree)
    assert_close(mapped, (one + 1, (None, (two + 1,)), ()), 0.0)
    assert map_state(torch.neg, None) is None
    assert [tensor.numel() for tensor in iter_tensors(tree)] == [1, 2]


@parametrize_cases(case for case in CASES if not case.causal)
def test_a_bidirectional_encoder_counts_the_whole_sequence(case: Case) -> None:
    """It carries no state, since the last step may change the first output."""
    assert [make_encoder(case).state_size(time) for time in (1, 10)] == [INPUT_SIZE, 10 * INPUT_SIZE]
