"""Order of our results beside the source's, against cases worked out by hand."""

from dataclasses import replace

import pytest

from analysis.papers.agreement import compare_published, compare_results, describe_order, pairs_told_apart, verdict
from analysis.published_figures import PublishedFigure
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


@pytest.mark.parametrize(
    ("one", "other", "ahead", "sure"),
    [
        # 10 ± 2.48 and 20 ± 2.48.
        (our_result([9, 10, 11]), our_result([19, 20, 21]), 10.0, True),
        (our_result([19, 20, 21]), our_result([9, 10, 11]), -10.0, True),
        # 10 ± 2.48 and 14 ± 2.48 have 12 in common.
        (our_result([9, 10, 11]), our_result([13, 14, 15]), 4.0, False),
        (our_result([9, 10, 11]), our_result([9, 10, 11]), 0.0, False),
        (our_result([10]), our_result([20]), 10.0, False),
        (our_result([9, 10, 11]), our_result([20]), 10.0, False),
        (our_result([9, 10, 11]), our_result([], 3), 1.0, True),
        (our_result([], 3), our_result([9, 10, 11]), -1.0, True),
        (our_result([9, 10]), our_result([], 2), 1.0, True),
        (our_result([10]), our_result([], 3), 1.0, False),
        (our_result([9, 10, 11]), our_result([], 1), 1.0, False),
        # One that got there, however soon, is not beyond those that always do.
        (our_result([900, 1000, 1100]), our_result([1, 2], 3), 1.0, False),
        (our_result([1, 2], 3), our_result([900, 1000, 1100]), -1.0, False),
        (our_result([1], 4), our_result([2, 3], 4), -0.25, False),
        (our_result([5, 6], 4), our_result([2], 4), 0.25, False),
        (our_result([], 3), our_result([], 3), 0.0, False),
    ],
)
def test_which_of_two_is_ahead_and_whether_that_is_beyond_the_intervals(one, other, ahead, sure):
    order, beyond = compare_results(one, other, comparison_table())
    assert order == pytest.approx(ahead)
    assert beyond == sure


def test_where_more_is_better_the_order_is_the_other():
    ahead, beyond = compare_results(
        our_result([0.9, 0.91, 0.92]), our_result([0.5, 0.51, 0.52]), comparison_table(of="test/accuracy")
    )
    assert ahead == pytest.approx(0.4)
    assert beyond


def test_pairs_are_those_that_the_source_tells_apart_and_that_are_run():
    table = comparison_table(
        table_row("gru", [20, 21, 22], "100"),
        table_row("lstm", [10, 11, 12], "> 10000"),
        table_row("rwa", [50, 51, 52], "100"),
        table_row("rnn", [1, 2, 3], None),
        table_row("tcn", [], "1"),
    )
    pairs = {(pair.better, pair.worse): (pair.ours, pair.beyond_intervals) for pair in pairs_told_apart(table)}
    assert pairs == {("gru", "lstm"): (-10.0, True), ("rwa", "lstm"): (-40.0, True)}


ORDERED = [("rwa", "100"), ("gru", "200"), ("lstm", "> 10000")]


def ordered_table(*values):
    """Returns three rows that the source has in this order, with our values."""
    return comparison_table(
        *(table_row(name, ours, figure, 3) for (name, figure), ours in zip(ORDERED, values, strict=True))
    )


APART = [[9, 10, 11], [99, 100, 101], []]
CLOSE = [[9, 10, 11], [10, 11, 12], []]
TURNED = [[99, 100, 101], [9, 10, 11], []]
SLIGHTLY_TURNED = [[10, 11, 12], [9, 10, 11], []]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (APART, "the same order (3 pairs)"),
        (CLOSE, "the same order, in part within the intervals (3 pairs)"),
        (TURNED, "another order (1 of 3 pairs)"),
        (SLIGHTLY_TURNED, "the same order as far as the intervals tell (3 pairs)"),
        ([[9, 10, 11], [9, 10, 11], []], "the same order as far as the intervals tell (3 pairs)"),
        # Nothing is told apart, whatever the means are.
        ([[9, 10, 11], [10, 11, 12], [11, 12, 13]], "no order beyond the intervals"),
        ([[11, 12, 13], [10, 11, 12], [12, 13, 14]], "no order beyond the intervals"),
        ([[12, 13, 14], [11, 12, 13], [10, 11, 12]], "no order beyond the intervals"),
        ([[], [], []], "no order beyond the intervals"),
    ],
)
def test_the_verdict_is_on_the_order(values, expected):
    assert verdict([ordered_table(*values)], full=False) == expected


