"""Order of our results beside the source's, against cases worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.papers.agreement import verdict
from analysis.papers.order import compare_published, describe_order, pair_p, pairs_told_apart, rank_correlation
from analysis.published_figures import PUBLISHED, PublishedFigure
from tests.analysis.papers.known_tables import comparison_table, our_result, table_row


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        ("100", "200", 1),
        ("200", "100", -1),
        ("100", "100", 0),
        # As rounded, they may be the same.
        ("100", "101", 0),
        ("0.985", "0.986", 0),
        ("0.985", "0.987", 1),
        ("0.98", "0.987", 1),
        ("1735", "> 10000", 1),
        ("> 10000", "1735", -1),
        # At that number itself the other is there already.
        ("10000", "> 10000", 1),
        ("10001", "> 10000", 0),
        ("> 10000", "> 10000", 0),
        ("> 10000", "> 20000", 0),
        ("< 0.2", "1", 1),
        ("< 0.2", "0.2", 1),
        ("< 0.2", "0.1", 0),
        ("< 0.2", "< 0.2", 0),
        ("< 0.2", "> 0.2", 1),
        ("< 0.2", "> 0.1", 0),
    ],
)
def test_which_of_two_figures_is_certainly_the_less(one, other, first):
    first_of_two = PublishedFigure.parse(one), PublishedFigure.parse(other)
    assert compare_published(*first_of_two, less_is_better=True) == first
    assert compare_published(*first_of_two, less_is_better=False) == -first
    assert compare_published(first_of_two[1], first_of_two[0], less_is_better=True) == -first


def test_steps_are_tested_by_their_ranks_and_metrics_by_their_logarithms():
    steps = comparison_table()
    assert pair_p(our_result([9, 10, 11, 12]), our_result([]), steps) == 1
    assert pair_p(our_result([9, 10, 11]), our_result([900, 1000, 1100]), steps) == 1
    # Four and four are in no rarer an order than 2 of 70, five and five than 2 of 252.
    assert pair_p(our_result([9, 10, 11, 12]), our_result([], 4), steps) == pytest.approx(2 / 70)
    assert pair_p(our_result([9, 10, 11, 8, 12]), our_result([], 5), steps) < 0.01
    one, next_one = (replace(our_result([step] * 5), resolution=100.0) for step in (100, 200))
    assert pair_p(one, next_one, steps) == 1
    losses = comparison_table(of="test/loss")
    logs = [-1, 0, 1, 0], [1, 2, 4, 3]
    expected = stats.ttest_ind(*logs, equal_var=False).pvalue
    first, second = (our_result(list(np.exp(each))) for each in logs)
    assert pair_p(first, second, losses) == pytest.approx(expected)
    assert pair_p(first, our_result([1.0, 1.0], 4), losses) == 1


def test_pairs_are_those_that_the_source_tells_apart_and_that_are_run():
    table = comparison_table(
        table_row("gru", [20, 21, 22, 23, 20, 21], "100"),
        table_row("lstm", [10, 11, 12, 13, 10, 11], "> 10000"),
        table_row("rwa", [50, 51, 52, 53, 50, 51], "100"),
        table_row("rnn", [1, 2, 3, 4, 1, 2], None),
        table_row("tcn", [], "1"),
    )
    pairs = {(pair.better, pair.worse): (pair.ours, pair.told_apart) for pair in pairs_told_apart(table)}
    assert pairs == {("gru", "lstm"): (-1, True), ("rwa", "lstm"): (-1, True)}


def test_losses_that_are_those_of_an_answer_without_memory_are_not_told_apart():
    table = comparison_table(
        table_row("tcn", [1, 2, 3], "3.5e-5"),
        table_row("lstm", [4, 5, 6], "0.0204"),
        table_row("gru", [7, 8, 9], "0.0197"),
        of="test/loss",
    )
    with_trivial_loss = replace(table, published_trivial_loss=0.0204)
    assert {(pair.better, pair.worse) for pair in pairs_told_apart(with_trivial_loss)} == {
        ("tcn", "lstm"),
        ("tcn", "gru"),
    }
    assert ("gru", "lstm") in {(pair.better, pair.worse) for pair in pairs_told_apart(table)}


ORDERED = [("rwa", "100"), ("gru", "200"), ("lstm", "> 10000")]


def ordered_table(*values, seeds=5, **rest):
    """Returns three rows that the source has in this order, with our values."""
    rows = (table_row(name, ours, figure, seeds) for (name, figure), ours in zip(ORDERED, values, strict=True))
    return comparison_table(*rows, **rest)


APART = [[9, 10, 11, 9, 10], [99, 100, 101, 98, 99], []]
TURNED = [[99, 100, 101, 98, 99], [9, 10, 11, 9, 10], []]
MIXED = [[10, 30, 12, 31, 11], [9, 29, 13, 30, 10], []]
"""The medians are in the source's order, 12 before 13, but not those of every sample of the seeds."""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (APART, "the same order (rank correlation 1.00 [1.00, 1.00] over 3 pairs)"),
        (TURNED, "another order: 1 pair the other way round (rank correlation 0.33 [0.33, 0.33] over 3 pairs)"),
        ([[], [], []], "no order to be told (rank correlation 0.00 [-1.00, 1.00] over 3 pairs)"),
        (
            [[99, 100, 101, 98, 99], [9, 10, 11, 9, 10], [1, 2, 3, 1, 2]],
            "the opposite order (rank correlation -1.00 [-1.00, -1.00] over 3 pairs)",
        ),
    ],
)
def test_the_verdict_is_on_the_order(values, expected):
    assert verdict([ordered_table(*values)], full=False) == expected


