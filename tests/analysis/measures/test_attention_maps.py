"""Attention maps of a hierarchy, against uniform attention and a sum over all paths."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from analysis.measures.attention_maps import attention_levels, attention_rollout, entropy


def uniform(time: int, window: int, spacing: int) -> Tensor:
    """Returns a map of two sequences and three heads with equal weights."""
    valid = torch.arange(time).unsqueeze(1) - spacing * torch.arange(window) >= 0
    return (valid / valid.sum(1, keepdim=True)).expand(2, 3, -1, -1)


def test_uniform_attention_weighs_all_lags_the_same() -> None:
    maps = tuple(uniform(40, 3, 3**level) for level in range(3))
    torch.testing.assert_close(attention_rollout(maps, 39)[:, :27], torch.full((2, 27), 3.0**-3))
    assert not attention_rollout(maps, 39)[:, 27:].any()
    for level in attention_levels(maps, causal=True):
        full = level.has_full_window(None)
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
    low, high = (level_map.mean(1)[0] for level_map in maps)
    for i, j in product(range(3), range(2)):
        if (lag := i + 3 * j) <= 8:
            expected[lag] += high[8, j] * low[8 - 3 * j, i]
    torch.testing.assert_close(attention_rollout(tuple(maps), 8)[0], expected)
    assert float(expected.sum()) == pytest.approx(1)


def test_a_rollout_of_layers_is_the_product_of_their_matrices() -> None:
    """Layers look at every step so far, so that many paths have the same lag."""
    generator = torch.Generator().manual_seed(2)
    step, lag = torch.arange(7).unsqueeze(1), torch.arange(7)
    maps, product_of_layers = [], torch.eye(7, dtype=torch.float64)
    for _ in range(3):
        logits = torch.randn(1, 2, 7, 7, generator=generator, dtype=torch.float64)
        weights = logits.masked_fill(step < lag, -math.inf).softmax(-1)
        maps.append(weights)
        mean, matrix = weights.mean(1)[0], torch.zeros(7, 7, dtype=torch.float64)
        for t in range(7):
            for back in range(t + 1):
                matrix[t, t - back] = mean[t, back]
        product_of_layers = matrix @ product_of_layers
    for at in (0, 4, 6):
        by_lag = attention_rollout(tuple(maps), at, spacings=(1, 1, 1))[0]
        torch.testing.assert_close(by_lag, product_of_layers[at, : at + 1].flip(0))
    assert [level.spacing for level in attention_levels(tuple(maps), causal=True, spacings=(1, 1, 1))] == [1, 1, 1]


def test_levels_that_look_ahead_are_full_where_the_end_is_far() -> None:
    maps = (uniform(10, 2, 1), uniform(10, 2, 2)) * 2
    levels = attention_levels(maps, causal=False)
    assert [(level.number, level.looks_back, level.spacing) for level in levels] == [
        (1, True, 1),
        (2, True, 2),
        (1, False, 1),
        (2, False, 2),
    ]
    full = levels[3].has_full_window(torch.tensor([10, 5]))
    assert [row.nonzero().flatten().tolist() for row in full] == [list(range(8)), [0, 1, 2]]
    # A window longer than the sequence: the one step that sees most.
    (level,) = attention_levels((uniform(4, 9, 1),), causal=True)
    assert level.has_full_window(None)[0].tolist() == [False, False, False, True]
