"""Path lengths of what has other hops than one a step and a layer, counted as orders of smallness.

Where every weight matrix is a small number eps times one of usual size, and every hop is a product with one of them,
the gradient along a path of n hops is of the order of eps^n. A sum of paths has the order of the one with the fewest.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures import Encoder
from architectures.rhn import RHNLayer
from tests.architectures.cases import INPUT_SIZE, noise

SMALL, SMALLER = 2.0**-8, 2.0**-10


def count_hops(encoder: Encoder, time: int) -> Tensor:
    """Returns (time, time) the fewest hops to each step's output, a row, from each step's input; -1 without a path.

    The encoder's parameters are changed. Biases are 0, so that a tanh passes on what it gets, but those of the gates of
    an RHN are large: they are open, and a highway layer carries nothing past itself.
    """
    matrices = {name: value.detach().clone() for name, value in encoder.named_parameters() if value.ndim > 1}
    sizes = []
    for eps in (SMALL, SMALLER):
        with torch.no_grad():
            for name, value in encoder.named_parameters():
                value.copy_(eps * matrices[name] if name in matrices else torch.zeros_like(value))
            for layer in encoder.modules():
                if isinstance(layer, RHNLayer):
                    layer.bias.view(layer.depth, 2, -1)[:, 1] = 800
        x = noise(1, time, INPUT_SIZE).requires_grad_()
        y, _ = encoder(x)
        rows = [torch.autograd.grad(row.sum(), x, retain_graph=True, allow_unused=True)[0] for row in y[0]]
        sizes.append(torch.stack([row[0].abs().sum(1) for row in rows if row is not None]))
    orders = torch.log(sizes[0] / sizes[1]) / math.log(SMALL / SMALLER)
    assert torch.equal(sizes[0] > 0, sizes[1] > 0)
    orders = torch.where(sizes[0] > 0, orders, -1)
    torch.testing.assert_close(orders, orders.round(), rtol=0, atol=0.05)
    return orders.round().to(torch.int64)


def build(name: str, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return architectures.build(name, INPUT_SIZE, **{"hidden_size": 6, **options}).double()


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", ["rnn", "rhn"])
def test_a_recurrence_has_a_hop_for_every_step_and_an_rhn_as_many_as_highway_layers(name: str, num_layers: int) -> None:
    encoder = build(name, num_layers=num_layers)
    hops = count_hops(encoder, 5)
    for t in range(5):
        assert hops[t].tolist() == [encoder.path_length(t - s) if s <= t else -1 for s in range(5)]
    assert hops[4, 1] == (3 if name == "rhn" else 1) * (3 + num_layers)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("num_modules", [1, 2, 3])
def test_a_clockwork_network_has_the_fewest_hops_from_steps_of_its_slowest_module(
    num_modules: int, num_layers: int
) -> None:
    encoder, period, time = (
        build("clockwork-rnn", num_modules=num_modules, num_layers=num_layers),
        2**num_modules // 2,
        17,
    )
    hops = count_hops(encoder, time)
    for lag in range(time - period):
        starts = range(time - lag)
        by_start = [int(hops[s + lag, s]) for s in starts]
        assert encoder.path_length(lag) == min(by_start)
        assert {by_start[s] for s in starts if s % period == 0} == {min(by_start)}
    if num_modules > 1 and num_layers == 1:
        # Of an odd step only the fastest module knows, which no other hears.
        assert [int(hops[t, 1]) for t in range(1, 9)] == [1 + lag for lag in range(8)]


@pytest.mark.parametrize("source", range(1, 7))
@pytest.mark.parametrize(("base", "num_layers"), [("rnn", 1), ("rnn", 2), ("rhn", 1), ("clockwork-rnn", 1)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_fixed_vector_is_as_far_from_the_source_as_its_farthest_step(
    bidirectional: bool, base: str, num_layers: int, source: int
) -> None:
    """c is copied into the output; it counts as a hop as attention does, which copies a source of one step, too."""
    more = {"clockwork-rnn": {"num_modules": 1}, "rhn": {"recurrence_depth": 2}}.get(base, {})
    options = {"base": base, "num_layers": num_layers, "bidirectional": bidirectional, "base_options": more}
    encoder, time = build("seq2seq-fixed", source=source, **options), 2 * source + 3
    hops = count_hops(encoder, time)
    unit = 2 if base == "rhn" else 1
    for t in range(source, time):
        for s in range(source):
            to_end = min(source - 1 - s, s) if bidirectional else source - 1 - s
            assert hops[t, s] == unit * (to_end + num_layers)
        assert hops[t, t] == encoder.path_length(0)
    # Up to the lag at which the last output still sees the last step of the source.
    for lag in range(1, time - source + 1):
        reached = [int(hops[s + lag, s]) for s in range(source) if s + lag >= source]
        assert encoder.path_length(lag) == 1 + max(reached)
    attends = build("seq2seq", source=1, **options)
    fixed = build("seq2seq-fixed", source=1, **options)
    assert [attends.path_length(lag) for lag in range(9)] == [fixed.path_length(lag) for lag in range(9)]