def test_one_seed_each_tells_no_order():
    table = comparison_table(
        *(table_row(name, [value], figure) for (name, figure), value in zip(ORDERED, [1, 2, 3], strict=True))
    )
    assert verdict([table], full=False) == "no order beyond the intervals"
    assert verdict([table], full=True) == "no order beyond the intervals"


def test_one_pair_that_is_turned_decides_over_all_variants():
    assert verdict([ordered_table(*APART), ordered_table(*TURNED)], full=False) == "another order (1 of 6 pairs)"


def test_at_the_papers_scale_it_agrees_if_every_figure_does():
    agreeing = comparison_table(
        table_row("rwa", [99, 100, 101], "100"), table_row("lstm", [], "> 10000", 3), table_row("rnn", [5, 6], None)
    )
    assert verdict([agreeing], full=True) == "agrees: every figure within our intervals"
    other = comparison_table(table_row("rwa", [9, 10, 11], "100"), of="test/loss")
    expected = "agrees: every figure of its first measure within our intervals"
    assert verdict([agreeing, other], full=True) == expected
    # At the small scale numbers say nothing.
    assert verdict([agreeing], full=False) == "the same order (1 pair)"
    one_is_off = comparison_table(*agreeing.rows, table_row("gru", [299, 300, 301], "200"))
    assert verdict([one_is_off], full=True) == "the same order (3 pairs)"
    one_is_not_run = comparison_table(*agreeing.rows, table_row("gru", [], "200"))
    assert verdict([one_is_not_run], full=True) == "the same order (1 pair)"
    one_seed = comparison_table(table_row("rwa", [100], "100"), table_row("lstm", [], "> 10000", 1))
    assert verdict([one_seed], full=True) == "no order beyond the intervals"


def test_the_first_measure_decides():
    loss = comparison_table(
        table_row("rwa", [0.9, 0.91, 0.92], "0.1"), table_row("gru", [0.1, 0.11, 0.12], "0.5"), of="test/loss"
    )
    assert verdict([ordered_table(*APART), loss], full=False) == "the same order (3 pairs)"
    assert verdict([loss, ordered_table(*APART)], full=False) == "another order (1 of 1 pair)"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "not run"),
        ([table_row("rwa", [], "100")], "not run"),
        ([table_row("rwa", [1, 2], None)], "nothing published to compare with"),
        ([table_row("rwa", [1, 2], "100")], "too little to compare"),
        ([table_row("rwa", [1, 2], "100"), table_row("gru", [], "200")], "too little to compare"),
        ([table_row("rwa", [1, 2], "100"), table_row("gru", [5, 6], "100")], "too little to compare"),
    ],
)
def test_where_there_is_nothing_to_say(lines, expected):
    assert verdict([comparison_table(*lines)], full=True) == expected
    assert verdict([comparison_table(*lines)], full=False) == expected


def test_the_order_in_a_sentence():
    assert describe_order(comparison_table(table_row("rwa", [1, 2], "100"))) == ""
    # rwa < gru beyond, rwa < lstm and gru < lstm by what none of the seeds reached.
    assert describe_order(ordered_table(*APART)) == (
        "Of 3 pairs of architectures that the source tells apart, 3 come in its order (3 beyond the intervals)."
    )
    assert describe_order(ordered_table(*SLIGHTLY_TURNED)) == (
        "Of 3 pairs of architectures that the source tells apart, 2 come in its order (2 beyond the intervals), "
        "1 in the other (0 beyond the intervals)."
    )
    turned = ordered_table([99, 100, 101], [9, 10, 11], [9, 10, 11])
    assert describe_order(turned) == (
        "Of 3 pairs of architectures that the source tells apart, 0 come in its order (0 beyond the intervals), "
        "2 in the other (2 beyond the intervals), 1 cannot be told. "
        "The other way round beyond the intervals: gru before rwa and lstm before rwa."
    )


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


def test_rows_that_touch_are_not_apart():
    one, other = our_result([100, 100, 100]), our_result([200, 200, 200])
    assert compare_results(one, other, comparison_table())[1]
    assert not compare_results(replace(one, resolution=100.0), replace(other, resolution=100.0), comparison_table())[1]
