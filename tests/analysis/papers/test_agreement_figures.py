"""Agreement of single figures with our results, against cases worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.formatting import ABSENT
from analysis.papers.agreement import describe_agreement
from tests.analysis.papers.known_tables import STEPS, comparison_table, table_row

LOSS, ACCURACY = "test/loss", "test/accuracy"


def agreement_of(published, values, seeds=None, of=STEPS, **rest):
    """Returns the agreement of one figure."""
    row = table_row("gru", values, published, seeds, **rest)
    return describe_agreement(row, comparison_table(row, of=of))


@pytest.mark.parametrize(
    ("published", "values", "seeds", "expected"),
    [
        (None, [100, 110, 120], 3, ABSENT),
        ("100", [], 0, "not run"),
        ("> 100", [], 0, "not run"),
        # One more run: 110 ± 4.303 · 10 · √(1 + 1/3) = 110 ± 49.68, and half a step of theirs.
        ("160", [100, 110, 120], 3, "within our interval"),
        ("60", [100, 110, 120], 3, "within our interval"),
        ("161", [100, 110, 120], 3, "no: 0.683 times theirs"),
        ("59", [100, 110, 120], 3, "no: 1.86 times theirs"),
        ("110", [110], 1, "one seed: 1.00 times theirs"),
        ("220", [110], 1, "one seed: 0.500 times theirs"),
        # Not every seed got there.
        ("100", [99, 101], 3, "no: 2 of 3 seeds"),
        ("10001", [99], 3, "no: 1 of 3 seeds"),
        ("9000", [], 3, "no: 0 of 3 seeds"),
        ("10000", [], 3, "no: 0 of 3 seeds"),
        ("10001", [], 3, "too few steps to tell"),
        # A source that only says that it took longer than that.
        ("> 10000", [], 3, "agrees"),
        ("> 10000", [], 1, "one seed: agrees"),
        ("> 10001", [], 3, "too few steps to tell"),
        ("> 5000", [5001, 9000], 3, "agrees"),
        ("> 5000", [5000, 9000], 3, "no: 1 of 3 seeds by then"),
        ("> 5000", [10, 20, 30], 3, "no: 3 of 3 seeds by then"),
        ("> 20000", [10], 3, "no: 1 of 3 seeds by then"),
        # Longer than the budget, and some seed has a number anyway: the budget was not the limit.
        ("> 90", [100, 110], 2, "agrees"),
        # Or less: 110 ± 24.84.
        ("< 135", [100, 110, 120], 3, "agrees"),
        ("< 134", [100, 110, 120], 3, "cannot tell"),
        ("< 85", [100, 110, 120], 3, "no"),
        ("< 120", [110], 1, "one seed: agrees"),
        ("< 110", [110], 1, "no"),
        # Those that never got there were not faster.
        ("< 120", [110], 3, "no: 1 of 3 seeds"),
        ("< 135", [100, 110, 120], 4, "no: 3 of 4 seeds"),
    ],
)
def test_steps_beside_a_figure(published, values, seeds, expected):
    assert agreement_of(published, values, seeds) == expected


@pytest.mark.parametrize(
    ("published", "values", "seeds", "of", "expected"),
    [
        # 0.5 ± 4.303 · 0.01 · √(1 + 1/3) = 0.5 ± 0.0497, and half of their last digit.
        ("0.549", [0.49, 0.50, 0.51], 3, ACCURACY, "within our interval"),
        ("0.5502", [0.49, 0.50, 0.51], 3, ACCURACY, "no: 0.0502 below"),
        ("0.55", [0.49, 0.50, 0.51], 3, ACCURACY, "within our interval"),
        ("56 %", [0.49, 0.50, 0.51], 3, ACCURACY, "no: 0.0600 below"),
        ("40 %", [0.49, 0.50, 0.51], 3, ACCURACY, "no: 0.100 above"),
        ("0.25", [0.5], 1, ACCURACY, "one seed: 0.250 above"),
        ("0.25", [0.49, 0.50, 0.51], 3, LOSS, "no: 2.00 times theirs"),
        ("0.0", [0.49, 0.50, 0.51], 3, LOSS, "no: 0.500 against 0"),
        # A diverged seed has no number.
        ("0.5", [0.49, 0.51], 3, LOSS, "no: 2 of 3 seeds"),
        ("0.5", [], 3, LOSS, "no: 0 of 3 seeds"),
        ("50000", [], 3, LOSS, "no: 0 of 3 seeds"),
        ("> 0.4", [0.49, 0.50, 0.51], 3, ACCURACY, "agrees"),
        ("> 0.49", [0.49, 0.50, 0.51], 3, ACCURACY, "cannot tell"),
        ("> 0.6", [0.49, 0.50, 0.51], 3, ACCURACY, "no"),
        ("< 0.2", [0.1, 0.11, 0.12], 3, ACCURACY, "agrees"),
        ("< 0.2", [0.1], 1, ACCURACY, "one seed: agrees"),
        ("< 0.2", [0.3, 0.31, 0.32], 3, ACCURACY, "no"),
        ("< 0.2", [0.1, 0.3, 0.2], 3, ACCURACY, "cannot tell"),
        ("< 0.2", [], 2, ACCURACY, "no: 0 of 2 seeds"),
        ("< 0.2", [0.1], 2, ACCURACY, "no: 1 of 2 seeds"),
    ],
)
def test_a_metric_beside_a_figure(published, values, seeds, of, expected):
    assert agreement_of(published, values, seeds, of) == expected


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.integers(1, 1000))
def test_a_figure_is_within_our_interval_where_students_t_has_it(values, theirs):
    assume(len(set(values)) > 1)
    n = len(values)
    # Of one more run: its own spread, and that of the mean.
    spread = stats.tstd(values) * (1 + 1 / n) ** 0.5
    low, high = stats.t.interval(0.95, n - 1, loc=sum(values) / n, scale=spread)
    low, high = low - 0.5, high + 0.5
    assume(min(abs(low - theirs), abs(high - theirs)) > 1e-6)
    assert (agreement_of(str(theirs), values) == "within our interval") == (low < theirs < high)
    if not low < theirs < high:
        assert agreement_of(str(theirs), values).startswith("no: ")


def test_what_is_counted_row_by_row_has_the_room_of_a_row():
    row = table_row("gru", [1400, 1400, 1400], "1500")
    coarse = replace(row, ours=replace(row.ours, resolution=100.0))
    assert describe_agreement(coarse, comparison_table(coarse)) == "within our interval"
    fine = replace(row, ours=replace(row.ours, resolution=50.0))
    assert describe_agreement(fine, comparison_table(fine)) == "no: 0.933 times theirs"


def test_seeds_that_diverged_are_not_slow():
    row = table_row("lstm", [], "> 10000", 3)
    diverged = replace(row, ours=replace(row.ours, num_diverged=3))
    assert describe_agreement(diverged, comparison_table(diverged)) == "no: 3 of 3 seeds diverged"
