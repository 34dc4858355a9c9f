"""Tests of encoders that run another one: attention over its outputs, and one from each end."""

from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures.nesting import base_names
from architectures.registry import is_causal
from architectures.trace import influence
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise

SMALL = {"hidden_size": 4, "reach": 8}


def attention(**options: Any) -> Any:
    return make_encoder(Case(name="rnn-attention", options={"hidden_size": 4, **options}))


def outputs(encoder: Any, x: Tensor, **more: Any) -> Tensor:
    y: Tensor = encoder(x, **more)[0].detach()
    return y


def test_the_moving_average_ends_as_the_whole_one() -> None:
    """At the last valid step of every sequence; a softmax over all steps at once is another computation."""
    moving, whole = (attention(num_heads=2, context=context) for context in ("moving", "whole"))
    x, lengths = noise(4, 90, INPUT_SIZE), torch.tensor([90, 1, 33, 64])
    y, context = outputs(moving, x), outputs(whole, x, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        assert_close(y[row, length - 1], context[row, length - 1], 1e-12)
        # It is the same at every step.
        assert torch.equal(context[row, 0, 4:], context[row, length - 1, 4:])
    assert_close(outputs(whole, x)[:, -1], y[:, -1], 1e-12)


def test_a_constant_attention_gives_the_mean_of_the_past() -> None:
    encoder = attention(num_heads=2)
    with torch.no_grad():
        encoder.score.weight.zero_()
    y = outputs(encoder, noise(2, 70, INPUT_SIZE))
    steps = torch.arange(1, 71, dtype=torch.float64).view(1, -1, 1)
    assert_close(y[..., 4:], y[..., :4].cumsum(1) / steps, 1e-12)


@pytest.mark.parametrize(("units", "cuts"), [(4, (1, 31, 32, 33, 80)), (32, (63, 64, 65, 100))])
def test_cuts_beside_the_borders_of_chunks_change_nothing(units: int, cuts: tuple[int, ...]) -> None:
    """Chunks are of 32 steps for small heads, else of 64."""
    encoder, x = attention(hidden_size=units), noise(2, 140, INPUT_SIZE)
    expected = outputs(encoder, x)
    for cut in cuts:
        first, state = encoder(x[:, :cut])
        assert_close(torch.cat([first, encoder(x[:, cut:], state)[0]], dim=1).detach(), expected, 1e-12)


@pytest.mark.parametrize("context", ["moving", "whole"])
def test_what_its_trace_has_written_is_what_it_reads(context: str) -> None:
    """Rows of influence on the encoder's outputs, and the logarithm of the denominator."""
    encoder, x = attention(context=context), noise(2, 40, INPUT_SIZE)
    lengths = torch.tensor([40, 25])
    trace, y = encoder.trace(x, lengths=lengths), outputs(encoder, x, lengths=lengths)
    for at in (0, 24, 39):
        row, share = influence(trace.retention, trace.write, at)
        read = (row * trace.content[:, : at + 1]).sum(1)
        assert_close(share, torch.zeros_like(share))
        assert_close(trace.gates["r"][:, at], read)
        if context == "moving" or at == 39:
            assert_close(y[:, at, 4:], read)
    assert_close(trace.gates["l"][:, 24], trace.log_attention[:, :25].logsumexp(1))
    assert_close(trace.write[1, 25:].sum() == 0, torch.tensor(context == "whole"))
    # The layer below, and the attention.
    assert [layer.y.shape[2] for layer in trace.layers] == [4, 8]


@pytest.mark.parametrize("base", base_names())
def test_every_causal_architecture_can_be_run_inside(base: str) -> None:
    x = noise(2, 9, INPUT_SIZE, dtype=torch.float32)
    torch.manual_seed(0)
    attending: Any = architectures.build("rnn-attention", INPUT_SIZE, base=base, **SMALL)
    expected, _ = attending(x)
    first, state = attending(x[:, :4])
    assert_close(torch.cat([first, attending(x[:, 4:], state)[0]], dim=1), expected, 1e-5)
    # Through the average, unless the encoder below sees the step as directly as its own.
    through_average = attending.path_length(0) + 1
    below = attending.base.receptive_field is None and attending.base.path_length(500)
    assert attending.path_length(500) == (min(below, through_average) if below else through_average)
    # Through the average, unless what is inside has a path as short.
    inside: Any = attending.base
    short = inside.receptive_field is None and inside.path_length(500) == inside.path_length(0)
    assert attending.path_length(0) + (not short) == attending.path_length(500)
    both: Any = architectures.build("bidirectional", INPUT_SIZE, base=base, **SMALL)
    assert type(both.onward) is type(both.backward) is type(architectures.build(base, 1, hidden_size=4))
    assert_close(both(x)[0][..., :4], both.onward(x)[0], 1e-6)


def test_what_is_read_from_the_other_end_is_turned_round() -> None:
    """Two directions of equal weights: sequences turned round within their lengths give outputs turned round, with the
    directions exchanged."""
    encoder: Any = make_encoder(Case(name="bidirectional", options={"hidden_size": 4, "base": "gru"}))
    encoder.backward.load_state_dict(encoder.onward.state_dict())
    x, lengths = noise(3, 11, INPUT_SIZE), [11, 4, 1]
    turned = x.clone()
    for row, length in enumerate(lengths):
        turned[row, :length] = x[row, :length].flip(0)
    y, y_turned = (outputs(encoder, each, lengths=torch.tensor(lengths)) for each in (x, turned))
    trace = encoder.trace(x, lengths=torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert_close(y_turned[row, :length], y[row, :length].flip(0).roll(4, dims=1))
    assert set(trace.gates) == {"r_onward", "z_onward", "r_backward", "z_backward"}
    alone = encoder.backward.trace(x[1:2, :4].flip(1))
    assert_close(trace.gates["z_backward"][1, :4], alone.gates["z"][0].flip(0))


def test_the_path_through_the_average_is_short_whatever_the_lag() -> None:
    """And the only one where the encoder below sees no further."""
    encoder = attention(base="tcn", reach=8, base_options={"kernel_size": 2})
    field = encoder.base.receptive_field
    assert encoder.receptive_field is None
    blocks = encoder.base.path_length(0)
    assert [encoder.path_length(lag) for lag in (0, field - 1, field, 1000)] == [blocks, blocks, blocks + 1, blocks + 1]


def test_options_say_which_are_causal() -> None:
    for name, options, expected in (
        ("rnn-attention", {}, True),
        ("rnn-attention", {"context": "moving"}, True),
        ("rnn-attention", {"context": "whole"}, False),
        ("bidirectional", {"base": "gru"}, False),
        ("lstm", {}, True),
        ("some.module:Class", {}, True),
    ):
        assert is_causal(name, options) is expected


@pytest.mark.parametrize("name", ["rnn-attention", "bidirectional"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "lstn"}, "base 'lstn' is no causal architecture of the catalogue; did you mean 'lstm'"),
        ({"base": "han-bidirectional"}, "base 'han-bidirectional' is no causal architecture"),
        ({"base": "rnn-attention"}, "base 'rnn-attention' is no causal architecture"),
        ({"base": 3}, "base must be the name of an architecture, not 3"),
        ({"base_options": [1]}, "base_options must be a mapping of options of lstm"),
        ({"base_options": {"hidden_size": 3}}, "base_options has hidden_size, which is an option beside base_options"),
        (
            {"base_options": {"peephole": True}},
            "base_options has 'peephole', which lstm has not; did you mean 'peepholes'",
        ),
        ({"base_options": {"input_size": 3}}, "base_options has 'input_size', which lstm has not"),
        ({"base_options": {1: 3}}, "base_options has 1, which lstm has not"),
        ({"base": "depth-gated-lstm", "num_layers": 1}, "num_layers must be at least 2"),
    ],
)
def test_a_wrong_base_is_an_error_with_a_remedy(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build(name, 2, hidden_size=4, **options)


def test_a_wrong_attention_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="context must be moving or whole, not 'all'"):
        attention(context="all")
    with pytest.raises(ValueError, match="4 units of lstm cannot be divided among 3 heads"):
        attention(num_heads=3)


def test_averages_stay_in_single_precision_under_autocast() -> None:
    """As those of the RWA do."""
    x = noise(2, 200, INPUT_SIZE, dtype=torch.float32)
    encoder = make_encoder(Case(name="rnn-attention", options={"hidden_size": 6, "base": "rwa"}), dtype=torch.float32)
    expected = outputs(encoder, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = encoder(x)
        trace = encoder.trace(x[:, :5], state)
    assert isinstance(state, tuple)
    assert {part.dtype for part in state[0]} == {y.dtype} == {trace.y.dtype} == {torch.float32}
    assert_close(y.detach(), expected, 0.05)
