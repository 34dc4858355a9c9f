"""Tests between rows, Holm's correction and letters, against SciPy and the definitions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.comparison.pairs import (
    Groups,
    correct_by_holm,
    display_letters,
    fewest_discoveries,
    is_best,
    letter,
    tell_apart,
)


def test_two_rows_are_compared_by_welchs_test() -> None:
    first, second = np.array([1.0, 2.0, 4.0, 3.5]), np.array([2.5, 6.0, 9.0])
    difference = Groups.of([first, second]).difference(0, 1)
    expected = stats.ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (difference.value, difference.p) == pytest.approx((second.mean() - first.mean(), expected.pvalue))
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))


def test_rows_that_spread_alike_are_compared_by_the_pooled_variance() -> None:
    base = np.array([-1.0, 0.5, 1.0, -0.5])
    samples = [base, 1.1 * base + 1, 0.9 * base + 2, base + 5]
    difference = Groups.of(samples).difference(0, 1)
    pooled = np.mean([sample.var(ddof=1) for sample in samples])
    t = 1 / np.sqrt(pooled * (1 / 4 + 1 / 4))
    assert difference.p == pytest.approx(2 * stats.t.sf(t, 12))
    half = stats.t.ppf(0.975, 12) * np.sqrt(pooled / 2)
    assert (difference.low, difference.high) == pytest.approx((1 - half, 1 + half))


def test_a_row_of_one_seed_has_no_test() -> None:
    groups = Groups.of([np.array([1.0]), np.array([2.0, 3.0])])
    difference = groups.difference(0, 1)
    assert (difference.value, difference.low, difference.high, difference.p) == (1.5, None, None, None)
    assert groups.p_values().tolist() == [[1, 1], [1, 1]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.001, 0.004, 0.01, 0.012, 0.02, 0.025, 0.03, 0.2, 0.99]), max_size=6))
def test_the_fewest_discoveries_are_those_of_closed_testing(values: list[float]) -> None:
    def simes(chosen: tuple[float, ...]) -> bool:
        """Returns whether Simes' test rejects that all of these hypotheses are true."""
        return any(p <= (rank + 1) * 0.025 / len(chosen) for rank, p in enumerate(sorted(chosen)))

    sets = [chosen for size in range(1, len(values) + 1) for chosen in combinations(values, size)]
    # As many hypotheses may be true together as are in the largest set that is not rejected.
    most_true = max((len(chosen) for chosen in sets if not simes(chosen)), default=0)
    assert fewest_discoveries(np.array(values), 0.025) == len(values) - most_true


def test_seeds_without_any_spread_differ_or_do_not() -> None:
    groups = Groups.of([np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([2.0, 2.0])])
    assert groups.p_values().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_holms_correction_step_by_step() -> None:
    p_values = np.array([[1, 0.01, 0.04], [0.01, 1, 0.03], [0.04, 0.03, 1]])
    # 3 * 0.01, then the larger of that and 2 * 0.03, then the larger of that and 0.04.
    assert correct_by_holm(p_values) == pytest.approx(np.array([[1, 0.03, 0.06], [0.03, 1, 0.06], [0.06, 0.06, 1]]))


@settings(max_examples=5)
@given(st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.049, 0.2, 0.9]), min_size=10, max_size=10))
def test_holms_correction_is_that_of_statsmodels(values: list[float]) -> None:
    p_values = np.ones((5, 5))
    p_values[np.triu_indices(5, 1)] = values
    p_values = np.minimum(p_values, p_values.T)
    expected = multipletests(values, method="holm")[1]
    assert correct_by_holm(p_values)[np.triu_indices(5, 1)] == pytest.approx(expected)


def test_the_best_row_is_told_from_each_other() -> None:
    p_values = np.array([[1, 0.04, 0.03], [0.04, 1, 0.9], [0.03, 0.9, 1]])
    assert is_best(p_values, 0)
    assert not is_best(p_values, 1)
    assert not is_best(np.ones((1, 1)), 0)
    assert tell_apart(p_values, 0).tolist() == [[False, True, True], [True, False, False], [True, False, False]]


def test_pairs_without_a_best_row_are_corrected_together() -> None:
    p_values = np.array([[1, 0.06, 0.02], [0.06, 1, 0.01], [0.02, 0.01, 1]])
    # Holm: 0.03, 0.04, 0.06.
    assert tell_apart(p_values, 0).tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_letters_of_a_worked_example() -> None:
    apart = np.zeros((4, 4), dtype=bool)
    for first, second in [(0, 2), (0, 3), (1, 3)]:
        apart[first, second] = apart[second, first] = True
    assert display_letters(apart) == ["a", "ab", "bc", "c"]
    assert display_letters(np.zeros((3, 3), dtype=bool)) == ["a", "a", "a"]
    assert [letter(place) for place in (0, 25, 26, 53)] == ["a", "z", "a2", "b3"]


@given(st.integers(2, 7).flatmap(lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows * rows - 1)))))
def test_rows_share_a_letter_exactly_if_they_are_not_told_apart(drawn: tuple[int, set[int]]) -> None:
    rows, told = drawn
    apart = np.zeros((rows, rows), dtype=bool)
    for index in told:
        first, second = divmod(index, rows)
        apart[first, second] = apart[second, first] = first != second
    letters = [set(text) for text in display_letters(apart)]
    for first in range(rows):
        for second in range(first):
            assert bool(letters[first] & letters[second]) == (not apart[first, second])
