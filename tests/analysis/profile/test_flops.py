"""Closed forms of cost, against counts of the definitions' own products."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import architectures
from analysis.profile.cases import BASELINE, BenchmarkCase
from analysis.profile.flops import (
    count_with_pytorch,
    encoder_cost,
    linear_cost,
    mean_attended_steps,
    recurrent_step_cost,
)
from analysis.profile.gate_shapes import LSTM_SHAPE
from architectures import Encoder
from architectures.lstm import LSTM
from tests.architectures.cases import INPUT_SIZE
from tests.architectures.definitions import DEFINITIONS

BATCH, TIME = 3, 12
RECURRENT = ("rnn", "lstm", "lstm-peephole", "lstm-coupled", "gru", "rwa", "rda", "rda-exp-tanh", "rda-sigmoid-id")
DEPTHS: list[tuple[str, dict[str, Any]]] = [
    (name, {"hidden_size": 5, "num_layers": layers}) for name in RECURRENT for layers in (1, 2)
]
DEPTHS += [
    ("lstm", {"hidden_size": 5, "full_gate_recurrence": True}),
    ("gru", {"hidden_size": 5, "reset": "before"}),
    ("depth-gated-lstm", {"hidden_size": 5, "num_layers": 3}),
    ("grid-lstm", {"hidden_size": 5, "num_layers": 2}),
    ("clockwork-rnn", {"hidden_size": 7, "num_modules": 4, "num_layers": 2}),
    *((name, {"hidden_size": 5, "num_layers": 2}) for name in ("lstm-layernorm", "lstm-mi", "rhn", "mrnn")),
    *((name, {"hidden_size": 6, "num_layers": 2}) for name in ("slstm", "mingru", "minlstm")),
    *((f"mut{variant}", {"hidden_size": 5, "num_layers": 2}) for variant in (1, 2, 3)),
]
LEVELS = [
    ("han", {"hidden_size": 4, "window": 3, "num_layers": 2}),
    ("han", {"hidden_size": 4, "window": 20, "num_layers": 1}),
    ("han", {"hidden_size": 4, "window": 2, "num_layers": 4}),
    ("han-bidirectional", {"hidden_size": 4, "window": 3, "num_layers": 2}),
]


def naive_counts(name, options):
    """Returns the multiply-adds per step and sequence of the definition's own products, forward and backward."""
    encoder = architectures.build(name, INPUT_SIZE, **options)
    parameters = dict(encoder.named_parameters())
    x = torch.randn(BATCH, TIME, INPUT_SIZE)
    with FlopCounterMode(display=False) as forward:
        y = DEFINITIONS[name](parameters, x, options, [TIME] * BATCH)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    return tuple(mode.get_total_flops() / 2 / BATCH / TIME for mode in (forward, backward))


@pytest.mark.parametrize(("name", "options"), DEPTHS)
def test_a_recurrence_does_the_products_of_its_definition(name, options):
    # A learned start makes every step need the gradient of its recurrent product.
    options = {**options, "learn_initial_state": True}
    cost = encoder_cost(architectures.build(name, INPUT_SIZE, **options), BATCH, TIME)
    assert cost is not None
    assert (cost.forward.multiply_adds, cost.backward.multiply_adds) == pytest.approx(naive_counts(name, options))


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 5, "kernel_size": 3, "num_layers": 2},
        {"hidden_size": INPUT_SIZE, "num_layers": 1},
        {"hidden_size": 4, "kernel_size": 2, "num_layers": 2, "block": "wavenet", "rounds": 2},
    ],
)
def test_a_tcn_does_the_convolutions_that_pytorch_counts(options):
    encoder = architectures.build("tcn", INPUT_SIZE, **options)
    x = torch.randn(BATCH, TIME, INPUT_SIZE)
    with FlopCounterMode(display=False) as forward:
        y, _ = encoder(x)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    cost = encoder_cost(encoder, BATCH, TIME)
    assert cost is not None
    assert cost.forward.multiply_adds == forward.get_total_flops() / 2 / BATCH / TIME
    assert cost.backward.multiply_adds == backward.get_total_flops() / 2 / BATCH / TIME


