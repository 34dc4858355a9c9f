"""Law 8 for residual stacks: what each block reads follows from its trace, and each level from the one below."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from architectures import Trace
from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    RESIDUAL,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
)
from tests.architectures.definitions.common import split_layers
from tests.architectures.definitions.residual import add_feed, head_count, rms_norm

TIME, CUT = 19, 6


def heads(part: Tensor, count: int) -> Tensor:
    split: Tensor = part.unflatten(2, (count, -1))
    return split


def read_by_map(trace: Trace, weights: Tensor, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """What attention reads: the values of a trace from the start, by its map."""
    assert trace.gates is not None
    v = heads(trace.gates["v"], head_count(case.options))
    read = torch.zeros_like(v)
    for t in range(v.shape[1]):
        for j in range(min(t + 1, weights.shape[3])):
            read[:, t] += weights[:, :, t, j].unsqueeze(2) * v[:, t - j]
    return read.flatten(2) @ block["mixer.out.weight"].T


READS: Mapping[str, Callable[..., Tensor]] = {"transformer": read_by_map, "fox": read_by_map}
"""What the mixer of each name adds to the stream, from its trace, its map if there is one, and its parameters."""


def test_every_name_is_reproduced() -> None:
    assert set(READS) == RESIDUAL


@torch.no_grad()
@parametrize_cases(case for case in CASES if case.name in RESIDUAL)
def test_every_level_follows_from_the_one_below_and_its_trace(case: Case) -> None:
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    trace, parameters = encoder.trace(x), dict(encoder.named_parameters())
    blocks, maps = split_layers(parameters, "blocks."), trace.maps or (None,) * len(trace.layers)
    assert trace.levels is not None
    assert len(trace.levels) == len(blocks) + 1 == len(trace.layers) + 1
    assert_close(trace.levels[0], x @ parameters["project.weight"].T + parameters["project.bias"])
    for index, (block, layer, weights) in enumerate(zip(blocks, trace.layers, maps, strict=True)):
        added = READS[case.name](layer, weights, block, case)
        assert_close(trace.levels[index + 1], add_feed(block, trace.levels[index] + added))
        assert layer.y is trace.levels[index + 1]
    assert_close(trace.y, rms_norm(trace.levels[-1], parameters["norm.weight"]))
    for name in ("retention", "write", "gates"):
        assert getattr(trace, name) is getattr(trace.layers[-1], name)


@torch.no_grad()
@parametrize_cases(case for case in CASES if case.name in RESIDUAL)
def test_a_trace_from_a_carried_state_is_the_rest_of_the_whole(case: Case) -> None:
    """Retention, write and every gate, in every layer."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    whole, rest = encoder.trace(x), encoder.trace(x[:, CUT:], encoder(x[:, :CUT])[1])
    for expected, layer in zip(whole.layers, rest.layers, strict=True):
        for name in ("retention", "write", "log_attention", "log_discount"):
            value, wanted = getattr(layer, name), getattr(expected, name)
            assert (value is None) == (wanted is None)
            if value is not None:
                assert_close(value, wanted[:, CUT:])
        assert layer.gates is not None
        assert expected.gates is not None
        assert set(layer.gates) == set(expected.gates)
        for name, gate in layer.gates.items():
            assert_close(gate, expected.gates[name][:, CUT:])
