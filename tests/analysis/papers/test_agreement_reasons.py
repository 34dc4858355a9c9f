"""Where ours and theirs disagree, the runs themselves are told of, and no others."""

from dataclasses import replace

import pytest

from analysis.papers.agreement import describe_ending, describe_row, reasons
from tests.analysis.papers.known_tables import line, preset, table
from tests.analysis.report_runs import experiment, write_run
from workbench.results import read


def run_with(out, seed=0, **known):
    return read(write_run(out, experiment(seed=seed, log_every=100), **known))


def lasted(mine, runs):
    return replace(mine, runs=tuple(runs))


@pytest.mark.parametrize(
    ("losses", "said"),
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
        # The last fifth is one row: there is no way that it went.
        ([0.9, 0.8, 0.7], "had its lowest validation loss, 0.700, at step 300"),
        ([0.9, 0.8, 0.0, 0.0, 0.0, 0.0], "had its lowest validation loss, 0.00, at step 300"),
        ([0.9], "has no validation loss to follow"),
    ],
)
def test_how_far_a_run_came_and_whether_it_had_come_to_rest(losses, said, tmp_path):
    shown = describe_ending(run_with(tmp_path, seed=3, losses=losses))
    assert shown.startswith(f"seed 3 {said}")
    assert ("last fifth" in shown) == ("last fifth" in said)


def test_diverged_seeds_are_counted_and_the_others_told_of(tmp_path):
    runs = [
        run_with(tmp_path, seed=0, loss=None, diverged_at=7),
        run_with(tmp_path, seed=1, losses=[0.5, 0.4, 0.3]),
        run_with(tmp_path, seed=2, loss=None, diverged_at=9),
    ]
    mine = line("gru", [1.0], "9", 3)
    assert describe_row(lasted(line("gru", [1.0, 2.5], "9"), runs)) == "1 and 2.5 here; the source has one run."
    assert describe_row(lasted(mine, runs)) == (
        "2 seeds diverged; seed 1 had its lowest validation loss, 0.300, at step 300."
    )
    assert describe_row(lasted(mine, runs[:1])) == "1 seed diverged."


def names(found):
    return [said.partition(",")[0] for said in found]


@pytest.fixture
def runs(tmp_path):
    return [run_with(tmp_path, losses=[0.5, 0.4, 0.3])]


def test_at_the_papers_scale_a_figure_that_is_denied_is_reasoned_about(runs):
    made = table(
        lasted(line("gru", [99, 100, 101], "200"), runs),
        lasted(line("rwa", [99, 100, 101], "100"), runs),
        lasted(line("tcn", [99, 100, 101], None), runs),
        line("lstm", [], "> 10000"),
        variant="length 5",
    )
    found = list(reasons(preset(), "full", [made]))
    assert names(found) == ["gru"]
    assert found[0].startswith("gru, steps until loss < 0.001 on a training batch (length 5): 99, 100 and 101 here; ")
    # Numbers of the small scale are not the paper's.
    assert list(reasons(preset(), "small", [made])) == []


def test_of_two_that_are_turned_beyond_the_intervals_both_are_told_of(runs):
    lines = [line("gru", [9, 10, 11], "200"), line("rwa", [99, 100, 101], "100"), line("tcn", [500, 501], "500")]
    turned = table(*(lasted(each, runs) for each in lines))
    assert names(reasons(preset(), "small", [turned])) == ["gru", "rwa"]
    within = table(
        *(lasted(each, runs) for each in (line("gru", [9, 10, 11], "200"), line("rwa", [10, 11, 12], "100")))
    )
    assert names(reasons(preset(), "small", [within])) == []


def test_what_the_preset_has_found_comes_last_and_at_its_scale(runs):
    made = table(lasted(line("gru", [99, 100, 101], "200"), runs))
    known = preset(found={"full": ("It was the clipping.",)})
    found = list(reasons(known, "full", [made]))
    assert (names(found)[0], found[-1], len(found)) == ("gru", "It was the clipping.", 2)
    assert list(reasons(known, "small", [made])) == []