@pytest.mark.parametrize(("name", "options"), LEVELS)
def test_a_hierarchy_does_the_products_of_its_definition_and_its_attention(name, options):
    cost = encoder_cost(architectures.build(name, INPUT_SIZE, **options), BATCH, TIME)
    assert cost is not None
    # The definition computes attention as element-wise products, which are counted here pair by pair.
    window, levels, size = options["window"], options["num_layers"], options["hidden_size"]
    pairs = sum(1 for t in range(TIME) for level in range(levels) for j in range(window) if t - j * window**level >= 0)
    attention = 2 * size * pairs / TIME * (2 if name == "han-bidirectional" else 1)
    forward, backward = naive_counts(name, {**options, "reach": 1})
    assert cost.forward.multiply_adds == pytest.approx(forward + attention)
    assert cost.backward.multiply_adds == pytest.approx(backward + 2 * attention)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("transformer", {"hidden_size": 6, "num_layers": 2}),
        ("transformer", {"hidden_size": 6, "window": 4, "feed": False}),
        ("fox", {"hidden_size": 6}),
    ],
)
def test_a_residual_stack_does_the_products_of_its_definition_and_its_attention(name, options):
    cost = encoder_cost(architectures.build(name, INPUT_SIZE, **options), BATCH, TIME)
    assert cost is not None
    pairs = sum(min(t + 1, options.get("window", TIME)) for t in range(TIME)) * options.get("num_layers", 1)
    attention = 2 * options["hidden_size"] * pairs / TIME
    forward, backward = naive_counts(name, options)
    assert cost.forward.multiply_adds == pytest.approx(forward + attention)
    assert cost.backward.multiply_adds == pytest.approx(backward + 2 * attention)


@pytest.mark.parametrize("name", architectures.names())
def test_every_weight_of_the_catalogue_is_in_a_product(name):
    encoder = architectures.build(name, INPUT_SIZE, hidden_size=8)
    # A decoder begins behind a source of one step.
    steps = 2 if name.startswith("seq2seq") else 1
    cost = encoder_cost(encoder, 1, steps)
    assert cost is not None
    matrices = sum(p.numel() for key, p in encoder.named_parameters() if p.ndim > 1 and "original0" not in key)
    # With one step a level of attention sees one pair.
    levels = {"han": 2, "han-bidirectional": 4, "transformer": 1, "fox": 1, "seq2seq": 1}.get(name, 0)
    # What has a matrix for a state, of a key times a value for each head, writes and reads it; the delta rule reads it
    # for the key, too.
    products = {
        "mamba2": 2 * 2 * 16,
        "gated-deltanet": 3 * 16,
        **dict.fromkeys(("linear-attention", "retnet", "mlstm"), 2 * 16),
    }
    if name == "han-memory":
        # 64 slots, each with an address, which is added: read, written to, and compared with 8 numbers and one more.
        matrices += 64 * 9 - 64 * 8
        levels = 64
    if name == "ntm":
        # Two heads, each of which compares its key of 20 numbers with 128 slots, then writes or reads them.
        levels, products["ntm"] = 0, 2 * 2 * 128 * 20
    assert cost.forward.multiply_adds * steps == matrices + 2 * 8 * levels + products.get(name, 0)


def test_a_state_space_by_hand():
    # 6 features read 2 values each; 4 numbers of state a feature are written and read; two maps to 6, one a gate.
    cost = encoder_cost(architectures.build("s4d", 2, hidden_size=6, num_states=4), 1, 1000)
    assert cost is not None
    assert cost.forward.multiply_adds == 2 * 6 + 2 * (4 * 6) + 6 * 12
    # B and C have two parts.
    cost = encoder_cost(architectures.build("lru", 2, hidden_size=6, num_states=5), 1, 1000)
    assert cost is not None
    assert cost.forward.multiply_adds == 2 * 6 + 2 * (2 * 5 * 6) + 6 * 12


@pytest.mark.parametrize(
    ("attention", "products"), [("none", 0), ("dot", 4 * 5), ("additive", 5 * 5 + 4 * 5), ("local", 4 * 5 + 5 * 5 + 5)]
)
def test_products_of_encoder_and_decoder_by_hand(attention, products):
    """GRUs of 5 units, 4 steps of a source, 6 behind it: each of these also scores the source, by so many products, and
    sums its 4 vectors of 10 numbers."""
    encoder = architectures.build("seq2seq", 3, hidden_size=5, source=4, attention=attention)
    cost = encoder_cost(encoder, 1, 10)
    assert cost is not None
    reading = 4 * 2 * 3 * (5 * 3 + 5 * 5) + 5 * 5 + (4 * 10 * 5 if products else 0)
    decoding = 6 * (3 * (5 * (3 + 10) + 5 * 5) + products + (4 * 10 if products else 0))
    assert cost.forward.multiply_adds == pytest.approx((reading + decoding) / 10)


