"""Law 8 for convolutions and attention: each level of a trace follows from the level below it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from architectures import State, Trace
from tests.architectures.cases import CASES, INPUT_SIZE, Case, close, make, noise, over
from tests.architectures.definitions.common import layers, under
from tests.architectures.definitions.han import beside_residuals, rms_norm, values
from tests.architectures.definitions.tcn import block

TIME = 21
CUT = 5


def parts(trace: Trace) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return trace.levels or (), trace.maps or ()


@over(case for case in CASES if case.name == "tcn")
def test_tcn_levels_are_its_blocks_one_upon_another(case: Case) -> None:
    """The input, then what each block makes of the level below; goes on from a carried state."""
    encoder, x = make(case), noise(2, TIME, INPUT_SIZE)
    levels, _ = parts(encoder.trace(x))
    blocks = layers(dict(encoder.named_parameters()), "blocks.")
    assert len(levels) == len(blocks) + 1
    assert torch.equal(levels[0], x)
    for index, own in enumerate(blocks):
        close(levels[index + 1], block(own, levels[index], 2**index))
    close(levels[-1], encoder(x)[0])
    _, state = encoder(x[:, :CUT])
    resumed, _ = parts(encoder.trace(x[:, CUT:], state))
    close(resumed, tuple(level[:, CUT:] for level in levels))


def check_levels(parameters: Mapping[str, Tensor], levels: tuple[Tensor, ...], maps: tuple[Tensor, ...]) -> Tensor:
    """Follows every level from the one below and its map, by explicit weighted sums of the values; returns y."""
    own_levels = layers(parameters, "levels.")
    assert len(levels) == len(maps) + 1 == len(own_levels) + 1
    for index, (own, weights) in enumerate(zip(own_levels, maps, strict=True)):
        batch, heads, time, window = weights.shape
        close(weights.sum(3), torch.ones_like(weights[..., 0]))
        v = values(own, levels[index]).view(batch, time, heads, -1)
        seen = torch.zeros_like(v)
        for t in range(time):
            for j in range(window):
                back = t - j * window**index
                if back >= 0:
                    seen[:, t] += weights[:, :, t, j].unsqueeze(2) * v[:, back]
                else:
                    assert torch.count_nonzero(weights[:, :, t, j]) == 0
        close(levels[index + 1], beside_residuals(own, levels[index], seen.flatten(2)))
    return rms_norm(levels[-1], parameters["norm.weight"])


@torch.no_grad()
@over(case for case in CASES if case.name == "han")
def test_han_maps_and_levels_reproduce_each_next_level(case: Case) -> None:
    """Maps sum to 1, weigh nothing before the start, and go on from a carried state."""
    encoder, x = make(case), noise(2, TIME, INPUT_SIZE)
    parameters = dict(encoder.named_parameters())
    levels, maps = parts(encoder.trace(x))
    close(levels[0], x @ parameters["project.weight"].T + parameters["project.bias"])
    close(check_levels(parameters, levels, maps), encoder(x)[0])
    state: State = encoder(x[:, :CUT])[1]
    resumed = parts(encoder.trace(x[:, CUT:], state))
    close(resumed[0], tuple(level[:, CUT:] for level in levels))
    close(resumed[1], tuple(weights[:, :, CUT:] for weights in maps))


@torch.no_grad()
@over(case for case in CASES if case.name == "han-bidirectional")
def test_bidirectional_maps_and_levels_reproduce_each_next_level(case: Case) -> None:
    """The first half are those of the onward encoder, the second half, turned round within each length, those of the
    backward one; joined and projected they give the output."""
    encoder, x, lengths = make(case), noise(2, TIME, INPUT_SIZE), [TIME, 8]
    parameters = dict(encoder.named_parameters())
    levels, maps = parts(encoder.trace(x, lengths=torch.tensor(lengths)))
    y, _ = encoder(x, lengths=torch.tensor(lengths))
    depth = len(maps) // 2
    for row, length in enumerate(lengths):
        own = slice(row, row + 1)
        onward = check_levels(
            under(parameters, "onward."),
            tuple(level[own, :length] for level in levels[: depth + 1]),
            tuple(weights[own, :, :length] for weights in maps[:depth]),
        )
        backward = check_levels(
            under(parameters, "backward."),
            tuple(level[own, :length].flip(1) for level in levels[depth + 1 :]),
            tuple(weights[own, :, :length].flip(2) for weights in maps[depth:]),
        ).flip(1)
        joined = torch.cat([onward, backward], dim=2)
        close(joined @ parameters["project.weight"].T + parameters["project.bias"], y[own, :length])


@torch.no_grad()
def test_uniform_attention_weighs_every_input_of_the_reach_alike() -> None:
    """With queries of 0 the maps of L levels, composed, give each of the k^L inputs the weight k^-L, and none to
    those beyond: every lag has one path through the tree."""
    for window, num_layers in [(2, 3), (3, 2), (4, 2), (5, 1)]:
        case = Case(name="han", options={"hidden_size": 4, "window": window, "num_layers": num_layers, "num_heads": 2})
        encoder = make(case)
        for name, parameter in encoder.named_parameters():
            if "qkv" in name:
                parameter[: encoder.output_size] = 0
        reach = window**num_layers
        time = 2 * reach + 3
        _, maps = parts(encoder.trace(noise(1, time, INPUT_SIZE)))
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
            close(composed[t], expected)
