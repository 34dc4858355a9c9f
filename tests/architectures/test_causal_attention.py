"""Tests of fused causal attention, and of the gates in it: the forgetting transformer as an RDA that sees the query."""

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import influence
from architectures.kernels import causal_attention as kernel
from architectures.kernels.causal_attention import causal_attention, causal_weights, sum_logarithms
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise


def by_matrix(q: Tensor, k: Tensor, v: Tensor, F: Tensor | None) -> Tensor:
    """Attention with the whole matrix of logits, masked: (batch, time, heads, size)."""
    time, total = q.shape[1], k.shape[1]
    logits = torch.einsum("bthd,bshd->bhts", q, k) / q.shape[3] ** 0.5
    if F is not None:
        logits = logits + (F[:, total - time :].unsqueeze(2) - F.unsqueeze(1)).permute(0, 3, 1, 2)
    later = torch.arange(total) > torch.arange(total - time, total).unsqueeze(1)
    return torch.einsum("bhts,bshd->bthd", logits.masked_fill(later, -torch.inf).softmax(-1), v)


@pytest.mark.parametrize("past", [0, 1, 7, 30])
@pytest.mark.parametrize("gated", [False, True])
def test_blocks_with_and_without_a_past_are_one_attention(gated: bool, past: int, monkeypatch: Any) -> None:
    """In blocks that divide the queries, that do not, and of a single query; values and gradients."""
    k, v = noise(2, past + 23, 3, 5), noise(2, past + 23, 3, 5, seed=1)
    parts = (noise(2, 23, 3, 5, seed=2), k, v)
    log_f = torch.nn.functional.logsigmoid(noise(2, past + 23, 3, seed=3))
    inputs = [part.requires_grad_() for part in (*parts, log_f)]
    F = sum_logarithms(log_f) if gated else None
    if F is not None and past:
        F = F - F[:, past - 1].unsqueeze(1)
    expected = by_matrix(*parts, F)
    probe = noise(*expected.shape, seed=4)
    wanted = torch.autograd.grad((expected * probe).sum(), inputs, allow_unused=True, retain_graph=True)
    for block in (1, 5, 23, 64):
        monkeypatch.setattr(kernel, "QUERY_BLOCK", block)
        monkeypatch.setattr(kernel, "GRADIENT_BLOCKS", range(1, 1 + max(1, block // 2)))
        monkeypatch.setattr(kernel, "MAX_SUMMED_STEPS", block)
        y = causal_attention(*parts, F)
        assert_close(y, expected)
        grads = torch.autograd.grad((y * probe).sum(), inputs, allow_unused=True, retain_graph=True)
        for grad, want in zip(grads, wanted, strict=True):
            assert (grad is None) == (want is None)
            if grad is not None:
                assert_close(grad, want)


def test_its_own_gradient_is_that_of_the_fused_kernel(monkeypatch: Any) -> None:
    """On devices that have no slow numbers, and in recorded programs, it is PyTorch's: the same in double precision,
    where gates forget so fast that most weights are below those that are taken as 0."""
    parts = [noise(1, 150, 2, 4, seed=seed).requires_grad_() for seed in range(3)]
    log_f = torch.full((1, 150, 2), -3.0, dtype=torch.float64, requires_grad=True)
    grads = []
    for devices in (kernel.OWN_GRADIENT, frozenset()):
        monkeypatch.setattr(kernel, "OWN_GRADIENT", devices)
        y = causal_attention(parts[0], parts[1], parts[2], sum_logarithms(log_f))
        grads.append(torch.autograd.grad((y * noise(*y.shape, seed=4)).sum(), [*parts, log_f]))
    assert_close(grads[0], grads[1], 1e-11)


@torch.no_grad()
def test_gates_over_many_steps_keep_single_precision() -> None:
    """F runs to -6,000, where single precision has steps of 0.0005; in blocks, it is relative to their start."""
    torch.manual_seed(0)
    q, k, v = (noise(1, 3000, 2, 4, seed=seed) for seed in range(3))
    F = sum_logarithms(torch.full((1, 3000, 2), -2.0, dtype=torch.float64) + 0.1 * noise(1, 3000, 2, seed=3))
    expected = causal_attention(q, k, v, F)
    single = causal_attention(q.float(), k.float(), v.float(), F).double()
    assert float((single - expected).abs().max()) < 2e-4


def test_weights_by_lag_are_those_that_average() -> None:
    q, k, v = (noise(2, 9, 3, 4, seed=seed) for seed in range(3))
    F = sum_logarithms(torch.nn.functional.logsigmoid(noise(2, 9, 3, seed=4)))
    weights = causal_weights(q[:, 4:], k, F)
    for t in range(5):
        read = torch.einsum("bhj,bjhd->bhd", weights[:, :, t, : t + 5], v[:, : t + 5].flip(1))
        assert_close(read, by_matrix(q, k, v, F)[:, 4 + t])
        assert torch.count_nonzero(weights[:, :, t, t + 5 :]) == 0


@torch.no_grad()
def test_without_queries_it_is_the_average_of_an_rda() -> None:
    """With q = 0 the map is the influence of the RDA's formula, softmax(-Gamma), with a constant attention and gamma =
    f; and so is what the trace says, from a carried state too."""
    encoder: Any = make_encoder(Case(name="fox", options={"hidden_size": 6, "num_heads": 3}))
    encoder.blocks[0].mixer.qkv.weight[:6] = 0
    x = noise(2, 17, INPUT_SIZE)
    _, state = encoder(x[:, :6])
    for trace, past in ((encoder.trace(x), 0), (encoder.trace(x[:, 6:], state), 6)):
        Gamma = encoder.trace(x).log_discount.cumsum(1)
        for t in range(trace.y.shape[1]):
            expected = (-Gamma[:, : past + t + 1]).softmax(1)
            row, share = influence(trace.retention, trace.write, t)
            assert_close(row, expected[:, past:])
            assert_close(share, expected[:, :past].sum(1))
            assert_close(trace.maps[0][:, :, t, : past + t + 1].flip(2), expected.transpose(1, 2))


@torch.no_grad()
def test_what_an_rda_gives_for_the_same_weights() -> None:
    """The kernel of the RDA itself, with u tanh(g) in place of values: f_a = exp of a constant."""
    from architectures.kernels.naive import naive_discounted_average

    log_f = torch.nn.functional.logsigmoid(noise(2, 12, 1))
    u = noise(2, 12, 1, seed=1)
    # Columns of x: u, g, p, q; g is large, so that its tanh is 1, and p constant.
    x = torch.cat([u, torch.full_like(u, 40.0), torch.zeros_like(u), noise(2, 12, 1)], dim=2)
    weight, recurrent = torch.eye(4, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    zeros = torch.zeros(4, dtype=torch.float64)
    expected = naive_discounted_average(
        x, weight, zeros, recurrent, torch.zeros(2, 1, dtype=torch.float64), attention="exp", hidden_tanh=False
    )
    q = torch.zeros(2, 12, 1, 1, dtype=torch.float64)
    assert_close(causal_attention(q, q, u.unsqueeze(3), sum_logarithms(log_f)).squeeze(3), expected)


def test_parts_of_a_state_of_different_pasts_are_refused() -> None:
    encoder = make_encoder(Case(name="fox", options={"hidden_size": 6}))
    x = noise(2, 5, INPUT_SIZE)
    ((keys, values, kept),) = encoder(x)[1]
    with pytest.raises(ValueError, match=r"its tensors hold \[5, 4, 5\] steps"):
        encoder(x, ((keys, values[:, 1:], kept),))
