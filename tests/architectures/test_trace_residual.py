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
from tests.architectures.definitions.common import split_layers, strip_prefix
from tests.architectures.definitions.han import rotate
from tests.architectures.definitions.linear import unit_norm
from tests.architectures.definitions.residual import add_feed, head_count, rms_norm
from tests.architectures.definitions.state_spaces import mix

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


def accumulate(trace: Trace, k: Tensor, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what queries read of S_t = retention_t S_{t-1} + write_t k_t v_t^T and of the same sum of the keys alone,
    (batch, time, heads, size) and (batch, time, heads, 1)."""
    assert trace.retention is not None
    assert trace.write is not None
    S, z, read, total = torch.zeros(()), torch.zeros(()), [], []
    for t in range(v.shape[1]):
        kept, new = (part[:, t, :, None] for part in (trace.retention, trace.write))
        S = kept[..., None] * S + new[..., None] * k[:, t, :, :, None] * v[:, t, :, None, :]
        z = kept * z + new * k[:, t]
        read.append((S * q[:, t, :, :, None]).sum(2))
        total.append((z * q[:, t]).sum(2, keepdim=True))
    return torch.stack(read, dim=1), torch.stack(total, dim=1)


def split_gates(trace: Trace, case: Case, *names: str) -> list[Tensor]:
    assert trace.gates is not None
    return [heads(trace.gates[name], head_count(case.options)) for name in names]


def read_linear(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """A sum over a sum of positive numbers."""
    q, k, v = split_gates(trace, case, "q", "k", "v")
    read, total = accumulate(trace, k, q, v)
    return (read / (total + 1e-6)).flatten(2) @ block["mixer.out.weight"].T


def read_retention(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """With keys and queries turned by their positions, then normalised and gated."""
    q, k, v = split_gates(trace, case, "q", "k", "v")
    steps = range(q.shape[1])
    turned_q, turned_k = (
        torch.stack([torch.stack([rotate(x[:, t, n], t) for n in range(x.shape[2])], dim=1) for t in steps], dim=1)
        for x in (q, k)
    )
    read, _ = accumulate(trace, turned_k, turned_q, v)
    gate = block["x"] @ block["mixer.gate.weight"].T
    normed = unit_norm(read).flatten(2) * block["mixer.norm.weight"]
    return (gate * gate.sigmoid() * normed) @ block["mixer.out.weight"].T


def read_mlstm(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """Relative to the maximum m, and so is the 1 of the denominator."""
    assert trace.gates is not None
    q, k, v = split_gates(trace, case, "q", "k", "v")
    read, total = accumulate(trace, k, q, v)
    one = (-trace.gates["m"]).exp().unsqueeze(3)
    normed = unit_norm(read / (torch.maximum(total.abs(), one) + 1e-6)).flatten(2) * block["mixer.norm.weight"]
    gate = (block["x"] @ block["mixer.output_gate.weight"].T + block["mixer.output_gate.bias"]).sigmoid()
    return (gate * normed) @ block["mixer.out.weight"].T


def read_state_space(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """B is the key and C the query of all heads; what is not kept passes by with the weight D."""
    assert trace.gates is not None
    (u,), gates = split_gates(trace, case, "u"), trace.gates
    B, C = (gates[name].unsqueeze(2).expand(*u.shape[:3], -1) for name in ("B", "C"))
    read, _ = accumulate(trace, B, C, u)
    y = (read + block["mixer.skip"].unsqueeze(1) * u).flatten(2) * gates["z"] * gates["z"].sigmoid()
    return (unit_norm(y) * block["mixer.norm_weight"]) @ block["mixer.out.weight"].T


def read_delta_rule(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """A step erases what it overwrites, so that what is kept depends on the direction."""
    assert trace.retention is not None
    assert trace.write is not None
    q, k, v = split_gates(trace, case, "q", "k", "v")
    S, read = torch.zeros((*k.shape[:1], *k.shape[2:], v.shape[3]), dtype=v.dtype), []
    for t in range(v.shape[1]):
        kept, b = (part[:, t, :, None, None] for part in (trace.retention, trace.write))
        held = torch.einsum("bhkv,bhk->bhv", S, k[:, t]).unsqueeze(2)
        S = kept * (S - b * k[:, t].unsqueeze(3) * held) + b * k[:, t].unsqueeze(3) * v[:, t].unsqueeze(2)
        read.append(torch.einsum("bhkv,bhk->bhv", S, q[:, t]))
    gate = block["x"] @ block["mixer.gate.weight"].T
    normed = unit_norm(torch.stack(read, dim=1)).flatten(2) * block["mixer.norm.weight"]
    return (gate * gate.sigmoid() * normed) @ block["mixer.out.weight"].T


def read_lru(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """What is written of the states, which keep the retention's share of what they were, turned, and add the input."""
    assert trace.gates is not None
    assert trace.retention is not None
    assert trace.write is not None
    states = torch.complex(trace.gates["re"], trace.gates["im"])
    before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)
    turned = torch.polar(trace.retention, block["mixer.theta"].exp().expand_as(trace.retention)) * before
    rows = torch.complex(*block["mixer.read.weight"].chunk(2))
    lengths = rows.abs().square().sum(1).sqrt()
    assert_close(states - turned, trace.write / lengths * (block["x"].to(rows.dtype) @ rows.T))
    both = torch.cat([states.real, states.imag], dim=2)
    return mix(strip_prefix(block, "mixer."), both @ block["mixer.write.weight"].T + block["mixer.skip"] * block["x"])


def read_s4d(trace: Trace, weights: None, block: Mapping[str, Tensor], case: Case) -> Tensor:
    """Retention and write are those of the state that a feature holds longest; the output is v, mixed."""
    assert trace.gates is not None
    assert trace.retention is not None
    assert trace.write is not None
    A = torch.complex(-block["mixer.log_rate"].exp(), block["mixer.frequency"])
    A_bar = torch.exp(A * block["mixer.log_step"].exp().unsqueeze(1))
    kept, slowest = A_bar.abs().max(1)
    assert_close(trace.retention, kept.expand_as(trace.retention))
    B_bar = ((A_bar - 1) / A).abs()[torch.arange(len(A)), slowest]
    assert_close(trace.write, B_bar.expand_as(trace.write))
    return mix(strip_prefix(block, "mixer."), trace.gates["v"])


READS: Mapping[str, Callable[..., Tensor]] = {
    "lru": read_lru,
    "s4d": read_s4d,
    "transformer": read_by_map,
    "fox": read_by_map,
    "linear-attention": read_linear,
    "retnet": read_retention,
    "mlstm": read_mlstm,
    "mamba2": read_state_space,
    "gated-deltanet": read_delta_rule,
}
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
        normed = rms_norm(trace.levels[index], block["mixer_norm.weight"])
        added = READS[case.name](layer, weights, {**block, "x": normed}, case)
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
