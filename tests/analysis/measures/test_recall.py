"""The mathematics of recall and of effective receptive fields, against known answers."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import architectures
from analysis.measures.gradients import cumulative, ends, holding, lag_gradients, resampled
from analysis.measures.recall import horizon, recall_curve, threshold
from analysis.probes.base import with_length_factor, with_steps
from analysis.probes.result import NotAvailableError
from analysis.statistics import clustered_proportions, wilson
from workbench.tasks import build


@pytest.mark.parametrize(("right", "count"), [(0, 5), (5, 5), (3, 10), (61, 64), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(right: int, count: int) -> None:
    low, high = wilson(np.array(right / count), np.array(count))
    known = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert (float(low), float(high)) == pytest.approx((known.low, known.high), abs=1e-12)


def test_no_answers_have_no_interval() -> None:
    assert np.isnan(wilson(np.array([math.nan]), np.array([0]))).all()


def test_independent_answers_have_wilsons_interval() -> None:
    """With one answer a sequence, a sequence's answers cannot be alike."""
    right = np.array([1.0] * 30 + [0.0] * 10)
    found = clustered_proportions(right, np.ones(40), np.zeros(40, dtype=int), 1)
    # The variance is that over n - 1, which makes the design effect 40 / 39.
    low, high = wilson(np.array(0.75), np.array(39))
    assert (found.low[0], found.high[0]) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_answers_that_are_all_alike_count_as_one() -> None:
    """Sequences of 10 answers, all right or all wrong: as many answers as sequences."""
    right = 10.0 * (np.arange(40) < 30)
    found = clustered_proportions(right, np.full(40, 10.0), np.zeros(40, dtype=int), 1)
    low, high = wilson(np.array(0.75), np.array(39))
    assert found.share[0] == 0.75
    assert (found.low[0], found.high[0]) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_the_interval_of_clustered_answers_covers() -> None:
    """About 95 of 100 intervals hold the true share, where sequences differ; those of independent answers would not."""
    generator = np.random.default_rng(0)
    covered = naive = 0
    for _ in range(400):
        p = generator.beta(1.0, 1.0, size=50)  # of mean 1/2
        right = generator.binomial(20, p).astype(float)
        found = clustered_proportions(right, np.full(50, 20.0), np.zeros(50, dtype=int), 1)
        covered += bool(found.low[0] <= 0.5 <= found.high[0])
        low, high = wilson(found.share, np.array([1000]))
        naive += bool(low[0] <= 0.5 <= high[0])
    assert 0.92 * 400 <= covered <= 0.98 * 400
    assert naive < 0.7 * 400


Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


def lagged(edge: float, *, lags: int = 200, sequences: int = 500, items: int = 10, chance: float = 0.0) -> Answers:
    """Answers that are right up to a lag, and right by chance beyond."""
    generator = np.random.default_rng(1)
    lag = np.repeat(generator.integers(1, lags + 1, sequences), items)
    right = (lag <= edge) | (generator.random(len(lag)) < chance)
    return lag, right, np.repeat(np.arange(sequences), items)


def test_every_lag_is_in_one_bin_and_bins_are_even() -> None:
    lag, right, sequence = lagged(50)
    found = recall_curve(lag, right, sequence, bins=20)
    assert len(found.lag) == 20
    assert (np.diff(found.lag) > 0).all()
    assert (found.smallest, found.largest) == (lag.min(), lag.max())
    assert found.shares.share[0] == 1
    assert found.shares.share[-1] == 0


def test_few_answers_are_in_few_bins() -> None:
    """A lag goes where the middle of its answers lies: 30 of lag 3, then 30 of 5 around the half, then 40 of 7."""
    lag = np.repeat([3, 5, 7], [30, 30, 40])
    found = recall_curve(lag, lag == 7, np.arange(100))
    assert found.lag.tolist() == [4, 7]
    assert found.shares.share.tolist() == [0, 1]
    assert recall_curve(lag[:9], lag[:9] == 3, np.arange(9)).shares.share.tolist() == [1]


@pytest.mark.parametrize("edge", [23, 50, 104, 150])
@pytest.mark.parametrize("chance", [0.0, 0.125])
def test_the_horizon_of_a_limited_memory_is_its_length(edge: int, chance: float) -> None:
    """25 bins of 8 lags: to a fifth of a bin's width, or a bit more where chance adds noise."""
    lag, right, sequence = lagged(edge, sequences=4000, chance=chance)
    found, bound = recall_curve(lag, right, sequence), threshold(chance)
    value = horizon(found, found.shares.share, bound)
    low, high = (horizon(found, end, bound) for end in (found.shares.low, found.shares.high))
    assert value == pytest.approx(edge + 0.5, abs=1.6)
    assert low is not None
    assert high is not None
    assert low <= value <= high  # type: ignore[operator]
    assert high - low < 6


