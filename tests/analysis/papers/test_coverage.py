"""How often the intervals of the papers' pages hold the true value, by simulation."""

from itertools import combinations

import numpy as np
import pytest

from analysis.papers.equivalence import judge_figure
from analysis.papers.order import rank_correlation
from analysis.papers.ratio import is_told_apart, result_ratio
from tests.analysis.papers.known_tables import STEPS, comparison_table, our_result, table_row

pytestmark = pytest.mark.slow

LIMITS = (0.93, 0.97)
"""Bounds of the coverage of every interval."""
NEVER = 10**9
"""A budget that every seed gets by with."""


def holds(low, value, high):
    """Returns whether an interval holds a value; an open end is beyond every value."""
    return (low is None or low <= value * (1 + 1e-9)) and (high is None or value <= high * (1 + 1e-9))


@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize("seeds", [5, 10])
def test_ratios_of_steps(seeds, censored):
    generator, table, truth, trials, held = np.random.default_rng(1), comparison_table(), 2.0, 1000, 0
    # The budget ends at the upper third of the slower row's steps, or never.
    budget = int(1000 * truth * np.exp(0.5 * 0.4307)) if censored else NEVER
    for _ in range(trials):
        rows = [scale * np.exp(0.5 * generator.normal(size=seeds)) for scale in (1000, 1000 * truth)]
        first, second = (our_result([step for step in row if step <= budget], seeds, budget) for row in rows)
        # The interval holds every ratio that the test does not reject, and most cases need no search for its ends.
        if is_told_apart(first, second, truth):
            ratio = result_ratio(first, second, table)
            held += holds(ratio.low, truth, ratio.high)
        else:
            held += 1
    assert LIMITS[0] <= held / trials <= LIMITS[1]


@pytest.mark.parametrize("seeds", [(5, 5), (10, 10), (5, 10)])
def test_ratios_of_losses(seeds):
    generator, table, trials, held = np.random.default_rng(1), comparison_table(of="test/loss"), 2000, 0
    for _ in range(trials):
        first = np.exp(generator.normal(-5, 0.5, size=seeds[0]))
        second = np.exp(generator.normal(-4, 1.0, size=seeds[1]))
        ratio = result_ratio(our_result(first.tolist()), our_result(second.tolist()), table)
        held += holds(ratio.low, np.e, ratio.high)
    assert LIMITS[0] <= held / trials <= LIMITS[1]


@pytest.mark.parametrize("seeds", [5, 10])
def test_a_run_of_the_same_kind_is_seldom_apart_and_one_at_the_limit_seldom_agrees(seeds):
    generator, trials, apart, agrees = np.random.default_rng(1), 2000, 0, 0
    for _ in range(trials):
        *ours, theirs = np.round(1e6 * np.exp(generator.normal(0, 0.3, size=seeds + 1))).tolist()
        row = table_row("gru", ours, f"{theirs:.0f}", budget=NEVER)
        # With a factor of 1 it is the interval of one more run that decides.
        apart += judge_figure(row, comparison_table(row, factor=1.0)).outcome == "apart"
        row = table_row("gru", ours, "666667", budget=NEVER)
        agrees += judge_figure(row, comparison_table(row, factor=1.5)).outcome == "agrees"
    assert LIMITS[0] <= 1 - apart / trials <= LIMITS[1]
    assert agrees / trials <= 0.03


CLOSE = [0.3 * place for place in range(7)]


@pytest.mark.parametrize("of", [STEPS, "test/loss"])
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize(
    ("means", "most"),
    [
        ([0.0, 0.0], 0.97),
        # Of several pairs all that the tests leave open count for either order: the interval is wider than need be.
        ([-6.0, 0.0, 0.0, 0.0], 1.0),
        (CLOSE, 1.0),
    ],
    ids=["two alike", "one ahead of three alike", "seven close"],
)
def test_rank_correlations(means, most, seeds, of):
    generator, trials, held = np.random.default_rng(1), 400, 0
    truth = np.mean([np.sign(second - first) for first, second in combinations(means, 2)])
    for _ in range(trials):
        rows = [
            table_row(f"a{place}", np.round(1e6 * np.exp(generator.normal(mean, 1, seeds))).tolist(), f"{place + 1}0")
            for place, mean in enumerate(means)
        ]
        correlation = rank_correlation([comparison_table(*rows, of=of)])
        assert correlation is not None
        assert correlation.low is not None
        assert correlation.high is not None
        held += correlation.low - 1e-9 <= truth <= correlation.high + 1e-9
    assert 0.93 <= held / trials <= most + 2 * np.sqrt(0.05 * 0.95 / trials) * (most < 1)
