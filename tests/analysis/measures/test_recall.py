"""Recall curves and their horizon, for memories of a known length."""

import numpy as np
import pytest

from analysis.measures.recall import accuracy_threshold, horizon, recall_curve

Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


def answers_with_memory(
    edge: float, *, lags: int = 200, sequences: int = 500, items: int = 10, chance: float = 0.0
) -> Answers:
    """Returns answers that are right up to a lag, and right by chance beyond it."""
    generator = np.random.default_rng(1)
    lag = np.repeat(generator.integers(1, lags + 1, sequences), items)
    right = (lag <= edge) | (generator.random(len(lag)) < chance)
    return lag, right, np.repeat(np.arange(sequences), items)


def test_every_lag_is_in_one_bin_and_bins_are_even() -> None:
    lag, right, sequence = answers_with_memory(50)
    curve = recall_curve(lag, right, sequence, bins=20)
    assert len(curve.lag) == 20
    assert (np.diff(curve.lag) > 0).all()
    assert (curve.smallest_lag, curve.largest_lag) == (lag.min(), lag.max())
    assert curve.shares.share[0] == 1
    assert curve.shares.share[-1] == 0


def test_few_answers_are_in_few_bins() -> None:
    """A lag goes where the middle of its answers lies: 30 of lag 3, then 30 of 5 around the half, then 40 of 7."""
    lag = np.repeat([3, 5, 7], [30, 30, 40])
    curve = recall_curve(lag, lag == 7, np.arange(100))
    assert curve.lag.tolist() == [4, 7]
    assert curve.shares.share.tolist() == [0, 1]
    assert recall_curve(lag[:9], lag[:9] == 3, np.arange(9)).shares.share.tolist() == [1]


@pytest.mark.parametrize("edge", [23, 50, 104, 150])
@pytest.mark.parametrize("chance", [0.0, 0.125])
def test_the_horizon_of_a_limited_memory_is_its_length(edge: int, chance: float) -> None:
    """25 bins of 8 lags: to a fifth of a bin's width, or a bit more where chance adds noise."""
    lag, right, sequence = answers_with_memory(edge, sequences=4000, chance=chance)
    curve, bound = recall_curve(lag, right, sequence), accuracy_threshold(chance)
    value = horizon(curve, curve.shares.share, bound)
    low, high = (horizon(curve, end, bound) for end in (curve.shares.low, curve.shares.high))
    assert value == pytest.approx(edge + 0.5, abs=1.6)
    assert low is not None
    assert high is not None
    assert low <= value <= high  # type: ignore[operator]
    assert high - low < 6


def test_the_horizon_of_a_perfect_memory_has_no_end_and_of_none_is_none() -> None:
    lag, right, sequence = answers_with_memory(10_000)
    curve = recall_curve(lag, right, sequence)
    assert horizon(curve, curve.shares.share, accuracy_threshold(0.1)) is None
    lag, right, sequence = answers_with_memory(-1, chance=0.1)
    curve = recall_curve(lag, right, sequence)
    assert horizon(curve, curve.shares.share, accuracy_threshold(0.1)) == 0


def test_half_way_from_chance() -> None:
    assert accuracy_threshold(0.125) == 0.5625
