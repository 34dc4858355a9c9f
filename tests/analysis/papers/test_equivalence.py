"""Agreement of single figures with our results, against cases worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.papers.equivalence import judge_figure
from tests.analysis.papers.known_tables import STEPS, comparison_table, table_row

LOSS, ACCURACY = "test/loss", "test/accuracy"
OPEN = "too few seeds to say"
FOUR = [100, 110, 110, 120]


def outcome_of(published, values, seeds=None, of=STEPS, **rest):
    """Returns the outcome for one figure."""
    row = table_row("gru", values, published, seeds, **rest)
    return judge_figure(row, comparison_table(row, of=of)).outcome


@pytest.mark.parametrize(
    ("published", "values", "seeds", "expected"),
    [
        (None, FOUR, 4, "nothing published"),
        ("100", [], 0, "not run"),
        ("> 100", [], 0, "not run"),
        # 109.8 / 1.126 to 109.8 * 1.126: within a factor of 1.5 of 83 to 145.
        ("110", FOUR, 4, "agrees"),
        ("83", FOUR, 4, "agrees"),
        ("145", FOUR, 4, "agrees"),
        ("80", FOUR, 4, OPEN),
        ("150", FOUR, 4, OPEN),
        # All of that beyond the factor, but not one more run: 109.8 * 1.303, or divided by it.
        ("190", FOUR, 4, "left open"),
        ("212", FOUR, 4, "left open"),
        ("64", FOUR, 4, "left open"),
        ("217", FOUR, 4, "apart"),
        ("55", FOUR, 4, "apart"),
        # More seeds settle it no better: each is 1.62 times 100, give or take a tenth.
        ("100", [147, 178, 162, 147, 178, 162] * 20, 120, "left open"),
        # Three seeds say nothing, however far.
        ("110", [110, 110, 110], 3, OPEN),
        ("9000", [110, 111, 112], 3, OPEN),
        # Not every seed got there.
        ("100", [99, 101], 4, OPEN),
        ("9000", [], 4, "too few steps to tell"),
        ("6000", [], 4, "apart"),
        ("6000", [], 3, OPEN),
        ("100", [151, 9000], 4, "apart"),
        ("100", [96, 97, 98, 99, 100, 101, 102, 103, 104], 10, "agrees"),
        # The upper end of the median's interval is a seed that never got there.
        ("100", [98, 99, 100, 101, 102, 103, 104], 8, OPEN),
        ("100", [50, 99, 100, 101, 102], 6, OPEN),
        # A source that only says that it took longer than that.
        ("> 10000", [], 4, "agrees"),
        ("> 10000", [], 3, OPEN),
        ("> 10001", [], 4, "too few steps to tell"),
        ("> 5000", [5001, 9000], 4, "agrees"),
        ("> 5000", [5000, 9000], 4, OPEN),
        ("> 5000", [10, 20, 30], 4, "apart"),
        ("> 5000", [10, 20, 30], 3, OPEN),
        # Longer than the budget, and some seed has a number anyway: the budget was not the limit.
        ("> 90", [100, 110, 111, 112], 4, "agrees"),
        # Or less: 110 +- 12.99.
        ("< 124", FOUR, 4, "agrees"),
        ("< 122", FOUR, 4, OPEN),
        ("< 85", FOUR, 4, "apart"),
        ("< 120", [110], 1, OPEN),
    ],
)
def test_steps_beside_a_figure(published, values, seeds, expected):
    assert outcome_of(published, values, seeds) == expected


@pytest.mark.parametrize(
    ("published", "values", "seeds", "of", "expected"),
    [
        # Errors: 0.01995 times or divided by 1.139.
        ("0.987", [0.978, 0.980, 0.980, 0.982], 4, ACCURACY, OPEN),
        ("0.980", [0.978, 0.980, 0.980, 0.982], 4, ACCURACY, "agrees"),
        ("98.11 %", [0.978, 0.980, 0.980, 0.982], 4, ACCURACY, "agrees"),
        ("0.995", [0.978, 0.980, 0.980, 0.982], 4, ACCURACY, "apart"),
        ("0.920", [0.978, 0.980, 0.980, 0.982], 4, ACCURACY, "apart"),
        # Both are without error, as far as the source's digits show.
        ("100 %", [1.0, 0.999, 0.9995, 0.9995], 4, ACCURACY, "agrees"),
        ("100 %", [0.9, 0.91, 0.91, 0.92], 4, ACCURACY, "apart"),
        ("0.25", [0.49, 0.50, 0.50, 0.51], 4, LOSS, "apart"),
        ("0.45", [0.49, 0.50, 0.50, 0.51], 4, LOSS, "agrees"),
        ("0.0", [0.49, 0.50, 0.50, 0.51], 4, LOSS, OPEN),
        # A diverged seed has no number.
        ("0.5", [0.49, 0.50, 0.51], 4, LOSS, OPEN),
        ("0.5", [], 4, LOSS, "apart"),
        # 0.5 +- 0.013.
        ("> 0.4", [0.49, 0.50, 0.50, 0.51], 4, ACCURACY, "agrees"),
        ("> 0.49", [0.49, 0.50, 0.50, 0.51], 4, ACCURACY, OPEN),
        ("> 0.6", [0.49, 0.50, 0.50, 0.51], 4, ACCURACY, "apart"),
        ("< 0.2", [0.3, 0.31, 0.31, 0.32], 4, LOSS, "apart"),
        ("< 0.2", [0.1, 0.11, 0.11, 0.12], 4, LOSS, "agrees"),
    ],
)
def test_a_metric_beside_a_figure(published, values, seeds, of, expected):
    assert outcome_of(published, values, seeds, of) == expected


@given(st.lists(st.integers(50, 200), min_size=4, max_size=8), st.integers(1000, 100_000))
def test_it_agrees_exactly_if_both_one_sided_tests_reject(values, theirs):
    assume(len(set(values)) > 1)
    values = [float(value * theirs // 100) for value in values]
    logs, limit = np.log(values) - math.log(theirs), math.log(1.5) + math.log1p(0.5 / theirs)
    above = stats.ttest_1samp(logs, -limit, alternative="greater").pvalue
    below = stats.ttest_1samp(logs, limit, alternative="less").pvalue
    assume(abs(max(above, below) - 0.025) > 1e-6)
    assert (outcome_of(str(theirs), values, budget=10**9) == "agrees") == (max(above, below) < 0.025)


def test_the_cell_gives_the_ratio_with_its_interval():
    row = table_row("gru", FOUR, "100")
    logs = np.log([1.0, 1.1, 1.1, 1.2])
    low, high = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs))
    expected = f"agrees: 1.10 times their figure [{math.exp(low):.3f}, {math.exp(high):.2f}]"
    assert str(judge_figure(row, comparison_table(row))) == expected


def test_what_is_counted_row_by_row_has_the_room_of_a_row():
    row = table_row("gru", [1500] * 4, "960")
    assert judge_figure(row, comparison_table(row)).outcome == "apart"
    coarse = replace(row, ours=replace(row.ours, resolution=100.0))
    assert judge_figure(coarse, comparison_table(coarse)).outcome == "agrees"


def test_a_wider_factor_agrees_with_more():
    row = table_row("gru", [190, 200, 200, 210], "110")
    assert judge_figure(row, comparison_table(row)).outcome != "agrees"
    assert judge_figure(row, replace(comparison_table(row), factor=3.0)).outcome == "agrees"


def test_seeds_that_diverged_are_not_slow():
    row = table_row("lstm", [], "> 10000", 3)
    diverged = replace(row, ours=replace(row.ours, num_diverged=3))
    agreement = judge_figure(diverged, comparison_table(diverged))
    assert str(agreement) == "too few seeds to say: 3 of 3 seeds diverged"


def test_an_error_is_no_less_than_half_an_answer():
    """All of 100 answers right, and 0.49 % wrong there: no more can be told from so few."""
    row = table_row("gru", [1.0] * 4, "0.9951")
    few = replace(row, ours=replace(row.ours, resolution=1 / 100))
    assert judge_figure(few, comparison_table(few, of=ACCURACY)).outcome == "agrees"
    many = replace(row, ours=replace(row.ours, resolution=1 / 10_000))
    assert judge_figure(many, comparison_table(many, of=ACCURACY)).outcome == "apart"


@pytest.mark.parametrize(("answers", "expected"), [(500, OPEN), (20_000, "agrees")])
def test_the_interval_of_an_accuracy_is_no_narrower_than_its_test_set(answers, expected):
    """Four seeds that all have 10 of 500 wrong: Wilson's interval of the error is 0.0109 to 0.0364."""
    row = table_row("gru", [0.98] * 4, "0.980")
    row = replace(row, ours=replace(row.ours, answers=answers, resolution=1 / answers))
    agreement = judge_figure(row, comparison_table(row, of=ACCURACY))
    assert agreement.outcome == expected
    low, high = stats.binomtest(round(0.02 * answers), answers).proportion_ci(0.95, method="wilson")
    assert f"[{low / 0.02:.3f}, {high / 0.02:.2f}]" in agreement.detail
