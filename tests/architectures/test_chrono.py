"""Tests of chrono biases (Tallec and Ollivier 2018), from the paper's formulas."""

import math
import re

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from architectures import Encoder, build
from architectures.initialisation import chrono_

LONGEST, HIDDEN_SIZE = 200, 1000
GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rda-sigmoid-id": ("u", "g", "a", "gamma")}
"""The gates in the order in which their biases are stored."""
RETAINING = {"lstm": "f", "gru": "z", "rda-sigmoid-id": "gamma"}

each_gated = pytest.mark.parametrize("name", GATES)


def build_encoder(name: str, seed: int = 0, hidden_size: int = HIDDEN_SIZE, **options: object) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(name, 3, hidden_size=hidden_size, **options)


def biases(encoder: Encoder, name: str, layer: int = 0) -> dict[str, Tensor]:
    """Returns the sum of each gate's biases."""
    parameters = {
        key: value.detach() for key, value in encoder.named_parameters() if key.startswith(f"layers.{layer}.")
    }
    if name.startswith("rda"):
        return {gate: parameters[f"layers.{layer}.bias_{gate}"] for gate in GATES[name]}
    total = parameters[f"layers.{layer}.core.bias_ih_l0"] + parameters[f"layers.{layer}.core.bias_hh_l0"]
    return dict(zip(GATES[name], total.chunk(len(GATES[name])), strict=True))


@each_gated
@pytest.mark.parametrize("layer", [0, 1])
def test_units_forget_over_spans_uniform_up_to_the_longest(name: str, layer: int) -> None:
    """A gate that keeps a share s of what was there forgets over 1 / (1 - s) steps; for log u with u ~ U(1, T - 1)
    that is 1 + u, uniform from 2 to T. Every layer has draws of its own."""
    encoder = build_encoder(name, num_layers=2, hidden_size=300, chrono=LONGEST)
    kept = biases(encoder, name, layer)[RETAINING[name]].double().sigmoid()
    spans = 1 / (1 - kept)
    assert spans.min() >= 2 - 1e-5
    assert spans.max() <= LONGEST * (1 + 1e-4)
    assert kstest(spans.numpy(), "uniform", args=(2, LONGEST - 2)).pvalue > 0.01
    other = biases(encoder, name, 1 - layer)[RETAINING[name]]
    assert not torch.equal(other.double().sigmoid(), kept)


@each_gated
def test_the_bounds_are_reached_and_not_passed(name: str) -> None:
    """The bounds are log 1 and log (T - 1)."""
    retain = biases(build_encoder(name, chrono=4), name)[RETAINING[name]]
    assert 0 <= retain.min() < 0.01
    assert math.log(3) - 0.01 < retain.max() <= math.log(3) + 1e-6
    # A span of 2 is the only one.
    assert not biases(build_encoder(name, chrono=2), name)[RETAINING[name]].any()


def test_the_lstm_writes_as_it_forgets() -> None:
    """Input biases are exactly the negatives."""
    lstm_biases = biases(build_encoder("lstm", chrono=LONGEST), "lstm")
    assert torch.equal(lstm_biases["i"], -lstm_biases["f"])
    assert lstm_biases["i"].min() < -1


@each_gated
def test_nothing_else_changes(name: str) -> None:
    """Weights, and the biases of the other gates, are the same as without chrono."""
    with_chrono, without = build_encoder(name, chrono=LONGEST), build_encoder(name)
    changed = {RETAINING[name]} | ({"i"} if name == "lstm" else set())
    for gate, value in biases(without, name).items():
        assert torch.equal(biases(with_chrono, name)[gate], value) == (gate not in changed)
    for (key, value), other in zip(with_chrono.named_parameters(), without.parameters(), strict=True):
        assert value.requires_grad
        if "weight" in key:
            assert torch.equal(value, other)


@each_gated
def test_without_chrono_retaining_gates_start_at_one(name: str) -> None:
    """In every layer. The golden losses show that no random numbers are drawn either: their read-out is drawn later."""
    encoder = build_encoder(name, num_layers=2)
    for layer in (0, 1):
        for gate, bias in biases(encoder, name, layer).items():
            expected = 1.0 if gate == RETAINING[name] else 0.0
            assert set(bias.tolist()) == {expected}


@each_gated
def test_the_seed_decides(name: str) -> None:
    retaining = RETAINING[name]
    first, same, other = (biases(build_encoder(name, seed, chrono=LONGEST), name)[retaining] for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_average_without_a_discount_has_no_such_option() -> None:
    for name in ("rwa", "rnn"):
        with pytest.raises(ValueError, match=f"{name} has no option 'chrono'"):
            build(name, 3, hidden_size=4, chrono=LONGEST)


@pytest.mark.parametrize("name", [*GATES, "rda", "rda-exp-tanh"])
@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (1, ValueError, "chrono must be at least 2, not 1"),
        (0, ValueError, "chrono must be at least 2, not 0"),
        (-5, ValueError, "chrono must be at least 2, not -5"),
        (10.0, TypeError, "chrono must be a whole number, not 10.0"),
        ("10", TypeError, "chrono must be a whole number, not '10'"),
        (True, TypeError, "chrono must be a whole number, not True"),
    ],
)
def test_impossible_spans_are_refused(name: str, wrong: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        build(name, 3, hidden_size=4, chrono=wrong)


def test_biases_are_filled_in_place() -> None:
    retain, write = torch.nn.Parameter(torch.full((50,), 9.0)), torch.full((50,), 9.0)
    chrono_(10, retain, write)
    assert retain.max() <= math.log(9)
    assert torch.equal(write, -retain.detach())
    assert retain.is_leaf
