"""Episodes, attention maps and the growth of attention, against definitions and known answers."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures.attention_maps import entropy, levels, rollout
from analysis.measures.influence import Layout, dropped, episodes
from analysis.measures.lemma1 import Bound, alternating, lemma, reaches, through_readout, weighted
from architectures.trace import influence

LAYOUT = Layout(items=2, gap=1)


def ratio(above: np.ndarray, below: np.ndarray) -> float | None:
    return statistics.two_way_bootstrap(np.stack([above, below], axis=2), statistics.ratio_of_sums).value


def summed(retention: Tensor, write: Tensor, at: int, steps: range) -> float:
    """The influence of some steps, from the one definition."""
    return float(influence(retention, write, at)[0][0, list(steps), 0].sum())


def test_the_influence_of_episodes_is_that_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    retention, write = torch.rand(2, 1, 30, 1, generator=generator, dtype=torch.float64)
    found = episodes(retention, write, LAYOUT)
    # Five episodes of six steps; the late ones of the four that another follows are the third and the fourth.
    late = [range(6 * n, 6 * n + 2) for n in (2, 3)]
    for name, after in (("shown", 1), ("used", 5), ("left", 9)):
        expected = np.mean([summed(retention, write, each.start + after, each) for each in late])
        assert getattr(found, name)[0, 0] == pytest.approx(expected)
    for place in (0, 3, 7, 11):
        shares = [
            summed(retention, write, each.start + place, range(each.start, min(each.start + place + 1, each.stop)))
            / summed(retention, write, each.start + place, range(each.start + place + 1))
            for each in late
        ]
        assert found.held[0, place] == pytest.approx(np.mean(shares))
    earlier = [
        summed(retention, write, n + 5, range(n)) / summed(retention, write, n + 5, range(n + 6)) for n in (18, 24)
    ]
    assert found.earlier[0, 0, 5] == pytest.approx(np.mean(earlier))
    assert found.by_episode.shape == (1, 4, 2)


@pytest.mark.parametrize("rate", [0.3, 0.9, 1.0])
def test_steady_forgetting_is_none_on_purpose(rate: float) -> None:
    kept = torch.full((2, 36, 3), rate)
    found = episodes(kept, torch.full_like(kept, 0.2), LAYOUT)
    assert dropped(np.stack([found.left, found.used], axis=2)[:1])[0] == pytest.approx(1 - rate**4, abs=1e-6)
    assert ratio(found.used, found.shown) == pytest.approx(rate**4)
    assert ratio(found.needed - found.left, found.used) == pytest.approx(0, abs=1e-6)


def test_what_is_dropped_at_an_episodes_end_is_dropped_on_purpose() -> None:
    kept = torch.ones(1, 36, 2)
    kept[:, 6::6, 0] = 0.25
    kept[:, 6::6, 1] = 0.0
    found = episodes(kept, torch.full_like(kept, 0.1), LAYOUT)
    assert dropped(np.stack([found.left, found.used], axis=2))[0] == pytest.approx((0.75 + 1) / 2)
    assert ratio(found.needed - found.left, found.used) == pytest.approx((0.75 + 1) / 2)
    assert found.earlier[0, 1].tolist() == [0.0] * 6


def test_units_count_by_what_they_hold() -> None:
    kept = torch.ones(1, 36, 2)
    kept[:, 6::6, 0] = 0.0
    write = torch.ones_like(kept)
    write[:, :, 1] = 3.0
    found = episodes(kept, write, LAYOUT)
    assert dropped(np.stack([found.left, found.used], axis=2))[0] == pytest.approx(1 / 4)


def test_an_average_drops_ever_less() -> None:
    t = torch.arange(1, 61, dtype=torch.float64).view(1, -1, 1)
    found = episodes(1 - 1 / t, 1 / t, LAYOUT)
    # After episode n, 6 n steps are averaged; at the next mark 6 n + 4.
    expected = [1 - 6 * n / (6 * n + 4) for n in range(1, 10)]
    assert (1 - found.by_episode[0, :, 1] / found.by_episode[0, :, 0]).tolist() == pytest.approx(expected)
    assert found.earlier[0, 0, 5] == pytest.approx(np.mean([n / (n + 1) for n in range(5, 10)]))


@pytest.mark.parametrize("time", [6, 13])
def test_episodes_have_to_be_whole_and_several(time: int) -> None:
    with pytest.raises(ValueError, match="not two or more episodes"):
        episodes(torch.ones(1, time, 1), torch.ones(1, time, 1), LAYOUT)


def uniform(time: int, window: int, spacing: int) -> Tensor:
    there = torch.arange(time).unsqueeze(1) - spacing * torch.arange(window) >= 0
    return (there / there.sum(1, keepdim=True)).expand(2, 3, -1, -1)


def test_uniform_attention_weighs_all_lags_the_same() -> None:
    maps = tuple(uniform(40, 3, 3**level) for level in range(3))
    torch.testing.assert_close(rollout(maps, 39)[:, :27], torch.full((2, 27), 3.0**-3))
    assert not rollout(maps, 39)[:, 27:].any()
    for level in levels(maps, causal=True):
        full = level.full(None)
        torch.testing.assert_close(
            entropy(level.map)[full.unsqueeze(1).expand(-1, 3, -1)],
            torch.full((int(3 * full.sum()),), math.log(3)),
        )
        assert int(full[0].sum()) == 40 - 2 * level.spacing


def test_a_rollout_is_the_sum_over_all_paths() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = []
    for level, window in enumerate((3, 2)):
        logits = torch.randn(1, 2, 9, window, generator=generator, dtype=torch.float64)
        step = torch.arange(9).unsqueeze(1) - (3**level) * torch.arange(window)
        maps.append(logits.masked_fill(step < 0, -math.inf).softmax(-1))
    expected = torch.zeros(9, dtype=torch.float64)
    low, high = (each.mean(1)[0] for each in maps)
    for i, j in product(range(3), range(2)):
        if (lag := i + 3 * j) <= 8:
            expected[lag] += high[8, j] * low[8 - 3 * j, i]
    torch.testing.assert_close(rollout(tuple(maps), 8)[0], expected)
    assert float(expected.sum()) == pytest.approx(1)


def test_levels_that_look_ahead_are_full_where_the_end_is_far() -> None:
    maps = (uniform(10, 2, 1), uniform(10, 2, 2)) * 2
    found = levels(maps, causal=False)
    assert [(each.number, each.onward, each.spacing) for each in found] == [
        (1, True, 1),
        (2, True, 2),
        (1, False, 1),
        (2, False, 2),
    ]
    full = found[3].full(torch.tensor([10, 5]))
    assert [row.nonzero().flatten().tolist() for row in full] == [list(range(8)), [0, 1, 2]]
    # A window longer than the sequence: the one step that sees most.
    assert levels((uniform(4, 9, 1),), causal=True)[0].full(None)[0].tolist() == [False, False, False, True]


def test_lemma_1_is_kept_by_an_average_that_alternates() -> None:
    c, z = 0.5, 1.5
    x = math.atanh(c)
    bound = lemma(c, z, hidden_tanh=True)
    assert bound.growth == pytest.approx(math.log1p(2 * x / (z + x)))
    assert lemma(c, z, hidden_tanh=False).growth == pytest.approx(math.log1p(2 * c / (z + c)))
    # n / d of the paper's recursion, taken from x to -x and back by the least attention that does it.
    n, d, logs = x, 1.0, []
    for step in range(1, 30):
        sign = (-1) ** step
        a = d * 2 * x / (z - x)
        n, d = n + sign * z * a, d + a
        assert n / d == pytest.approx(sign * x)
        assert a / d >= bound.write
        logs.append(math.log(a))
    assert (np.diff(logs) >= bound.growth).all()
    assert np.diff(logs) == pytest.approx(through_readout(x, np.array([z + x])).growth)


def test_an_average_that_alternates_keeps_the_bound_of_its_readout() -> None:
    generator = torch.Generator().manual_seed(2)
    w = 0.1 + 0.6 * torch.rand(1, 200, 4, generator=generator, dtype=torch.float64)
    signs = torch.ones(1, 200, 1, dtype=torch.float64)
    signs[:, ::2] = -1
    z = signs * (0.5 + torch.rand(1, 200, 4, generator=generator, dtype=torch.float64))
    r = torch.zeros_like(z)
    for t in range(200):
        before = r[:, t - 1] if t else torch.zeros(1, 4, dtype=torch.float64)
        r[:, t] = before + w[:, t] * (z[:, t] - before)
    readout = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    y = (r.tanh() @ readout.t())[0, :, 0]
    v = reaches(readout, z, r)
    mean = weighted(w, v)
    for t in range(1, 200):
        # What the answer did change by is 2 c.
        assert mean[t] >= through_readout(float((y[t] - y[t - 1]).abs()) / 2, v).write
    assert through_readout(0.1, np.zeros(2)).growth == math.inf
    assert Bound(write=1 - math.exp(-0.3)).growth == pytest.approx(0.3)


def test_what_alternates_is_told_from_what_does_not() -> None:
    t = torch.arange(1, 11)
    assert alternating(0.5 * (-1.0) ** t) == pytest.approx(0.5)
    assert alternating(torch.full((10,), 0.5)) == pytest.approx(0)
