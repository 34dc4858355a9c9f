"""Tests of encoder and decoder: what attention reads, what a decoder starts from, and errors for wrong options."""

from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures.recurrent import RecurrentEncoder
from architectures.registry import load_encoder_class
from architectures.state import iter_tensors
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise

RECURRENT = [name for name in architectures.names() if issubclass(load_encoder_class(name), RecurrentEncoder)]
KINDS = ("additive", "dot", "local", "hard")


def seq2seq(**options: Any) -> Any:
    return make_encoder(Case(name="seq2seq", options={"hidden_size": 4, "source": 5, **options}))


@pytest.mark.parametrize("attention", KINDS)
def test_the_context_is_what_the_map_reads(attention: str) -> None:
    """The second part of y is the map times the encoder's outputs. Rows sum to 1, those of local attention to less, and
    over the source they are 0."""
    encoder, x = seq2seq(attention=attention), noise(3, 12, INPUT_SIZE)
    trace = encoder.trace(x)
    outputs, _ = encoder.encoder(x[:, :5])
    assert trace.alignment.shape == (3, 12, 5)
    assert_close(trace.y[..., 4:], trace.alignment @ outputs)
    assert torch.count_nonzero(trace.alignment[:, :5]) == 0
    total = trace.alignment[:, 5:].sum(2)
    if attention == "local":
        assert (total < 1).all()
    else:
        assert_close(total, torch.ones_like(total))
    if attention == "hard":
        assert torch.count_nonzero(trace.alignment) == 3 * 7


def test_without_attention_every_step_reads_both_ends() -> None:
    encoder, x = seq2seq(attention="none"), noise(2, 9, INPUT_SIZE)
    outputs, _ = encoder.encoder(x[:, :5])
    fixed = torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], dim=1)
    y, _ = encoder(x)
    assert_close(y[:, 5:, 4:], fixed.unsqueeze(1).expand(-1, 4, -1))
    assert encoder.trace(x).alignment is None


def test_local_attention_is_a_window_around_its_center() -> None:
    """With equal scores it is a Gaussian of half the window; centers lie between the first step and the last."""
    encoder = seq2seq(attention="local", source=30, window=4)
    with torch.no_grad():
        encoder.alignment.source.weight.zero_()
    weights = encoder.trace(noise(2, 33, INPUT_SIZE)).alignment[:, 30:]
    steps = torch.arange(30, dtype=torch.float64)
    logs = weights.log() + torch.tensor(30.0).log()
    # -(j - p)^2 / 8: second differences are -1 / 4, and the parabola's top, p, lies within the source.
    assert_close(logs.diff(dim=2).diff(dim=2), torch.full((2, 3, 28), -0.25, dtype=torch.float64), 1e-6)
    first, second = logs[..., 0], logs[..., 1]
    p = (second - first) * 4 + 0.5
    assert ((p >= 0) & (p <= 29)).all()
    assert_close(logs, -((steps - p.unsqueeze(2)) ** 2) / 8, 1e-6)


def test_hard_attention_draws_in_training_as_often_as_its_softmax_says() -> None:
    encoder = seq2seq(attention="hard").train()
    keys, state = noise(1, 5, 4).expand(20_000, -1, -1), noise(1, 4, seed=1).expand(20_000, -1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = encoder.alignment(state, keys)
    assert_close(drawn.sort(1).values[:, :4], torch.zeros(20_000, 4, dtype=torch.float64), 1e-12)
    own = encoder.alignment
    expected = own.score((own.state(state[:1]).unsqueeze(1) + keys[:1]).tanh()).squeeze(2).softmax(1)
    assert_close(drawn.mean(0, keepdim=True), expected, 0.02)


@pytest.mark.parametrize("base", RECURRENT)
def test_every_recurrent_architecture_encodes_and_decodes(base: str) -> None:
    """In pieces as in one call, with every parameter learning; and it is the end of the source that the decoder starts
    from."""
    x = noise(2, 9, INPUT_SIZE)
    # Modules that are slower act at the first step alone, which hears nothing.
    encoder = seq2seq(base=base, **({"base_options": {"num_modules": 2}} if base == "clockwork-rnn" else {}))
    expected, _ = encoder(x)
    first, state = encoder(x[:, :3])
    second, state = encoder(x[:, 3:6], state)
    third, _ = encoder(x[:, 6:], state)
    assert_close(torch.cat([first, second, third], dim=1), expected)
    (expected * noise(*expected.shape, seed=1)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())
    assert sum(part.numel() for part in iter_tensors(encoder(x)[1])) == 2 * encoder.state_size(9)


def test_answers_fed_back_one_by_one_are_those_of_one_call() -> None:
    """What free running rests on: a decoder is called step by step, each input made from the output before."""
    encoder, readout = seq2seq(), torch.nn.Linear(12, INPUT_SIZE).double()
    x = noise(2, 12, INPUT_SIZE)
    y, state = encoder(x[:, :6])
    fed = [x[:, :6]]
    with torch.no_grad():
        for _ in range(6):
            fed.append(readout(y[:, -1:]))
            y, state = encoder(fed[-1], state)
    whole, _ = encoder(torch.cat(fed, dim=1))
    assert_close(whole[:, -1:], y)


def test_a_source_without_a_decoder_is_answered_by_zeros() -> None:
    encoder, x = seq2seq(), noise(2, 5, INPUT_SIZE)
    y, state = encoder(x)
    assert torch.count_nonzero(y) == 0
    trace = encoder.trace(x[:, :3])
    assert torch.count_nonzero(trace.y) == torch.count_nonzero(trace.alignment) == 0
    more: Tensor = noise(2, 2, INPUT_SIZE, seed=1)
    assert_close(encoder(more, state)[0], encoder(torch.cat([x, more], dim=1))[0][:, 5:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "all"}, "attention must be one of none, additive, dot, local, hard, not 'all'"),
        ({"base": "tcn"}, "base 'tcn' is not recurrent"),
        ({"base": "seq2seq"}, "base 'seq2seq' is no causal architecture"),
        ({"source": 0}, "source must be at least 1, not 0"),
        ({"bidirectional": "no"}, "bidirectional must be true or false, not 'no'"),
        ({"base_options": {"hidden_size": 3}}, "base_options has hidden_size"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build("seq2seq", 2, **{"hidden_size": 4, **options})