def test_an_order_that_seeds_do_not_settle():
    text = verdict([ordered_table(*MIXED)], full=False)
    assert text == "the same order (rank correlation 1.00 [0.33, 1.00] over 3 pairs)"


@pytest.mark.parametrize("seeds", [1, 3])
def test_fewer_than_four_seeds_tell_no_order(seeds):
    values = [[1] * seeds, [2] * seeds, [3] * seeds]
    expected = "too few seeds to say of the order (rank correlation 1.00 over 3 pairs)"
    assert verdict([ordered_table(*values, seeds=seeds)], full=False) == expected


def test_all_variants_count():
    correlation = rank_correlation([ordered_table(*APART), ordered_table(*TURNED)])
    assert correlation is not None
    assert correlation.value == pytest.approx(4 / 6)
    assert correlation.pairs == 6


def test_where_more_is_better_the_order_is_the_other():
    rows = (table_row("rwa", [0.9, 0.91, 0.92], "0.95"), table_row("gru", [0.5, 0.51, 0.52], "0.6"))
    correlation = rank_correlation([comparison_table(*rows, of="test/accuracy")])
    assert correlation is not None
    assert correlation.value == 1


def test_at_the_papers_scale_figures_are_counted_too():
    agreeing = comparison_table(
        table_row("rwa", [99, 100, 101, 100], "100"),
        table_row("lstm", [], "> 10000", 4),
        table_row("rnn", [5, 6], None),
    )
    assert verdict([agreeing], full=True).startswith(
        "all 2 figures within a factor of 1.5; the same order (rank correlation 1.00"
    )
    # At the other scales numbers say nothing.
    assert verdict([agreeing], full=False).startswith("the same order")
    one_is_off = comparison_table(*agreeing.rows, table_row("gru", [900, 901, 902, 901], "200"))
    assert verdict([one_is_off], full=True).startswith("2 of 3 figures within a factor of 1.5, 1 apart; ")
    two_seeds = comparison_table(table_row("rwa", [100, 101], "100"), table_row("lstm", [], "> 10000", 2))
    assert verdict([two_seeds], full=True).startswith("too few seeds to say of any figure; too few seeds to say of the")


def test_the_first_measure_decides():
    loss = comparison_table(
        table_row("rwa", [0.9, 0.91, 0.92, 0.91], "0.1"),
        table_row("gru", [0.1, 0.11, 0.12, 0.11], "0.5"),
        of="test/loss",
    )
    assert verdict([ordered_table(*APART), loss], full=False).startswith("the same order")
    assert verdict([loss, ordered_table(*APART)], full=False).startswith("the opposite order")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "not run"),
        ([table_row("rwa", [], "100")], "not run"),
        ([table_row("rwa", [1, 2], None)], "nothing published to compare with"),
    ],
)
def test_where_there_is_nothing_to_say(lines, expected):
    assert verdict([comparison_table(*lines)], full=True) == expected
    assert verdict([comparison_table(*lines)], full=False) == expected


def test_one_row_has_no_order():
    lone = comparison_table(table_row("rwa", [1, 2, 3], "100"))
    assert verdict([lone], full=False) == "too little to compare"
    assert describe_order(lone) == ""


def test_the_order_in_a_sentence():
    assert describe_order(ordered_table(*APART)) == (
        "Of 3 pairs of architectures that the source tells apart, 3 come in its order (3 told apart here): rank "
        "correlation 1.00 [1.00, 1.00]."
    )
    turned = ordered_table([99, 100, 101, 98, 99], [9, 10, 11, 9, 10], [9, 10, 11, 9, 10])
    assert describe_order(turned) == (
        "Of 3 pairs of architectures that the source tells apart, 0 come in its order (0 told apart here), 2 in the "
        "other (2 told apart here), 1 is equal here: rank correlation -0.67 [-1.00, -0.33]. The other way round, told "
        "apart: gru before rwa and lstm before rwa."
    )


def test_only_the_pairs_of_the_source_count_for_the_correction():
    """Five seeds each: p is 2 of 252, below 5 % for the source's one pair, and not for the ten of all rows."""
    table = comparison_table(
        table_row("rwa", [9, 10, 11, 9, 10], "100"),
        table_row("lstm", [99, 100, 101, 98, 99], "200"),
        *(table_row(name, [40, 41, 42, 43, 44], None) for name in ("gru", "rda", "rnn")),
    )
    assert [pair.told_apart for pair in pairs_told_apart(table)] == [True]
    assert describe_order(table).startswith(
        "Of 1 pair of architectures that the source tells apart, 1 comes in its order"
    )


def test_too_few_seeds_to_tell_any_pair_apart_is_said():
    rows = [
        table_row(name, [place + number for number in range(4)], str(place))
        for name, place in (("rwa", 100), ("gru", 1000), ("lstm", 9000))
    ]
    # 2 of 70, three times.
    assert describe_order(comparison_table(*rows)).endswith(
        "So few seeds can tell no pair apart, however far apart they are."
    )
    assert not describe_order(comparison_table(*rows[:2])).endswith("however far apart they are.")


def test_over_other_lengths_no_order_is_compared():
    table = replace(ordered_table(*APART), same_task=False, source=PUBLISHED[0])
    assert verdict([table], full=False) == "other sequences than the source's: no order is compared"
    assert list(pairs_told_apart(table)) == []
    assert rank_correlation([table]) is None
    assert describe_order(table) == (
        "The source's figures are of other sequences than those here, so that no order is compared."
    )
