"""Gradients by lag and effective receptive fields, against closed forms and full Jacobians."""

import math

import numpy as np
import pytest
import torch

import architectures
from analysis.measures import gradients
from analysis.measures.gradients import (
    bootstrap_mean_curves,
    by_lag,
    cumulative_share,
    gradients_by_lag,
    smallest_lag_holding,
)
from analysis.statistics import expanded_percentiles
from tests.analysis.toy_encoders import Diagonal

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_diagonal_recurrence_has_the_powers_of_its_eigenvalues():
    encoder = Diagonal(1, hidden_size=3, fastest=0.5, slowest=0.95)
    norms = gradients_by_lag(encoder, torch.randn(4, 20, 1), 5, seeded_generator())
    v = torch.randn(5, 4, 3, generator=seeded_generator())
    lags = torch.arange(20)[:, None]
    expected = (v[:, :, None] * encoder.decay.detach() ** lags).sum(3).abs()
    torch.testing.assert_close(norms, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "rwa", "rda", "han-bidirectional"])
def test_the_mean_square_is_the_squared_frobenius_norm_of_the_jacobian(name):
    torch.manual_seed(0)
    encoder, x = architectures.build(name, 2, hidden_size=4), torch.randn(1, 6, 2)
    (jacobian,) = torch.autograd.functional.jacobian(lambda value: encoder(value)[0][0, -1], (x,))
    expected = jacobian.square().sum((0, 1, 3)).flip(0)
    norms = gradients_by_lag(encoder, x.expand(100, -1, -1), 20, seeded_generator())
    # A square of norms of Gaussian vectors of 4 numbers has at most twice its mean squared as variance: 2000 draws.
    torch.testing.assert_close(norms.square().mean((0, 1)), expected, rtol=0.15, atol=1e-9)


def test_a_tcn_has_no_gradient_beyond_its_reach():
    torch.manual_seed(0)
    encoder = architectures.build("tcn", 2, hidden_size=8, kernel_size=3, num_layers=2)
    reach = encoder.receptive_field
    assert reach == 13
    norms = gradients_by_lag(encoder, torch.randn(3, 40, 2), 4, seeded_generator())
    assert (norms[..., reach - 1] > 0).any()
    assert (norms[..., reach:] == 0).all()


def test_padding_changes_nothing_and_lags_before_the_start_are_missing():
    torch.manual_seed(0)
    encoder, x = architectures.build("gru", 2, hidden_size=4), torch.randn(2, 9, 2)
    alone = gradients_by_lag(encoder, x[:, :5], 3, seeded_generator())
    padded = gradients_by_lag(encoder, x, 3, seeded_generator(), lengths=torch.tensor([5, 5]))
    torch.testing.assert_close(padded[..., :5], alone)
    assert padded[..., 5:].isnan().all()


def test_a_cut_batch_gives_the_same(monkeypatch):
    torch.manual_seed(0)
    encoder, x = architectures.build("rda", 2, hidden_size=4), torch.randn(5, 7, 2)
    whole = gradients_by_lag(encoder, x, 3, seeded_generator())
    monkeypatch.setattr(gradients, "MAX_ELEMENTS", 60)
    torch.testing.assert_close(gradients_by_lag(encoder, x, 3, seeded_generator()), whole)


def test_the_encoder_is_left_as_it_was():
    encoder = architectures.build("lstm", 2, hidden_size=4, num_layers=2, dropout=0.5).train()
    before = torch.get_rng_state()
    first = gradients_by_lag(encoder, torch.ones(2, 5, 2), 2, seeded_generator())
    assert encoder.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, gradients_by_lag(encoder, torch.ones(2, 5, 2), 2, seeded_generator()))


def test_by_lag_counts_from_each_sequences_end():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    reordered = by_lag(values, torch.tensor([3, 2]))
    assert reordered[0].tolist() == [3.0, 2.0, 1.0]
    assert reordered[1, :2].tolist() == [5.0, 4.0]
    assert reordered[1, 2].isnan()


def test_the_share_of_an_exponential_gradient() -> None:
    """g = a^k: 1 - a^{2 (k + 1)} of the square lies within lag k."""
    a, k = 0.9, np.arange(400)
    shares = cumulative_share(np.tile(a**k, (3, 2, 1)))
    assert shares.shape == (2, 400)
    assert shares[0] == pytest.approx(1 - a ** (2 * (k + 1)), abs=1e-12)
    for share in (0.5, 0.9, 0.95):
        assert smallest_lag_holding(shares, share)[0] == math.ceil(math.log(1 - share) / math.log(a**2)) - 1


def test_an_even_gradient_is_held_in_proportion() -> None:
    shares = cumulative_share(np.ones((2, 1, 100)))
    assert [int(smallest_lag_holding(shares, share)[0]) for share in (0.5, 0.9, 0.95)] == [49, 89, 94]


def test_gradients_that_cannot_be_squared_and_sequences_without() -> None:
    norms = np.array([[[1e200, 1e200, math.nan, math.nan], [0.0] * 4, [1.0, math.inf, 1.0, 1.0], [1e-200] * 4]])
    assert cumulative_share(norms).tolist() == [[0.5, 1, 1, 1], [0.25, 0.5, 0.75, 1]]
    assert cumulative_share(np.zeros((2, 3, 4))).shape == (0, 4)


def test_the_bootstrap_has_the_spread_of_a_mean() -> None:
    generator = np.random.default_rng(0)
    shares = generator.normal(size=(200, 3))
    low, high = expanded_percentiles(bootstrap_mean_curves(shares, generator), 200)
    width = 2 * 1.96 * shares.std(0) / math.sqrt(200)
    assert high - low == pytest.approx(width, rel=0.2)
    assert ((low < shares.mean(0)) & (shares.mean(0) < high)).all()


def test_the_reach_of_a_tcn_bounds_its_field() -> None:
    """Kernels of 3 taps in 2 blocks see 1 + 2 * 2 * 3 = 13 steps, and lag 12 is the last that a gradient comes from."""
    torch.manual_seed(0)
    encoder = architectures.build("tcn", 2, hidden_size=8, kernel_size=3, num_layers=2)
    assert encoder.receptive_field == 13
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    x = torch.randn(20, 80, 2)
    shares = cumulative_share(gradients_by_lag(encoder, x, 2, torch.Generator().manual_seed(0)).numpy())
    assert (shares[:, 12:] == 1).all()
    assert (shares[:, 11] < 1).any()
    assert (smallest_lag_holding(shares, 1.0) <= 12).all()
    assert smallest_lag_holding(shares, 1.0).max() == 12
