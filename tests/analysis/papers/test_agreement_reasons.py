"""Reasons of disagreements: sentences on the runs of the rows that disagree, and of no others."""

from dataclasses import replace

import pytest

from analysis.papers.agreement import describe_ending, describe_row, disagreement_reasons
from tests.analysis.papers.known_tables import comparison_table, example_preset, table_row
from tests.analysis.report_runs import experiment, write_run
from workbench.results import read_run


def write_and_read_run(out, seed=0, **values):
    return read_run(write_run(out, experiment(seed=seed, log_every=100), **values))


def with_runs(row, runs):
    return replace(row, runs=tuple(runs))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        # Its last fifth is steps 800 to 1000: from 0.4 to 0.1.
        (
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.4, 0.2, 0.1],
            "had its lowest validation loss, 0.100, at step 1,000, and its last fifth took the loss to 0.250 times",
        ),
        # At rest, and worse than it had been.
        (
            [0.9, 0.05, 0.7, 0.6, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4],
            "had its lowest validation loss, 0.0500, at step 200, and its last fifth took the loss to 1.00 times",
        ),
        # The last fifth is a single row, which has no change.
        ([0.9, 0.8, 0.7], "had its lowest validation loss, 0.700, at step 300"),
        ([0.9, 0.8, 0.0, 0.0, 0.0, 0.0], "had its lowest validation loss, 0.00, at step 300"),
        ([0.9], "has no validation loss to follow"),
    ],
)
def test_how_far_a_run_came_and_whether_it_had_come_to_rest(losses, expected, tmp_path):
    sentence = describe_ending(write_and_read_run(tmp_path, seed=3, losses=losses))
    assert sentence.startswith(f"seed 3 {expected}")
    assert ("last fifth" in sentence) == ("last fifth" in expected)


def test_diverged_seeds_are_counted_and_the_others_told_of(tmp_path):
    runs = [
        write_and_read_run(tmp_path, seed=0, loss=None, diverged_at=7),
        write_and_read_run(tmp_path, seed=1, losses=[0.5, 0.4, 0.3]),
        write_and_read_run(tmp_path, seed=2, loss=None, diverged_at=9),
    ]
    row = table_row("gru", [1.0], "9", 3)
    assert describe_row(with_runs(table_row("gru", [1.0, 2.5], "9"), runs)) == "1 and 2.5 here; the source has one run."
    assert describe_row(with_runs(row, runs)) == (
        "2 seeds diverged; seed 1 had its lowest validation loss, 0.300, at step 300."
    )
    assert describe_row(with_runs(row, runs[:1])) == "1 seed diverged."


def first_words(sentences):
    return [sentence.partition(",")[0] for sentence in sentences]


@pytest.fixture
def runs(tmp_path):
    return [write_and_read_run(tmp_path, losses=[0.5, 0.4, 0.3])]


def test_at_the_papers_scale_a_figure_that_is_denied_is_reasoned_about(runs):
    table = comparison_table(
        with_runs(table_row("gru", [99, 100, 101, 100], "200"), runs),
        with_runs(table_row("rwa", [99, 100, 101], "100"), runs),
        with_runs(table_row("tcn", [99, 100, 101], None), runs),
        table_row("lstm", [], "> 10000"),
        variant="length 5",
    )
    sentences = list(disagreement_reasons(example_preset(), "full", [table]))
    assert first_words(sentences) == ["gru"]
    assert sentences[0].startswith(
        "gru, steps until loss < 0.001 on a training batch (length 5): 99, 100, 101 and 100 here; "
    )
    # Numbers of the small scale are not the paper's.
    assert list(disagreement_reasons(example_preset(), "small", [table])) == []


def test_of_two_that_are_turned_and_told_apart_both_are_told_of(runs):
    rows = [
        table_row("gru", [9, 10, 11, 9, 10], "200"),
        table_row("rwa", [99, 100, 101, 98, 99], "100"),
        table_row("tcn", [500, 501], "500"),
    ]
    turned = comparison_table(*(with_runs(row, runs) for row in rows))
    assert first_words(disagreement_reasons(example_preset(), "small", [turned])) == ["gru", "rwa"]
    within = comparison_table(
        *(with_runs(row, runs) for row in (table_row("gru", [9, 10, 11], "200"), table_row("rwa", [10, 11, 12], "100")))
    )
    assert first_words(disagreement_reasons(example_preset(), "small", [within])) == []


def test_what_the_preset_has_found_comes_last_and_at_its_scale(runs):
    table = comparison_table(with_runs(table_row("gru", [99, 100, 101, 100], "200"), runs))
    preset = example_preset(found={"full": ("It was the clipping.",)})
    sentences = list(disagreement_reasons(preset, "full", [table]))
    assert (first_words(sentences)[0], sentences[-1], len(sentences)) == ("gru", "It was the clipping.", 2)
    assert list(disagreement_reasons(preset, "small", [table])) == []
