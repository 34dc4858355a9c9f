"""The learning-rate window of each architecture, against a definition of its own; its sentence and its figure."""

import doctest
import itertools
import math

import numpy as np
import pytest

from analysis.report.tuning import chapter, learning_rates
from analysis.report.tuning.learning_rates import describe_windows, draw_windows, find_window, rate_levels
from analysis.report.tuning.tuned_tasks import tuned_tasks
from tests.analysis.tuning_studies import study, trial

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def swept(name, scores, rates=GRID, **rest):
    """A study with a trial at each rate; those without a score diverged."""
    trials = [
        trial(number, score, state="diverged" if score is None else None, params={"learning_rate": rate})
        for number, (rate, score) in enumerate(zip(rates, scores, strict=True))
    ]
    return study(name, trials, **rest)


def task_of(*studies):
    (task,) = tuned_tasks(studies, [])
    return task


@pytest.mark.parametrize("maximize", [False, True])
def test_the_window_is_the_longest_stretch_of_rates_around_the_best_that_stays_within_five_percent(maximize):
    rng = np.random.default_rng(3)
    for _ in range(200):
        scores = [None if value < 0.1 else 1 + 0.06 * value for value in rng.uniform(size=len(GRID))]
        if all(score is None for score in scores):
            continue
        window = find_window(rate_levels(zip(GRID, scores, strict=True)), maximize=maximize)
        best = (max if maximize else min)(score for score in scores if score is not None)
        # Every stretch, by brute force.
        stretches = [
            (low, high)
            for low, high in itertools.combinations_with_replacement(range(len(GRID)), 2)
            if best in scores[low : high + 1]
            and all(score is not None and abs(score - best) <= 0.05 * best for score in scores[low : high + 1])
        ]
        low, high = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
        assert window is not None
        assert (window.low, window.high, window.best) == (GRID[low], GRID[high], best)
        assert window.best_rate == GRID[scores.index(best)]
        assert (window.is_open_below, window.is_open_above) == (low == 0, high == len(GRID) - 1)


def test_a_level_counts_by_its_best_trial_and_a_gap_ends_the_window():
    trials = [(1e-3, 1.0), (1e-3, 9.0), (3e-3, 1.04), (3e-3, None), (1e-2, 1.2), (3e-2, 1.0)]
    window = find_window(rate_levels(trials), maximize=False)
    assert window is not None
    # 0.03 is as good as the best, but 0.01 lies between.
    assert (window.low, window.high) == (1e-3, 3e-3)
    assert window.factor == pytest.approx(3)


def test_random_rates_count_by_quarters_of_a_decade():
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, -2, 60)
    levels = rate_levels((rate, 1.0 + (rate > 10**-3)) for rate in rates)
    assert [len(level.rates) for level in levels] == np.histogram(np.log10(rates), np.arange(-4, -1.9, 0.25))[
        0
    ].tolist()
    window = find_window(levels, maximize=False)
    assert window is not None
    assert (window.low, window.high) == (rates.min(), rates[rates <= 1e-3].max())
    # Beyond its end worse ones were tried, within the same quarter or in the next.
    assert (window.is_open_below, window.is_open_above) == (True, False)


@pytest.mark.parametrize("trials", [[], [(1e-3, 1.0)], [(1e-3, 1.0), (1e-3, 2.0)], [(1e-3, None), (1e-2, None)]])
def test_one_rate_or_no_score_has_no_window(trials):
    assert find_window(rate_levels(trials), maximize=False) is None


def test_the_sentence_has_the_widest_and_the_narrowest():
    task = task_of(
        swept("lstm", (0.9, 0.5, 0.2, 0.1, 0.9, None)),
        swept("gru", (0.9, 0.102, 0.104, 0.1, 0.103, 0.3)),
        swept("rda", (0.9, 0.5, 0.2, 0.204, 0.9, 0.9)),
    )
    assert describe_windows(task) == (
        "The window of learning rates within 5 % of their best validation loss is widest for gru (0.0003 to 0.01, a "
        "factor of 33) and narrowest for lstm (0.003 alone)."
    )
    assert describe_windows(task) in chapter.summary(task)


def test_sentences_of_one_and_of_equal_windows():
    one = task_of(swept("lstm", (0.9, 0.5, 0.4, 0.3, 0.101, 0.1)))
    assert describe_windows(one) == (
        "lstm comes within 5 % of its best validation loss at the learning rates 0.01 to 0.03, a factor of 3 or more: "
        "no higher one was tried."
    )
    equal = task_of(*(swept(name, (0.9, 0.5, 0.1, 0.5, 0.9, 0.9)) for name in ("lstm", "gru")))
    assert describe_windows(equal) == (
        "No architecture has two learning rates among its trials within 5 % of their best validation loss: "
        "gru (0.001 alone) and lstm (0.001 alone)."
    )
    wide = task_of(*(swept(name, (0.9, 0.5, 0.101, 0.1, 0.9, 0.9)) for name in ("lstm", "gru")))
    assert describe_windows(wide).startswith(
        "The windows of learning rates within 5 % of their best validation loss are"
    )
    without = task_of(
        study("lstm", [trial(0, 0.1, params={"hidden_size": 3}), trial(1, 0.2, params={"hidden_size": 4})])
    )
    assert describe_windows(without) == ""
    assert draw_windows(without) is None


def test_the_figure_has_a_curve_a_broad_line_along_the_window_and_crosses():
    task = task_of(swept("lstm", (0.9, 0.5, 0.2, 0.101, 0.1, None)), swept("gru", (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)))
    figure = draw_windows(task)
    assert figure is not None
    (axes,) = figure.axes
    lines = [(np.asarray(line.get_xdata()).tolist(), line.get_linewidth(), line.get_marker()) for line in axes.lines]
    broad = [x for x, width, _ in lines if width == learning_rates.WINDOW_STYLE["linewidth"]]
    assert [sorted({*x}) for x in broad] == [[3e-3, 1e-2], [3e-2]]
    assert [x for x, _, marker in lines if marker == "x"] == [[pytest.approx(3e-2)]]
    assert list(GRID[:5]) in [x for x, _, _ in lines]
    low, high = axes.get_xlim()
    assert low < GRID[0] < GRID[-1] < high
    assert math.isclose(math.log(GRID[0] / low), math.log(high / GRID[-1]))


def test_the_example_of_a_description():
    assert doctest.testmod(learning_rates).failed == 0
