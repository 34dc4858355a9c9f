"""Law 4: what follows a sequence's length changes nothing before it."""

import pytest
import torch
from torch import Tensor

from tests.architectures.cases import CASES, INPUT_SIZE, Case, close, gradients, make, noise, over

LENGTHS = [13, 6, 1, 12]
TIME = 13


def valid() -> Tensor:
    """(batch, TIME, 1): whether a step belongs to its sequence."""
    return (torch.arange(TIME) < torch.tensor(LENGTHS).unsqueeze(1)).unsqueeze(2)


@pytest.mark.parametrize("garbage", [1.0, 1e6], ids=["ordinary", "large"])
@over(CASES)
def test_garbage_behind_a_sequence_changes_nothing(case: Case, garbage: float) -> None:
    """The valid outputs, and their gradients with respect to the valid inputs and the parameters, are the same over
    zeros and over garbage; and the garbage gets a gradient of exactly 0. Causal encoders need no lengths for it."""
    encoder, lengths = make(case), torch.tensor(LENGTHS)
    x = noise(len(LENGTHS), TIME, INPUT_SIZE)
    clean = torch.where(valid(), x, 0.0)
    dirty = torch.where(valid(), x, garbage * noise(*x.shape, seed=2))
    outcomes = []
    for fed, given in [(clean, lengths), (dirty, lengths), *([(dirty, None)] if case.causal else [])]:
        fed = fed.clone().requires_grad_()
        y = torch.where(valid(), encoder(fed, lengths=given)[0], 0.0)
        grads = gradients((y * noise(*y.shape, seed=3)).sum(), encoder, fed)
        assert torch.count_nonzero(grads["x"] * ~valid()) == 0
        outcomes.append((y.detach(), grads))
    for y, grads in outcomes[1:]:
        assert torch.equal(y, outcomes[0][0])
        close(grads, outcomes[0][1])


@over(CASES)
def test_a_padded_batch_equals_its_sequences_one_by_one(case: Case) -> None:
    """Each sequence of a padded batch gets the outputs that it gets alone and unpadded."""
    encoder, x = make(case), noise(len(LENGTHS), TIME, INPUT_SIZE)
    y, _ = encoder(x, lengths=torch.tensor(LENGTHS))
    traced = encoder.trace(x, lengths=torch.tensor(LENGTHS)).y
    for row, length in enumerate(LENGTHS):
        alone, _ = encoder(x[row : row + 1, :length])
        close(y[row, :length], alone[0])
        close(traced[row, :length], alone[0])


@over(case for case in CASES if not case.extra)
def test_lengths_that_cannot_be_are_refused(case: Case) -> None:
    """One whole number for each sequence, none negative or above the number of steps: anything else would read the
    padding, or other steps, without a word. Causal encoders refuse them too, so that no mistake waits for the day the
    architecture is changed."""
    encoder, x = make(case), noise(2, 5, INPUT_SIZE)
    for wrong in (
        torch.tensor([6, 5]),
        torch.tensor([-1, 5]),
        torch.tensor([5]),
        torch.tensor([5, 5, 5]),
        torch.tensor([[5, 5]]),
        torch.tensor([5.0, 4.0]),
    ):
        for use in (encoder, encoder.trace):
            with pytest.raises((ValueError, TypeError), match="lengths"):
                use(x, lengths=wrong)


@over(case for case in CASES if not case.causal)
def test_a_bidirectional_encoder_needs_the_lengths(case: Case) -> None:
    """Without them the padding shows: otherwise the tests above could not fail for it."""
    encoder, x = make(case), noise(len(LENGTHS), TIME, INPUT_SIZE)
    with_lengths, _ = encoder(x, lengths=torch.tensor(LENGTHS))
    without, _ = encoder(x)
    assert torch.equal(with_lengths[0], without[0])
    assert (with_lengths[1, : LENGTHS[1]] - without[1, : LENGTHS[1]]).abs().max() > 1e-3