def test_the_recurrent_products_are_those_of_the_paper():
    for name, matrices in {"rwa": 2, "rda": 3, "gru": 3, "lstm": 4, "rnn": 1}.items():
        encoder = architectures.build(name, 1, hidden_size=1000)
        cost = encoder_cost(encoder, 1, 1)
        assert cost is not None
        assert cost.forward.multiply_adds == pytest.approx(matrices * 1000**2, rel=0.005)


def test_traffic_of_a_recurrent_step_by_hand():
    # I = 2, H = 3, four gates: 24 + 36 weights, shared by 4 sequences. In: x, h, c, weights; out: h, c, y.
    cost = recurrent_step_cost(LSTM_SHAPE, 2, 3, 4, 5, data=True)
    assert cost.forward.numbers_moved == 2 + 6 + 6 + 3 + 60 / 4
    # In: x, h before, dy, adjoints of h and c, i f g o c, recurrent weights; out: adjoints, and (in forward) i f g o c,
    # and once after the last of 5 steps dW.
    assert cost.backward.numbers_moved == 2 + 3 + 3 + 6 + 15 + 36 / 4 + 6 + 15 + 60 / (4 * 5)
    upper = recurrent_step_cost(LSTM_SHAPE, 2, 3, 4, 5, data=False)
    assert upper.backward.numbers_moved == cost.backward.numbers_moved + 2 + 24 / 4
    assert cost.total.bytes == 4 * (32 + 62)
    assert cost.total.intensity == pytest.approx(2 * (60 + 60 + 36) / (4 * 94))


def test_traffic_of_a_product_by_hand():
    # 2 to 3 numbers a step, 6 weights, 10 steps that share them. Backward: x, dy, dW, and for dx W and dx.
    cost = linear_cost(2, 3, 10)
    assert cost.forward.numbers_moved == pytest.approx(2 + 3 + 0.6)
    assert cost.backward.numbers_moved == pytest.approx(2 + 3 + 0.6 + 0.6 + 2)
    assert linear_cost(2, 3, 10, data=True).backward.numbers_moved == pytest.approx(5.6)
    assert linear_cost(2, 3, 10, data=True).backward.multiply_adds == 6


def test_steps_seen():
    assert mean_attended_steps(5, 3, 1) == (1 + 2 + 3 + 3 + 3) / 5
    assert mean_attended_steps(5, 3, 3) == (1 + 1 + 1 + 2 + 2) / 5
    assert mean_attended_steps(4, 100, 1) == 2.5


class CustomEncoder(Encoder):
    """An encoder y = W x, with products that PyTorch counts or with others."""

    def __init__(self, input_size, hidden_size, counts=True):
        super().__init__(input_size)
        self.output_size, self.counts = hidden_size, counts
        self.weight = torch.nn.Parameter(torch.ones(hidden_size, input_size))

    def encode(self, x, state, lengths):
        return x @ self.weight.T if self.counts else x[..., :1] * self.weight[:, 0], None

    def trace(self, x, state=None, lengths=None):
        raise NotImplementedError

    def path_length(self, lag):
        return 1

    def state_size(self, time):
        return 0


def test_a_custom_architecture_is_counted_where_possible():
    encoder, x = CustomEncoder(3, 4), torch.randn(1, 5, 3)
    assert encoder_cost(encoder, 1, 5) is None
    cost = count_with_pytorch(encoder, x)
    assert cost is not None
    assert (cost.forward.multiply_adds, cost.total.multiply_adds) == (12, 24)
    assert (cost.total.bytes, cost.total.intensity) == (None, None)
    assert encoder.weight.grad is None
    assert count_with_pytorch(CustomEncoder(3, 4, counts=False), x) is None


def test_a_subclass_of_a_known_architecture_is_not_taken_for_it():
    class Subclass(LSTM):
        pass

    assert encoder_cost(Subclass(2, 3), 1, 1) is None


def test_the_baseline_is_pytorchs_own():
    case = BenchmarkCase(name=BASELINE, time=4, batch=2, input_size=2, hidden_size=3, device="cpu")
    module, x = case.build(), case.inputs()
    plain = torch.nn.LSTM(2, 3, batch_first=True)
    plain.load_state_dict(module.state_dict())
    assert torch.equal(module(x)[0], plain(x)[0])
