"""Tests of influence, and of the closed form of the averages' effective attention."""

import pytest
import torch

from architectures import influence
from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
    state_leaf,
)

AVERAGES = ("rwa", "rda", "rda-exp-tanh", "rda-sigmoid-id")


def test_influence_is_a_double_product() -> None:
    """A[t, i] = write_i prod_{j=i+1..t} retention_j, and the share prod_{j<=t} retention_j, also where a retention is
    exactly 0 or above 1."""
    retention, write = noise(2, 9, 3), noise(2, 9, 3, seed=1)
    retention[0, 4, 0] = 0.0
    for at in range(-9, 9):
        t = at % 9
        row, share = influence(retention, write, at)
        assert row.shape[1] == t + 1
        for i in range(t + 1):
            expected = write[:, i].clone()
            for j in range(i + 1, t + 1):
                expected = expected * retention[:, j]
            assert_close(row[:, i], expected)
        left = torch.ones_like(share)
        for j in range(t + 1):
            left = left * retention[:, j]
        assert_close(share, left)


def test_a_retention_of_zero_has_a_gradient() -> None:
    """A retention of 0 is an ordinary value: influence can be differentiated there."""
    retention = noise(1, 5, 1).requires_grad_()
    with torch.no_grad():
        retention[0, 2, 0] = 0.0
    row, _ = influence(retention, torch.ones(1, 5, 1, dtype=torch.float64), at=4)
    (grad,) = torch.autograd.grad(row.sum(), retention)
    r = retention.detach()[0, :, 0]
    # The row sums to 1 + r4 + r4 r3 + r4 r3 r2 + r4 r3 r2 r1 (counted from 0).
    assert_close(grad[0, 2, 0], r[4] * r[3] * (1 + r[1]))


@pytest.mark.parametrize("at", [9, -10])
def test_a_step_outside_the_trace_is_refused(at: int) -> None:
    with pytest.raises(ValueError, match=f"step {at} lies outside the trace's 9 steps"):
        influence(noise(1, 9, 1), noise(1, 9, 1), at)


@torch.no_grad()
@parametrize_cases(case for case in CASES if case.name in AVERAGES)
def test_effective_attention_is_a_softmax_whose_logits_ignore_the_query(case: Case) -> None:
    """With Gamma_t = cumsum(log gamma): A[t, i] = softmax_{i <= t}(alpha_i - Gamma_i), and
    l_t - Gamma_t = logcumsumexp(alpha - Gamma). A carried average takes part with the logit l_0."""
    encoder, x = make_encoder(case), noise(3, 16, INPUT_SIZE)
    _, state = encoder(x[:, :6])
    for carried in (False, True):
        layer = encoder.trace(x[:, 6:], state).layers[0] if carried else encoder.trace(x).layers[0]
        alpha, discount, gates = layer.log_attention, layer.log_discount, layer.gates
        assert alpha is not None
        assert discount is not None
        assert gates is not None
        assert layer.retention is not None
        assert layer.write is not None
        start = state_leaf(state, 0, 1) if carried else torch.full_like(alpha[:, 0], -torch.inf)
        Gamma = discount.cumsum(1)
        logits = torch.cat([start.unsqueeze(1), alpha - Gamma], dim=1)
        for t in range(alpha.shape[1]):
            seen = logits[:, : t + 2]
            begun = seen.logsumexp(1) > -1e29
            # Where every relu has been closed since the start there is nothing to attend to yet.
            expected = torch.where(begun.unsqueeze(1), seen.softmax(1), 0.0)
            expected[:, 0] = torch.where(begun, expected[:, 0], 1.0)
            row, share = influence(layer.retention, layer.write, t)
            assert_close(torch.cat([share.unsqueeze(1), row], dim=1), expected)
            assert_close((gates["l"][:, t] - Gamma[:, t])[begun], logits.logcumsumexp(1)[:, t + 1][begun])


def test_some_relus_are_closed_since_the_start() -> None:
    """So the test above covers this case, and the opposite."""
    case = Case(name="rda", options={"hidden_size": 5, "attention": "relu"})
    alpha = make_encoder(case).trace(noise(3, 16, INPUT_SIZE)).log_attention
    assert alpha is not None
    closed = (alpha == -torch.inf)[:, 0]
    assert 0 < closed.sum() < closed.numel()
    assert (alpha > -torch.inf).any(1)[closed].any()
