"""Tests of the initial weights and biases of the RDA paper (section 6.1) and of the TCN paper's code."""

import math

import pytest
import torch
from torch import Tensor

from architectures import Encoder, build

INPUT_SIZE, HIDDEN_SIZE = 40, 200


def parameters(name: str) -> dict[str, Tensor]:
    """Returns the parameters of an encoder that is large enough for statistics of its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder: Encoder = build(name, INPUT_SIZE, hidden_size=HIDDEN_SIZE)
    return {key: value.detach() for key, value in encoder.named_parameters()}


def check_uniform(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Checks that weights are uniform within sqrt(6 / (fan_in + fan_out)), by their maximum, deviation and mean."""
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-6)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert abs(weight.mean().item()) < 0.03 * bound


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_gates_start_as_xavier_and_retain(name: str, gates: int) -> None:
    """Each gate is a map [x, h] -> gate; the biases that add up to the retaining gate's are 1, the others 0."""
    values = parameters(name)
    for weight in ("weight_ih_l0", "weight_hh_l0"):
        for part in values[f"layers.0.core.{weight}"].chunk(gates):
            check_uniform(part, INPUT_SIZE + HIDDEN_SIZE, HIDDEN_SIZE)
    expected = torch.zeros(gates, HIDDEN_SIZE)
    if name != "rnn":
        # The LSTM's f and the GRU's z: both are the second of their gates.
        expected[1] = 1
    total = values["layers.0.core.bias_ih_l0"] + values["layers.0.core.bias_hh_l0"]
    assert torch.equal(total.view(gates, HIDDEN_SIZE), expected)


@pytest.mark.parametrize(("name", "discounted"), [("rwa", False), ("rda-exp-tanh", True), ("rda-sigmoid-id", True)])
def test_averages_start_as_xavier_with_an_open_discount(name: str, discounted: bool) -> None:
    """u is a map of x alone; the discount's bias is 1, the others and the learned start 0. Attention has a bias, except
    where it would cancel."""
    values = parameters(name)
    of_u, *of_gates = values["layers.0.weight_x"].split(HIDDEN_SIZE)
    check_uniform(of_u, INPUT_SIZE, HIDDEN_SIZE)
    for part in (*of_gates, *values["layers.0.weight_h"].split(HIDDEN_SIZE)):
        check_uniform(part, INPUT_SIZE + HIDDEN_SIZE, HIDDEN_SIZE)
    assert len(of_gates) == 2 + discounted
    biases = {key.removeprefix("layers.0."): value for key, value in values.items() if "weight" not in key}
    expected = {"bias_u": 0.0, "bias_g": 0.0}
    expected |= {"bias_gamma": 1.0} if discounted else {"initial": 0.0}
    expected |= {"bias_a": 0.0} if name == "rda-sigmoid-id" else {}
    assert {key: set(value.tolist()) for key, value in biases.items()} == {k: {v} for k, v in expected.items()}


def test_convolutions_start_as_those_of_pytorch() -> None:
    """Weights, also those that weight norm computes, and biases are uniform within 1 / sqrt(in_channels taps)."""
    values = parameters("tcn")
    checked = 0
    for key, v in values.items():
        if key.endswith("original1"):
            g, bias = values[key.removesuffix("1") + "0"], values[key.partition("parametrizations")[0] + "bias"]
            weight = g * v / v.flatten(1).norm(dim=1).view(-1, 1, 1)
        elif key.endswith("side.weight"):
            weight, bias = v, values[key.removesuffix("weight") + "bias"]
        else:
            continue
        bound = 1 / math.sqrt(weight.shape[1] * weight.shape[2])
        assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-5)
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert abs(weight.mean().item()) < 0.03 * bound
        assert 0.95 * bound < bias.abs().max() <= bound * (1 + 1e-5)
        assert bias.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)
        checked += 1
    blocks = 1 + max(int(key.split(".")[1]) for key in values)
    assert checked == 2 * blocks + 1


@pytest.mark.parametrize("name", ["han", "han-bidirectional"])
def test_the_hierarchy_starts_as_xavier(name: str) -> None:
    """Queries, keys and values are three maps; norms start as 1, biases as 0."""
    checked = 0
    for key, value in parameters(name).items():
        if key.endswith("bias"):
            assert not value.any()
        elif value.ndim == 2:
            parts = value.chunk(3) if "qkv" in key else (value,)
            for part in parts:
                check_uniform(part, part.shape[1], part.shape[0])
                checked += 1
        else:
            assert torch.equal(value, torch.ones_like(value))
    assert checked == (13 if name == "han" else 27)
