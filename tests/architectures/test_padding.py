"""Law 4: padding behind a sequence changes nothing before it."""

import pytest
import torch
from torch import Tensor

from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    gradients,
    make_encoder,
    noise,
    parametrize_cases,
)

LENGTHS = [13, 6, 1, 12]
TIME = 13


def valid_mask() -> Tensor:
    """Returns (batch, TIME, 1): whether a step belongs to its sequence."""
    return (torch.arange(TIME) < torch.tensor(LENGTHS).unsqueeze(1)).unsqueeze(2)


@pytest.mark.parametrize("garbage", [1.0, 1e6], ids=["ordinary", "large"])
@parametrize_cases(CASES)
def test_garbage_behind_a_sequence_changes_nothing(case: Case, garbage: float) -> None:
    """The valid outputs, and their gradients with respect to the valid inputs and the parameters, are the same over
    zeros and over garbage; and the garbage gets a gradient of exactly 0. Causal encoders do not need the lengths."""
    encoder, lengths = make_encoder(case), torch.tensor(LENGTHS)
    x = noise(len(LENGTHS), TIME, INPUT_SIZE)
    clean = torch.where(valid_mask(), x, 0.0)
    dirty = torch.where(valid_mask(), x, garbage * noise(*x.shape, seed=2))
    outcomes = []
    for x_padded, lengths_or_none in [(clean, lengths), (dirty, lengths), *([(dirty, None)] if case.causal else [])]:
        x_padded = x_padded.clone().requires_grad_()
        y = torch.where(valid_mask(), encoder(x_padded, lengths=lengths_or_none)[0], 0.0)
        grads = gradients((y * noise(*y.shape, seed=3)).sum(), encoder, x_padded)
        assert torch.count_nonzero(grads["x"] * ~valid_mask()) == 0
        outcomes.append((y.detach(), grads))
    for y, grads in outcomes[1:]:
        assert torch.equal(y, outcomes[0][0])
        assert_close(grads, outcomes[0][1])


@parametrize_cases(CASES)
def test_a_padded_batch_equals_its_sequences_one_by_one(case: Case) -> None:
    """Each sequence of a padded batch has the same outputs as alone and unpadded."""
    encoder, x = make_encoder(case), noise(len(LENGTHS), TIME, INPUT_SIZE)
    y, _ = encoder(x, lengths=torch.tensor(LENGTHS))
    traced = encoder.trace(x, lengths=torch.tensor(LENGTHS)).y
    for row, length in enumerate(LENGTHS):
        alone, _ = encoder(x[row : row + 1, :length])
        assert_close(y[row, :length], alone[0])
        assert_close(traced[row, :length], alone[0])


@parametrize_cases(case for case in CASES if not case.is_variant)
def test_invalid_lengths_are_refused(case: Case) -> None:
    """Lengths are one whole number for each sequence, none negative or above the number of steps: anything else would
    silently read the padding, or other steps. Causal encoders refuse them too, so that a mistake does not show only
    when the architecture is changed."""
    encoder, x = make_encoder(case), noise(2, 5, INPUT_SIZE)
    for wrong in (
        torch.tensor([6, 5]),
        torch.tensor([-1, 5]),
        torch.tensor([5]),
        torch.tensor([5, 5, 5]),
        torch.tensor([[5, 5]]),
        torch.tensor([5.0, 4.0]),
    ):
        for call in (encoder, encoder.trace):
            with pytest.raises((ValueError, TypeError), match="lengths"):
                call(x, lengths=wrong)


@parametrize_cases(case for case in CASES if not case.causal)
def test_a_bidirectional_encoder_needs_the_lengths(case: Case) -> None:
    """Without them the padding shows: otherwise the tests above could not fail."""
    encoder, x = make_encoder(case), noise(len(LENGTHS), TIME, INPUT_SIZE)
    with_lengths, _ = encoder(x, lengths=torch.tensor(LENGTHS))
    without, _ = encoder(x)
    assert torch.equal(with_lengths[0], without[0])
    assert (with_lengths[1, : LENGTHS[1]] - without[1, : LENGTHS[1]]).abs().max() > 1e-3
