"""Tests of adaptive computation time: how long it ponders, what that costs, and who pays."""

from typing import Any

import pytest
import torch

import architectures
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise
from tests.architectures.definitions.act import ponder_sequence


def act(**options: Any) -> Any:
    return make_encoder(Case(name="act", options={"hidden_size": 4, **options}))


@pytest.mark.parametrize("lengths", [None, [9, 4, 1]])
def test_the_penalty_is_the_mean_of_micro_steps_and_remainders(lengths: list[int] | None) -> None:
    """Over the valid steps, with the gradient of the remainders; and the trace has both, step by step."""
    encoder, x = act(ponder_cost=0.25, max_ponder=9), noise(3, 9, INPUT_SIZE).requires_grad_()
    given = None if lengths is None else torch.tensor(lengths)
    encoder(x, lengths=given)
    parameters = dict(encoder.named_parameters())
    pondered = [torch.stack(ponder_sequence(parameters, row, {"hidden_size": 4, "max_ponder": 9})[1]) for row in x]
    expected = 0.25 * torch.cat([row[:count] for row, count in zip(pondered, lengths or [9] * 3, strict=True)]).mean()
    assert_close(encoder.penalty, expected)
    ours, theirs = (torch.autograd.grad(value, x, retain_graph=True)[0] for value in (encoder.penalty, expected))
    assert theirs.abs().max() > 0
    assert_close(ours, theirs)
    ponder = encoder.trace(x).gates["ponder"][..., 0]
    assert_close(ponder, torch.stack(pondered))
    assert len(ponder.round(decimals=3).unique()) > 3
    assert ponder.min() >= 1
    assert ponder.max() <= 10


def test_one_micro_step_is_the_architecture_itself() -> None:
    """With a flag of 1 at every step; the remainder is then 1."""
    encoder, x = act(max_ponder=1), noise(2, 7, INPUT_SIZE)
    expected, _ = encoder.base(torch.cat([x, torch.ones(2, 7, 1)], dim=2))
    assert_close(encoder(x)[0], expected)
    assert_close(encoder.penalty / encoder.ponder_cost, torch.tensor(2.0, dtype=torch.float64))


def test_who_wants_to_halt_at_once_does() -> None:
    encoder = act()
    with torch.no_grad():
        encoder.halt.bias.fill_(50.0)
    assert_close(encoder.trace(noise(2, 5, INPUT_SIZE)).gates["ponder"], torch.full((2, 5, 1), 2.0).double())


@pytest.mark.parametrize("base", ["rnn", "gru", "rwa", "rda", "grid-lstm", "rhn"])
def test_other_recurrent_architectures_ponder_too(base: str) -> None:
    """In pieces as in one call."""
    encoder, x = act(base=base, max_ponder=3), noise(2, 8, INPUT_SIZE)
    y, _ = encoder(x)
    first, state = encoder(x[:, :3])
    assert_close(torch.cat([first, encoder(x[:, 3:], state)[0]], dim=1), y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "tcn"}, "base 'tcn' is not recurrent"),
        ({"base": "clockwork-rnn"}, "base 'clockwork-rnn' counts its steps"),
        ({"base": "act"}, "base 'act' is no causal architecture"),
        ({"ponder_cost": -1}, "ponder_cost must lie between 0 and 1,000,000, not -1"),
        ({"ponder_cost": "1"}, "ponder_cost must be a number, not '1'"),
        ({"max_ponder": 0}, "max_ponder must be at least 1, not 0"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build("act", 2, **{"hidden_size": 4, **options})
