"""Memory capacity, against closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from analysis.measures.memory_capacity import NOISE_QUANTILE, RIDGE, SHUFFLES, lagged_inputs, memory_capacity

CPU = torch.device("cpu")


def driven(weights: Tensor, *, sequences: int = 64, samples: int = 200, lags: int = 60) -> tuple[Tensor, Tensor]:
    """Returns states whose units hold sum_k weights[k] u_{t-k}, weights (lags, units), and their input."""
    u = 2 * torch.rand((sequences, lags - 1 + samples), generator=Generator().manual_seed(3)) - 1
    windows = u.unfold(1, lags, 1).flip(2)
    return windows @ weights[:lags], u


def delays(length: int, lags: int = 60) -> Tensor:
    """Returns the weights of a delay line."""
    return torch.eye(lags)[:, :length]


def seeded_generator() -> Generator:
    return Generator().manual_seed(0)


@pytest.mark.parametrize("length", [1, 5, 20])
def test_a_delay_line_holds_exactly_its_length(length: int) -> None:
    capacity = memory_capacity(*driven(delays(length)), seeded_generator())
    assert capacity.r2[:length] == pytest.approx(torch.ones(length, dtype=torch.float64), abs=1e-8)
    # Each of the others has one chance in a hundred to lie above the level, by very little.
    assert (capacity.r2[length:] > 0).sum() <= 3
    assert capacity.total == pytest.approx(length, abs=0.02)
    assert capacity.noise_level < 0.02


def test_states_mixed_and_shifted_hold_the_same() -> None:
    states, u = driven(delays(6))
    mix = torch.linalg.qr(torch.randn(6, 6, generator=seeded_generator())).Q
    mixed = torch.cat([1e3 * states @ mix + 50, torch.full_like(states[..., :1], 0.1)], dim=2)
    assert memory_capacity(mixed, u, seeded_generator()).total == pytest.approx(6, abs=0.02)


@pytest.mark.parametrize("a", [0.5, 0.9])
def test_one_linear_unit(a: float) -> None:
    """s_t = a s_{t-1} + u_t has R^2_k = a^{2k} (1 - a^2), and sum 1 - a^{2 K} over K lags."""
    k = torch.arange(60)
    # 400 steps of weights, so that what lies beyond the lags is in the state too.
    states, u = driven((a ** torch.arange(400.0)).unsqueeze(1), lags=400, samples=300)
    capacity = memory_capacity(states, u[:, 400 - 60 :], seeded_generator())
    assert capacity.r2 == pytest.approx((a ** (2 * k) * (1 - a**2)).double(), abs=0.02)
    assert capacity.total == pytest.approx(1, abs=0.03)


def test_a_diagonal_recurrence_holds_no_more_than_its_units() -> None:
    eigenvalues = torch.tensor([0.95, 0.9, 0.7, -0.8, 0.3])
    weights = eigenvalues ** torch.arange(200.0).unsqueeze(1)
    states, u = driven(weights, lags=200, sequences=400)
    capacity = memory_capacity(states, u, seeded_generator())
    # R^2_k = w_k^T (sum_j w_j w_j^T)^-1 w_k, and the sum over all lags is the number of units, the most there can be.
    exact = (weights * torch.linalg.solve(weights.T @ weights, weights.T).T).sum(1).double()
    assert exact.sum() == pytest.approx(5, abs=1e-3)
    assert capacity.r2 == pytest.approx(exact, abs=0.01)
    # What is below the level counts for nothing, so a long tail is lost.
    assert capacity.total == pytest.approx(float(exact[exact > capacity.noise_level].sum()), abs=0.1)
    assert 4.8 < capacity.total < 5


def test_no_lag_is_lost_between_blocks_and_none_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    states, u = driven(delays(60)[:, [0, 17, 59]])
    whole = memory_capacity(states, u, seeded_generator())
    monkeypatch.setattr("analysis.measures.memory_capacity.MAX_ELEMENTS", 64 * 200 * 7)
    monkeypatch.setattr("analysis.measures.memory_capacity.MIN_BLOCK", 1)
    cut = memory_capacity(states, u, seeded_generator())
    assert cut.r2 == pytest.approx(whole.r2, abs=1e-12)
    assert cut.r2_by_sequence == pytest.approx(whole.r2_by_sequence, abs=1e-12)
    assert (whole.r2 > 0.5).nonzero().flatten().tolist() == [0, 17, 59]


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_every_lag_is_the_input_of_so_many_steps_before(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    u, samples = torch.randn(3, 40, generator=seeded_generator()), 11
    monkeypatch.setattr("analysis.measures.memory_capacity.MAX_ELEMENTS", 0)
    monkeypatch.setattr("analysis.measures.memory_capacity.MIN_BLOCK", block)
    lagged = torch.cat(list(lagged_inputs(u, samples)), dim=1)
    expected = [u[:, 40 - samples - lag : 40 - lag].flatten() for lag in range(30)]
    assert torch.equal(lagged, torch.stack(expected, dim=1))


def test_it_is_the_definition_lag_by_lag() -> None:
    """One least-squares fit for each lag, of its own residuals."""
    states, u = driven(delays(6) + 0.1, sequences=20, samples=50, lags=30)
    states = states + 0.5 * torch.randn(states.shape, generator=seeded_generator())
    capacity = memory_capacity(states, u, seeded_generator())
    s = states.double()
    mean, scale = s[:10].mean((0, 1)), s[:10].std((0, 1))
    fit, test = (((half - mean) / scale).flatten(0, 1).numpy() for half in (s[:10], s[10:]))
    # The ridge as further rows, whose targets are 0.
    ridge = np.sqrt(RIDGE * len(fit)) * np.eye(6)

    def unexplained(target: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the share that the readout leaves, over all held-out sequences and for each."""
        centre = target[: len(fit)].mean()
        weights = np.linalg.lstsq(
            np.concatenate([fit, ridge]), np.concatenate([target[: len(fit)] - centre, np.zeros(6)]), rcond=None
        )[0]
        held_out = target[len(fit) :] - centre
        left, whole = ((errors.reshape(10, 50) ** 2).sum(1) for errors in (held_out - test @ weights, held_out))
        return left.sum() / whole.sum(), left / whole

    generator = seeded_generator()
    last = u[:, -50:].flatten().double().numpy()
    shuffled = np.array([unexplained(last[torch.randperm(1000, generator=generator)])[0] for _ in range(SHUFFLES)])
    level = np.quantile(1 - shuffled / shuffled.mean(), NOISE_QUANTILE)
    assert capacity.noise_level == pytest.approx(level, abs=1e-9)
    for lag in range(30):
        share, by_sequence = unexplained(u[:, 30 - 1 - lag : 30 - 1 - lag + 50].flatten().double().numpy())
        counts = 1 - share / shuffled.mean() > level
        assert float(capacity.r2[lag]) == pytest.approx(counts * (1 - share / shuffled.mean()), abs=1e-9)
        expected = counts * (1 - by_sequence / shuffled.mean())
        assert capacity.r2_by_sequence[:, lag].numpy() == pytest.approx(expected, abs=1e-9)