def test_the_horizon_of_a_perfect_memory_has_no_end_and_of_none_is_none() -> None:
    lag, right, sequence = lagged(10_000)
    found = recall_curve(lag, right, sequence)
    assert horizon(found, found.shares.share, threshold(0.1)) is None
    lag, right, sequence = lagged(-1, chance=0.1)
    found = recall_curve(lag, right, sequence)
    assert horizon(found, found.shares.share, threshold(0.1)) == 0


def test_half_way_from_chance() -> None:
    assert threshold(0.125) == 0.5625


def test_the_share_of_an_exponential_gradient() -> None:
    """g = a^k: 1 - a^{2 (k + 1)} of the square lies within lag k."""
    a, k = 0.9, np.arange(400)
    rising = cumulative(np.tile(a**k, (3, 2, 1)))
    assert rising.shape == (2, 400)
    assert rising[0] == pytest.approx(1 - a ** (2 * (k + 1)), abs=1e-12)
    for share in (0.5, 0.9, 0.95):
        assert holding(rising, share)[0] == math.ceil(math.log(1 - share) / math.log(a**2)) - 1


def test_an_even_gradient_is_held_in_proportion() -> None:
    rising = cumulative(np.ones((2, 1, 100)))
    assert [int(holding(rising, share)[0]) for share in (0.5, 0.9, 0.95)] == [49, 89, 94]


def test_gradients_that_cannot_be_squared_and_sequences_without() -> None:
    norms = np.array([[[1e200, 1e200, math.nan, math.nan], [0.0] * 4, [1.0, math.inf, 1.0, 1.0], [1e-200] * 4]])
    assert cumulative(norms).tolist() == [[0.5, 1, 1, 1], [0.25, 0.5, 0.75, 1]]
    assert cumulative(np.zeros((2, 3, 4))).shape == (0, 4)


def test_the_ends_hold_95_of_100() -> None:
    low, high = ends(np.arange(1001.0)[:, None] * np.array([1, 2]))
    np.testing.assert_allclose([low, high], [[25, 50], [975, 1950]])


def test_the_bootstrap_has_the_spread_of_a_mean() -> None:
    generator = np.random.default_rng(0)
    rising = generator.normal(size=(200, 3))
    low, high = ends(resampled(rising, generator))
    width = 2 * 1.96 * rising.std(0) / math.sqrt(200)
    assert high - low == pytest.approx(width, rel=0.2)
    assert ((low < rising.mean(0)) & (rising.mean(0) < high)).all()


def test_the_reach_of_a_tcn_bounds_its_field() -> None:
    """Kernels of 3 taps in 2 blocks see 1 + 2 * 2 * 3 = 13 steps, and lag 12 is the last that a gradient comes from."""
    torch.manual_seed(0)
    encoder = architectures.build("tcn", 2, hidden_size=8, kernel_size=3, num_layers=2)
    assert encoder.receptive_field == 13
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    x = torch.randn(20, 80, 2)
    rising = cumulative(lag_gradients(encoder, x, 2, torch.Generator().manual_seed(0)).numpy())
    assert (rising[:, 12:] == 1).all()
    assert (rising[:, 11] < 1).any()
    assert (holding(rising, 1.0) <= 12).all()
    assert holding(rising, 1.0).max() == 12


def test_lengths_are_changed_where_the_task_lets_them() -> None:
    copy = build("copy", length=30, items=4)
    assert with_length_factor(copy, 4).steps == 4 * 30 + 8
    assert with_steps(copy, 100).steps == 100
    assert with_steps(copy, None) is copy
    assert with_steps(build("digits"), 64).steps == 64
    for task, steps in ((build("digits"), 100), (build("multicopy"), 100), (copy, 8)):
        with pytest.raises(NotAvailableError):
            with_steps(task, steps)
    told = "Copy cannot have sequences of 4 steps, 4 of which are not of its length: length must be at least 1, not 0"
    with pytest.raises(NotAvailableError, match=told):
        with_steps(build("copy", length=5, items=2), 4)
    with pytest.raises(NotAvailableError, match="no option length"):
        with_length_factor(build("multicopy"), 2)
