"""Modules of PyTorch as architectures: their numbers, their state, and what can be known of them."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import architectures
import workbench
from workbench.api.parts import name_part
from workbench.given_classes import GIVEN

anything: Any = workbench
"""The API for mistakes that a type checker would find."""


class Sums(nn.Module):
    """A causal module that carries no state."""

    def __init__(self, features, hidden_size, scale=1.0):
        super().__init__()
        self.core, self.scale = nn.Linear(features, hidden_size), scale

    def forward(self, x):
        return self.scale * self.core(x).cumsum(1)


class LastFirst(nn.Module):
    """A module that looks ahead, and is told the lengths."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.core = nn.Linear(input_size, hidden_size)

    def forward(self, x, lengths=None):
        last = x.shape[1] - 1 if lengths is None else lengths - 1
        return self.core(x + x[torch.arange(len(x)), last].unsqueeze(1)), "more"


class OwnWeights(nn.Module):
    """A module with a parameter that nothing draws again."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


def part(encoder, name) -> Any:
    """Returns a part of the module that an encoder is around."""
    return getattr(encoder.module, name)


def flat(input_size):
    """Makes a module that has no steps left."""
    return nn.Flatten()


def example(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_layer_of_pytorch_has_its_own_numbers(layer, num_layers):
    torch.manual_seed(3)
    encoder = workbench.wrap(layer)(3, hidden_size=5, num_layers=num_layers)
    torch.manual_seed(3)
    own = layer(3, 5, num_layers=num_layers, batch_first=True)
    x = example(2, 7, 3)
    expected, state = own(x)
    y, after = encoder(x)
    assert torch.equal(y, expected)
    assert torch.equal(after[0] if layer is nn.LSTM else after, state[0] if layer is nn.LSTM else state)
    assert encoder.output_size == 5
    carried = state if layer is nn.LSTM else (state,)
    assert encoder.state_size(7) == sum(part.numel() for part in carried) // 2
    assert encoder.path_length(4) == 4 + num_layers


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_layer_of_pytorch_is_causal_and_goes_on_where_it_stopped(layer):
    encoder = workbench.wrap(layer)(3, hidden_size=4)
    x = example(2, 9, 3).requires_grad_()
    y, _ = encoder(x)
    first, state = encoder(x[:, :4])
    second, _ = encoder(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), y)
    assert encoder.causal
    (gradient,) = torch.autograd.grad(y[:, 3].sum(), x)
    assert gradient[:, 4:].abs().max() == 0
    assert gradient[:, 0].abs().max() > 0


def test_a_bidirectional_layer_ends_where_its_sequence_does():
    encoder = workbench.wrap(nn.GRU(3, 4, batch_first=True, bidirectional=True), weights="given")(3)
    assert not encoder.causal
    x, lengths = example(3, 6, 3), torch.tensor([6, 2, 4])
    y, _ = encoder(x, None, lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(encoder.module(packed)[0], batch_first=True, total_length=6)
    assert torch.equal(y, expected)
    changed = x.clone()
    changed[1, 2:] = 5.0
    assert torch.equal(encoder(changed, None, lengths)[0][1, :2], y[1, :2])
    assert encoder.state_size(6) == 18
    with pytest.raises(ValueError, match="cannot resume"):
        encoder(x, torch.zeros(2, 3, 4))


def test_any_module_maps_sequences_and_carries_nothing():
    cls = workbench.wrap(Sums, causal=True)
    assert list(architectures.options(name_part("architecture", cls)[0])) == ["hidden_size", "scale"]
    encoder = cls(2, hidden_size=3, scale=2.0)
    x = example(4, 5, 2)
    y, state = encoder(x)
    torch.testing.assert_close(y, 2 * part(encoder, "core")(x).cumsum(1))
    assert state is None
    assert (encoder.output_size, encoder.causal, encoder.receptive_field) == (3, True, None)
    with pytest.raises(ValueError, match="Sums carries no state"):
        encoder(x, torch.zeros(1))
    assert encoder.trace(x).retention is None
    assert torch.equal(encoder.trace(x).y, y)
    assert not workbench.wrap(Sums).causal


def test_lengths_reach_a_module_that_asks_for_them():
    encoder = workbench.wrap(LastFirst)(2, hidden_size=3)
    x = example(2, 4, 2)
    y, _ = encoder(x, None, torch.tensor([4, 2]))
    torch.testing.assert_close(y[1, 0], part(encoder, "core")(x[1, 0] + x[1, 1]))


def test_a_pattern_is_drawn_again_for_each_seed_or_kept():
    pattern = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
    drawn, given = workbench.wrap(pattern, name="A"), workbench.wrap(pattern, name="B", weights="given")
    torch.manual_seed(0)
    first, second = (drawn(2).module.state_dict()["0.weight"] for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(drawn(2).module.state_dict()["0.weight"], first)
    kept = given(2).module
    assert torch.equal(kept.state_dict()["0.weight"], pattern.state_dict()["0.weight"])
    assert kept is not pattern
    with pytest.raises(ValueError, match="takes 2 features a step, and the task has 3"):
        workbench.wrap(nn.GRU(2, 4, batch_first=True))(3)


def test_what_a_module_is_is_part_of_its_identity():
    def source(module, **options):
        name, _ = name_part("architecture", workbench.wrap(module, name="Net", **options))
        return GIVEN["architecture", name].source

    def stack(width):
        return nn.Sequential(nn.Linear(2, width), nn.Dropout(0.1))

    torch.manual_seed(1)
    first = stack(4)
    assert source(first) == source(stack(4))
    assert source(first) != source(stack(5))
    assert source(first) != source(nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.2)))
    assert source(first, weights="given") != source(stack(4), weights="given")
    assert source(Sums) != source(LastFirst)
    assert source(nn.GRU) != source(nn.LSTM)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: anything.wrap(OwnWeights()), "no reset_parameters.* draws scale of OwnWeights again"),
        (lambda: anything.wrap(lambda input_size: nn.Linear(input_size, 2)), "a lambda has no name"),
        (lambda: anything.wrap(7), "wrap takes a torch.nn.Module"),
        (lambda: anything.wrap(architectures.build("gru", 2, hidden_size=3)), "GRU is an architecture already"),
        (lambda: anything.wrap(dict), "dict is no torch.nn.Module"),
        (lambda: anything.build(nn.GRU(2, 4), 2), "GRU has batch_first=False"),
        (
            lambda: anything.build(anything.wrap(lambda f: nn.Flatten(), name="Flat"), 2),
            r"maps \(2, 3, 2\) to \(2, 6\)",
        ),
        (lambda: anything.build("grv", 2), "unknown architecture 'grv'"),
        (lambda: anything.build("gru", 2, hidden_sise=3), "no option 'hidden_sise'"),
        (lambda: anything.compare("addition", architectures.build("gru", 2, hidden_size=3)), "give its class"),
        (lambda: anything.compare("addition", [3]), "an architecture is a name, a class"),
    ],
)
def test_a_mistake_is_one_line(make, message):
    with pytest.raises(workbench.UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_an_encoder_is_built_from_a_name_or_a_class():
    torch.manual_seed(0)
    encoder = anything.build("rda", 2, hidden_size=3, attention="softplus")
    torch.manual_seed(0)
    expected = architectures.build("rda", 2, hidden_size=3, attention="softplus")
    x = example(2, 4, 2)
    assert torch.equal(encoder(x)[0], expected(x)[0])
    assert type(anything.build(nn.GRU, 2, hidden_size=3)).__name__ == "GRU"
