"""Law 4: padding behind a sequence changes nothing before it."""

import math
from collections.abc import Iterator
from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn

from architectures import Encoder, State, Trace
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


class StepwiseLinear(Encoder):
    """An encoder as a user may bring it: a linear map of every step, and a state that holds its last output."""

    def __init__(self) -> None:
        super().__init__(INPUT_SIZE)
        self.output_size, self.project = 2, nn.Linear(INPUT_SIZE, 2)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        y = self.project(x)
        return y, y[:, -1]

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        return Trace(y=self.project(self.prepare(x, lengths)))

    def path_length(self, lag: int) -> int:
        return 1

    def state_size(self, time: int) -> int:
        return self.output_size


def tensors_of(trace: Trace) -> Iterator[Tensor]:
    """Yields the tensors that a trace holds, those of its layers included."""
    held = [getattr(trace, field.name) for field in fields(trace)]
    while held:
        match held.pop():
            case Tensor() as value:
                yield value
            case Trace() as layer:
                yield from tensors_of(layer)
            case dict() as parts:
                held.extend(parts.values())
            case tuple() as parts:
                held.extend(parts)


def assert_reads_nothing_behind(encoder: Encoder) -> None:
    """Asserts that NaN and infinity behind the lengths leave every bit of values, state, trace and gradients as zeros
    do. The loss reads every output, those behind the lengths too, whose own inputs alone may then have other gradients;
    and one sequence has no steps at all."""
    lengths = torch.tensor([*LENGTHS, 0])
    behind = (torch.arange(TIME) >= lengths.unsqueeze(1)).unsqueeze(2)
    x = noise(len(lengths), TIME, INPUT_SIZE)
    outcomes = []
    for filler in (0.0, math.nan, math.inf):
        padded = torch.where(behind, filler, x).requires_grad_()
        y, state = encoder(padded, lengths=lengths)
        grads = gradients((y * noise(*y.shape, seed=3)).sum(), encoder, padded)
        assert y.isfinite().all()
        assert all(grad.isfinite().all() for grad in grads.values())
        grads["x"] = torch.where(behind, 0.0, grads["x"])
        outcomes.append((y, state, grads, list(tensors_of(encoder.trace(padded, lengths=lengths)))))
    for outcome in outcomes[1:]:
        torch.testing.assert_close(outcome, outcomes[0], rtol=0, atol=0)


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
def test_nan_and_infinity_behind_a_sequence_change_nothing(case: Case) -> None:
    """A gradient of 0 does not keep them out, for 0 * NaN is NaN."""
    assert_reads_nothing_behind(make_encoder(case))


def test_nor_do_they_in_a_custom_encoder() -> None:
    assert_reads_nothing_behind(StepwiseLinear().double())


def test_without_lengths_every_step_is_read() -> None:
    """NaN is then a number of the sequence, and shows."""
    encoder, x = StepwiseLinear().double(), noise(1, TIME, INPUT_SIZE)
    x[:, -1] = math.nan
    assert encoder(x)[0][:, -1].isnan().all()


@parametrize_cases(case for case in CASES if not case.is_variant)
def test_lengths_of_every_integer_type_are_the_same(case: Case) -> None:
    """Those without a sign have no -1."""
    encoder, x = make_encoder(case), noise(3, 5, INPUT_SIZE)
    expected, _ = encoder(x, lengths=torch.tensor([5, 0, 2]))
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert torch.equal(encoder(x, lengths=torch.tensor([5, 0, 2], dtype=dtype))[0], expected)


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
