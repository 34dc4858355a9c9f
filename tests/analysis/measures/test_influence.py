"""Influence of past episodes and bins of steps, against definitions and known answers."""

import math
from functools import reduce

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures.influence import EpisodeLayout, bin_centres, bin_means, bins, dropped_share, episode_influence
from architectures.trace import influence

LAYOUT = EpisodeLayout(items=2, gap=1)


def ratio_of_sums(above: np.ndarray, below: np.ndarray) -> float | None:
    return statistics.two_way_bootstrap(np.stack([above, below], axis=2), statistics.ratio_of_sums).value


def influence_of_steps(retention: Tensor, write: Tensor, at: int, steps: range) -> float:
    """Returns the influence of some steps by its definition."""
    return float(influence(retention, write, at)[0][0, list(steps), 0].sum())


def test_the_influence_of_episodes_is_that_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    retention, write = torch.rand(2, 1, 30, 1, generator=generator, dtype=torch.float64)
    episodes = episode_influence(retention, write, LAYOUT)
    # Five episodes of six steps; the late ones of the four that another follows are the third and the fourth.
    late = [range(6 * n, 6 * n + 2) for n in (2, 3)]
    for name, after in (("after_input", 1), ("after_recall", 5), ("at_next_mark", 9)):
        expected = np.mean([influence_of_steps(retention, write, steps.start + after, steps) for steps in late])
        assert getattr(episodes, name)[0, 0] == pytest.approx(expected)
    for place in (0, 3, 7, 11):
        shares = [
            influence_of_steps(
                retention, write, steps.start + place, range(steps.start, min(steps.start + place + 1, steps.stop))
            )
            / influence_of_steps(retention, write, steps.start + place, range(steps.start + place + 1))
            for steps in late
        ]
        assert episodes.held_share[0, place] == pytest.approx(np.mean(shares))
    earlier = [
        influence_of_steps(retention, write, n + 5, range(n))
        / influence_of_steps(retention, write, n + 5, range(n + 6))
        for n in (18, 24)
    ]
    assert episodes.earlier_share[0, 0, 5] == pytest.approx(np.mean(earlier))
    assert episodes.by_episode.shape == (1, 4, 2)


@pytest.mark.parametrize("rate", [0.3, 0.9, 1.0])
def test_steady_forgetting_is_none_on_purpose(rate: float) -> None:
    retention = torch.full((2, 36, 3), rate)
    episodes = episode_influence(retention, torch.full_like(retention, 0.2), LAYOUT)
    assert dropped_share(np.stack([episodes.at_next_mark, episodes.after_recall], axis=2)[:1])[0] == pytest.approx(
        1 - rate**4, abs=1e-6
    )
    assert ratio_of_sums(episodes.after_recall, episodes.after_input) == pytest.approx(rate**4)
    assert ratio_of_sums(
        episodes.expected_at_next_mark - episodes.at_next_mark, episodes.after_recall
    ) == pytest.approx(0, abs=1e-6)


def test_what_is_dropped_at_an_episodes_end_is_dropped_on_purpose() -> None:
    retention = torch.ones(1, 36, 2)
    retention[:, 6::6, 0] = 0.25
    retention[:, 6::6, 1] = 0.0
    episodes = episode_influence(retention, torch.full_like(retention, 0.1), LAYOUT)
    assert dropped_share(np.stack([episodes.at_next_mark, episodes.after_recall], axis=2))[0] == pytest.approx(
        (0.75 + 1) / 2
    )
    assert ratio_of_sums(
        episodes.expected_at_next_mark - episodes.at_next_mark, episodes.after_recall
    ) == pytest.approx((0.75 + 1) / 2)
    assert episodes.earlier_share[0, 1].tolist() == [0.0] * 6


def test_units_count_by_what_they_hold() -> None:
    retention = torch.ones(1, 36, 2)
    retention[:, 6::6, 0] = 0.0
    write = torch.ones_like(retention)
    write[:, :, 1] = 3.0
    episodes = episode_influence(retention, write, LAYOUT)
    assert dropped_share(np.stack([episodes.at_next_mark, episodes.after_recall], axis=2))[0] == pytest.approx(1 / 4)


def test_an_average_drops_ever_less() -> None:
    t = torch.arange(1, 61, dtype=torch.float64).view(1, -1, 1)
    episodes = episode_influence(1 - 1 / t, 1 / t, LAYOUT)
    # After episode n, 6 n steps are averaged; at the next mark 6 n + 4.
    expected = [1 - 6 * n / (6 * n + 4) for n in range(1, 10)]
    assert (1 - episodes.by_episode[0, :, 1] / episodes.by_episode[0, :, 0]).tolist() == pytest.approx(expected)
    assert episodes.earlier_share[0, 0, 5] == pytest.approx(np.mean([n / (n + 1) for n in range(5, 10)]))


@pytest.mark.parametrize("time", [6, 13])
def test_episodes_have_to_be_whole_and_several(time: int) -> None:
    with pytest.raises(ValueError, match="not two or more episodes"):
        episode_influence(torch.ones(1, time, 1), torch.ones(1, time, 1), LAYOUT)


def test_bins_cover_every_place_once() -> None:
    for count, most, log, start in ((7, 20, False, 0), (1000, 64, False, 0), (1000, 24, True, 99), (5, 60, True, 0)):
        parts = bins(count, most, log=log, start=start)
        places = reduce(list.__add__, [list(range(part.start, part.stop)) for part in parts])
        assert places == list(range(start, count))
        assert len(parts) <= most
    assert bin_centres(bins(4, 2)).tolist() == [1.5, 3.5]
    values = torch.tensor([[1.0, 3.0, math.nan, 5.0, math.nan, math.nan]])
    assert bin_means(values, bins(6, 3)).nan_to_num(nan=-1).tolist() == [[2.0, 5.0, -1.0]]
