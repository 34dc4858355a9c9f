"""Tests of the gated delta rule in chunks, against its recurrence and what it promises."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from architectures.gated_deltanet import unit_length
from architectures.kernels.delta_rule import gated_delta_rule
from tests.architectures.cases import assert_close, noise


def inputs(time: int, size: int, most: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Returns q, k, v, log f and b, which reaches up to `most`."""
    q, k = (noise(2, time, 2, size, seed=seed, dtype=dtype) for seed in (0, 1))
    v, f, b = noise(2, time, 2, 5, seed=2, dtype=dtype), *(noise(2, time, 2, seed=seed, dtype=dtype) for seed in (3, 4))
    return [part.requires_grad_() for part in (q, unit_length(k), v, logsigmoid(f + 2), most * b.sigmoid())]


def step_by_step(q: Tensor, k: Tensor, v: Tensor, log_f: Tensor, b: Tensor) -> Tensor:
    """S = f (I - b k k^T) S + b k v^T, the matrix written out."""
    S, read = torch.zeros(2, 2, k.shape[3], 5, dtype=v.dtype), []
    for t in range(v.shape[1]):
        key, replaced = k[:, t].unsqueeze(3), b[:, t, :, None, None]
        erase = torch.eye(k.shape[3], dtype=v.dtype) - replaced * key @ key.transpose(2, 3)
        S = log_f[:, t, :, None, None].exp() * erase @ S + replaced * key @ v[:, t].unsqueeze(2)
        read.append((S.transpose(2, 3) @ q[:, t].unsqueeze(3)).squeeze(3))
    return torch.stack(read, dim=1)


@pytest.mark.parametrize("most", [1.0, 2.0])
@pytest.mark.parametrize("time", [1, 31, 33, 96])
def test_chunks_are_the_recurrence(time: int, most: float) -> None:
    """Values and gradients, for eigenvalues of both signs too."""
    parts = inputs(time, 4, most)
    y, expected = gated_delta_rule(*parts).y, step_by_step(*parts)
    assert_close(y, expected)
    probe = noise(*y.shape, seed=9)
    grads = (torch.autograd.grad((out * probe).sum(), parts) for out in (y, expected))
    for grad, wanted in zip(*grads, strict=True):
        assert_close(grad, wanted)


@pytest.mark.parametrize("size", [4, 32])
def test_any_cut_gives_the_same(size: int) -> None:
    parts = inputs(140, size, 2.0)
    whole, outputs, S = gated_delta_rule(*parts), [], None
    for start, stop in itertools.pairwise((0, 1, 31, 33, 64, 129, 140)):
        q, k, v, log_f, b = (part[:, start:stop] for part in parts)
        y, S = gated_delta_rule(q, k, v, log_f, b, S)
        outputs.append(y)
    assert S is not None
    assert_close(torch.cat(outputs, dim=1), whole.y)
    assert_close(S, whole.S)


@torch.no_grad()
def test_a_value_replaces_that_of_the_same_key() -> None:
    """With b = 1 and f = 1 what is read with a key is the last value that was written with it, and with b = 2 its
    mirror image at that value: an old one is counted twice, or not at all."""
    keys = torch.eye(4, dtype=torch.float64)[torch.tensor([0, 1, 0, 2, 1, 0])].view(1, 6, 1, 4)
    values, zeros = noise(1, 6, 1, 3), torch.zeros(1, 6, 1, dtype=torch.float64)
    for b in (1.0, 2.0):
        S = gated_delta_rule(keys, keys, values, zeros, zeros + b).S[0, 0]
        for key, steps in enumerate(([0, 2, 5], [1, 4], [3], [])):
            expected = torch.zeros(3, dtype=torch.float64)
            for step in steps:
                expected = (1 - b) * expected + b * values[0, step, 0]
            assert_close(S[key], expected)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_gates_of_any_size_and_keys_of_zero_are_finite_in_single_precision(scale: float) -> None:
    q, k, v = (noise(1, 200, 2, 8, seed=seed, dtype=torch.float32) for seed in range(3))
    k[:, ::3] = 0
    f, b = (scale * noise(1, 200, 2, seed=seed, dtype=torch.float32) for seed in (3, 4))
    parts = [part.requires_grad_() for part in (q, k, v, f, b)]
    y = gated_delta_rule(q, unit_length(k), v, logsigmoid(f), 2 * b.sigmoid()).y
    assert y.isfinite().all()
    for grad in torch.autograd.grad(y.sum(), parts):
        assert grad.isfinite().all()
