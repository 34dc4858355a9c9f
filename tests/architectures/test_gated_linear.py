"""Tests of gated linear attention in chunks, against recurrences, step by step."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.kernels.gated_linear import (
    gated_linear_attention,
    linear_attention,
    stabilised_linear_attention,
)
from tests.architectures.cases import Case, assert_close, make_encoder, noise, parametrize_cases

KINDS = ["none", "constant", "gated", "average", "signed"]
CASES = [Case(name=name, options={"hidden_size": 8, "num_heads": 2}) for name in ("retnet", "mlstm", "mamba2")]


def inputs(time: int, size: int, kind: str, shared: bool) -> list[Tensor]:
    q, k = (noise(2, time, 1 if shared else 2, size, seed=seed) for seed in (0, 1))
    if kind == "average":
        q, k = q.exp(), k.exp()
    parts = [q, k, noise(2, time, 2, 5, seed=2)]
    if kind == "constant":
        parts.append(torch.tensor([-0.1, -2.0], dtype=torch.float64))
    elif kind in ("gated", "signed"):
        parts.append(logsigmoid(noise(2, time, 2, seed=3)))
    if kind == "signed":
        parts.append(2 * noise(2, time, 2, seed=4))
    return [part.requires_grad_() for part in parts]


def in_chunks(parts: list[Tensor], kind: str, start: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
    """Returns y, and what is carried."""
    if kind == "signed":
        q, k, v, log_f, log_i = parts
        read = stabilised_linear_attention(q, k, v, log_f, log_i, None if start is None else (start[0], start[1]))
        return read.y, read.S, read.m
    q, k, v = parts[:3]
    gates = parts[3] if len(parts) > 3 else None
    S = None if start is None else start[0]
    return linear_attention(q, k, v, S) if kind == "average" else gated_linear_attention(q, k, v, gates, S)


def step_by_step(parts: list[Tensor], kind: str) -> Iterator[Tensor]:
    q, k, v = parts[:3]
    S = torch.zeros(2, 2, q.shape[3], 5, dtype=torch.float64)
    z = torch.zeros(2, 2, q.shape[3], dtype=torch.float64)
    m = torch.full((2, 2), -torch.inf, dtype=torch.float64)
    for t in range(q.shape[1]):
        f = torch.ones(2, 2, dtype=torch.float64)
        if kind not in ("none", "average"):
            f = parts[3].exp().expand(2, 2) if kind == "constant" else parts[3][:, t].exp()
        i = parts[4][:, t].exp() if kind == "signed" else torch.ones(2, 2, dtype=torch.float64)
        key = i.unsqueeze(2) * k[:, t]
        S = f[..., None, None] * S + key.unsqueeze(3) * v[:, t].unsqueeze(2)
        z = f.unsqueeze(2) * z + key
        read, total = torch.einsum("bhdv,bhd->bhv", S, q[:, t].expand(2, 2, -1)), (z * q[:, t]).sum(2)
        if kind == "average":
            read = read / (total + 1e-6).unsqueeze(2)
        if kind == "signed":
            # The small number is added relative to e^m, of which the derivative takes no notice.
            m = torch.maximum(parts[3][:, t] + m, parts[4][:, t]).detach()
            read = read / (total.abs().clamp_min(1) + 1e-6 * m.exp()).unsqueeze(2)
        yield read


@pytest.mark.parametrize("time", [1, 31, 32, 33, 96, 97])
@pytest.mark.parametrize(
    ("kind", "shared"),
    [*((kind, False) for kind in KINDS), *((kind, True) for kind in ("none", "constant", "gated"))],
)
def test_chunks_are_the_recurrence(kind: str, shared: bool, time: int) -> None:
    """Values and gradients, for whole chunks, one step more, and one less; keys of every head or of all together."""
    parts = inputs(time, 3, kind, shared)
    y = in_chunks(parts, kind, None)[0]
    expected = torch.stack(list(step_by_step(parts, kind)), dim=1)
    assert_close(y, expected)
    probe = noise(*y.shape, seed=9)
    grads = (torch.autograd.grad((out * probe).sum(), parts) for out in (y, expected))
    for grad, wanted in zip(*grads, strict=True):
        assert_close(grad, wanted)


@pytest.mark.parametrize("size", [3, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_any_cut_gives_the_same(kind: str, size: int) -> None:
    """Beside the borders of chunks, which are longer for large keys; values, what is carried, and gradients."""
    parts = inputs(140, size, kind, shared=False)
    whole = in_chunks(parts, kind, None)
    outputs, carried = [], None
    edges = [0, 1, 31, 33, 64, 129, 140]
    for start, stop in itertools.pairwise(edges):
        piece = [part[:, start:stop] if part.ndim > 1 else part for part in parts]
        y, *rest = in_chunks(piece, kind, carried)
        carried = tuple(rest)
        outputs.append(y)
    assert carried is not None
    y = torch.cat(outputs, dim=1)
    assert_close(y, whole[0])
    assert_close(carried, tuple(whole[1:]))
    probe = noise(*y.shape, seed=9)
    grads = (torch.autograd.grad((out * probe).sum(), parts, retain_graph=True) for out in (y, whole[0]))
    for grad, wanted in zip(*grads, strict=True):
        assert_close(grad, wanted, 1e-9)


def test_gates_of_any_size_are_finite_in_single_precision() -> None:
    """Shut, open, and with exponents of 1,000: values and gradients."""
    for scale in (1.0, 1000.0):
        q, k, v = (noise(1, 200, 2, 8, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(3))
        f = (scale * noise(1, 200, 2, seed=3, dtype=torch.float32)).requires_grad_()
        i = (scale * noise(1, 200, 2, seed=4, dtype=torch.float32)).requires_grad_()
        for y in (
            stabilised_linear_attention(q, k, v, logsigmoid(f), i).y,
            gated_linear_attention(q, k, v, logsigmoid(f)).y,
        ):
            assert y.isfinite().all()
            for grad in torch.autograd.grad(y.sum(), [q, k, v, f, i], allow_unused=True):
                assert grad is None or grad.isfinite().all()


@torch.no_grad()
@parametrize_cases(CASES)
def test_a_stream_keeps_single_precision(case: Case) -> None:
    """3,000 steps one by one, in constant memory: within single precision of a call in double precision."""
    encoder, x = make_encoder(case, fresh=True), noise(1, 3000, 3)
    expected, _ = encoder(x)
    single, state = make_encoder(case, fresh=True, dtype=torch.float32), None
    for start in range(0, 2900, 100):
        y, state = single(x[:, start : start + 100].float(), state)
    for start in range(2900, 3000):
        y, state = single(x[:, start : start + 1].float(), state)
        assert_close(y.double(), expected[:, start : start + 1], 1e-4)