def test_many_states_and_few_samples_leave_no_bias() -> None:
    """40 lags of each of which half can be read, from 40 states and 50 samples for each: held out, every R^2 comes out
    (1 - 1/2) 40 / 2000 too low, which is 0.4 in all."""
    totals = []
    for seed in range(8):
        generator = Generator().manual_seed(seed)
        u = torch.randn((40, 139), generator=generator)
        states = u.unfold(1, 40, 1).flip(2) + torch.randn((40, 100, 40), generator=generator)
        totals.append(memory_capacity(states, u, seeded_generator()).total)
    # The standard error of the mean of 8 is about 0.06.
    assert sum(totals) / len(totals) == pytest.approx(20, abs=0.2)


def test_noise_is_no_memory() -> None:
    _, u = driven(delays(1))
    states = torch.randn(64, 200, 20, generator=seeded_generator())
    capacity = memory_capacity(states, u, seeded_generator())
    assert capacity.total < 0.1


def test_slow_states_of_other_sequences_are_no_memory() -> None:
    """A state that hardly moves in a sequence is one sample, however many steps it is looked at."""
    _, u = driven(delays(1))
    slow = torch.randn(64, 1, 8, generator=seeded_generator()) + 0.01 * torch.randn(
        64, 200, 8, generator=seeded_generator()
    )
    assert memory_capacity(slow, u, seeded_generator()).total < 0.2


def test_the_spread_of_held_out_sequences_is_that_of_the_total() -> None:
    capacity = memory_capacity(*driven((0.9 ** torch.arange(60.0)).unsqueeze(1)), seeded_generator())
    assert capacity.r2_by_sequence.shape == (32, 60)
    error = capacity.r2_by_sequence.sum(1).std() / math.sqrt(32)
    assert capacity.r2_by_sequence.sum(1).mean() == pytest.approx(capacity.total, abs=0.05)
    assert 0 < error < 0.05


def test_too_few_samples_and_states_that_are_no_numbers_are_refused() -> None:
    states, u = driven(delays(20), sequences=8)
    with pytest.raises(ValueError, match="too few"):
        memory_capacity(states, u, seeded_generator())
    states, u = driven(delays(2))
    states[0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        memory_capacity(states, u, seeded_generator())
