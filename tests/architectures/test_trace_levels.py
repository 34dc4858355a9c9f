"""Law 8 for convolutions and attention: each level of a trace follows from the level below it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from architectures import State, Trace
from tests.architectures.cases import CASES, INPUT_SIZE, Case, assert_close, make_encoder, noise, parametrize_cases
from tests.architectures.definitions.common import split_layers, strip_prefix
from tests.architectures.definitions.han import add_residuals, level_values, rms_norm
from tests.architectures.definitions.tcn import block, wavenet

TIME = 21
CUT = 5


def levels_and_maps(trace: Trace) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return trace.levels or (), trace.maps or ()


@parametrize_cases(case for case in CASES if case.name == "tcn")
def test_tcn_levels_are_its_blocks_one_upon_another(case: Case) -> None:
    """The first level is the input, each other one a block's output for the level below; also from a carried state."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    levels, _ = levels_and_maps(encoder.trace(x))
    blocks = split_layers(dict(encoder.named_parameters()), "blocks.")
    assert len(levels) == len(blocks) + 1
    assert torch.equal(levels[0], x)
    rounds = case.options.get("rounds", 1)
    dilations = [2**level for level in range(len(blocks) // rounds)] * rounds
    if case.options.get("block") == "wavenet":
        assert_close(list(levels[1:]), wavenet(dict(encoder.named_parameters()), x, dilations))
    else:
        for index, parameters in enumerate(blocks):
            assert_close(levels[index + 1], block(parameters, levels[index], dilations[index]))
    assert_close(levels[-1], encoder(x)[0])
    _, state = encoder(x[:, :CUT])
    resumed, _ = levels_and_maps(encoder.trace(x[:, CUT:], state))
    assert_close(resumed, tuple(level[:, CUT:] for level in levels))


def check_levels(parameters: Mapping[str, Tensor], levels: tuple[Tensor, ...], maps: tuple[Tensor, ...]) -> Tensor:
    """Checks every level against the one below and its map, by explicit weighted sums of the values; returns y."""
    parameters_by_level = split_layers(parameters, "levels.")
    assert len(levels) == len(maps) + 1 == len(parameters_by_level) + 1
    for index, (parameters_of_level, weights) in enumerate(zip(parameters_by_level, maps, strict=True)):
        batch, heads, time, window = weights.shape
        assert_close(weights.sum(3), torch.ones_like(weights[..., 0]))
        v = level_values(parameters_of_level, levels[index]).view(batch, time, heads, -1)
        attended = torch.zeros_like(v)
        for t in range(time):
            for j in range(window):
                back = t - j * window**index
                if back >= 0:
                    attended[:, t] += weights[:, :, t, j].unsqueeze(2) * v[:, back]
                else:
                    assert torch.count_nonzero(weights[:, :, t, j]) == 0
        assert_close(levels[index + 1], add_residuals(parameters_of_level, levels[index], attended.flatten(2)))
    return rms_norm(levels[-1], parameters["norm.weight"])


@torch.no_grad()
@parametrize_cases(case for case in CASES if case.name == "han")
def test_han_maps_and_levels_reproduce_each_next_level(case: Case) -> None:
    """Maps sum to 1 and are 0 before the start; also from a carried state."""
    encoder, x = make_encoder(case), noise(2, TIME, INPUT_SIZE)
    parameters = dict(encoder.named_parameters())
    levels, maps = levels_and_maps(encoder.trace(x))
    assert_close(levels[0], x @ parameters["project.weight"].T + parameters["project.bias"])
    assert_close(check_levels(parameters, levels, maps), encoder(x)[0])
    state: State = encoder(x[:, :CUT])[1]
    resumed = levels_and_maps(encoder.trace(x[:, CUT:], state))
    assert_close(resumed[0], tuple(level[:, CUT:] for level in levels))
    assert_close(resumed[1], tuple(weights[:, :, CUT:] for weights in maps))


@torch.no_grad()
@parametrize_cases(case for case in CASES if case.name == "han-bidirectional")
def test_bidirectional_maps_and_levels_reproduce_each_next_level(case: Case) -> None:
    """The first half are those of the onward encoder, the second half, reversed within each length, those of the
    backward one; concatenated and projected they give the output."""
    encoder, x, lengths = make_encoder(case), noise(2, TIME, INPUT_SIZE), [TIME, 8]
    parameters = dict(encoder.named_parameters())
    levels, maps = levels_and_maps(encoder.trace(x, lengths=torch.tensor(lengths)))
    y, _ = encoder(x, lengths=torch.tensor(lengths))
    depth = len(maps) // 2
    for row, length in enumerate(lengths):
        rows = slice(row, row + 1)
        onward = check_levels(
            strip_prefix(parameters, "onward."),
            tuple(level[rows, :length] for level in levels[: depth + 1]),
            tuple(weights[rows, :, :length] for weights in maps[:depth]),
        )
        backward = check_levels(
            strip_prefix(parameters, "backward."),
            tuple(level[rows, :length].flip(1) for level in levels[depth + 1 :]),
            tuple(weights[rows, :, :length].flip(2) for weights in maps[depth:]),
        ).flip(1)
        joined = torch.cat([onward, backward], dim=2)
        assert_close(joined @ parameters["project.weight"].T + parameters["project.bias"], y[rows, :length])


@torch.no_grad()
def test_uniform_attention_weighs_every_input_of_the_reach_alike() -> None:
    """With queries of 0 the maps of L levels, composed, give each of the k^L inputs the weight k^-L, and none to
    those beyond: every lag has one path through the tree."""
    for window, num_layers in [(2, 3), (3, 2), (4, 2), (5, 1)]:
        case = Case(name="han", options={"hidden_size": 4, "window": window, "num_layers": num_layers, "num_heads": 2})
        encoder = make_encoder(case)
        for name, parameter in encoder.named_parameters():
            if "qkv" in name:
                parameter[: encoder.output_size] = 0
        reach = window**num_layers
        time = 2 * reach + 3
        _, maps = levels_and_maps(encoder.trace(noise(1, time, INPUT_SIZE)))
        composed = torch.eye(time, dtype=torch.float64)
        for index, weights in enumerate(maps):
            matrix = torch.zeros(time, time, dtype=torch.float64)
            for t in range(time):
                for j in range(window):
                    if t - j * window**index >= 0:
                        matrix[t, t - j * window**index] = weights[0, 0, t, j]
            composed = matrix @ composed
        for t in range(reach - 1, time):
            expected = torch.zeros(time, dtype=torch.float64)
            expected[t - reach + 1 : t + 1] = 1 / reach
            assert_close(composed[t], expected)
