"""Ranks, gains and the sentences on them, for runs with known losses."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, sqrt
from pathlib import Path

import pytest
from scipy import stats

from analysis.report.tuning.chapter import summary
from analysis.report.tuning.rank_changes import (
    Rankings,
    certain_gains,
    format_rank,
    is_certain_swap,
    rank_changes,
    swapped_ranks,
)
from analysis.report.tuning.tables import tuning_table
from analysis.report.tuning.tuned_tasks import tuned_tasks
from analysis.report.tuning.tuned_vs_default import caption
from tests.analysis.tuning_studies import (
    FACTORS,
    SWEEP,
    read_results,
    searched_study,
    write_sweep,
    write_tuned_runs,
)

SPREAD = sqrt(2 * (log(1.04) ** 2 + log(1.01) ** 2) / 3)
"""Standard deviation of the logarithms of `FACTORS`, n - 1 in the denominator."""


def read_rankings(out: Path) -> Rankings:
    rankings = rank_changes(read_results(out)[1])
    assert rankings is not None
    return rankings


def read_summary(out: Path) -> str:
    return " ".join(summary(read_results(out)[1]))


def read_cells(out: Path, name: str) -> list[str]:
    table = tuning_table(read_results(out)[1])
    return next([cell.text for cell in row[1:7]] for row in table.rows if row[0].text == name)


def certain_swaps(rankings: Rankings) -> dict[tuple[str, str], bool]:
    return {
        (one.architecture.name, other.architecture.name): is_certain_swap(rankings, (one, other))
        for one, other in swapped_ranks(rankings.changes)
    }


def write_pair(out: Path, lstm: Sequence[float | None], gru: Sequence[float | None]) -> None:
    """Writes two studies, with the losses of two defaults; both winners have a loss of 0.01."""
    for name, default in (("lstm", lstm), ("gru", gru)):
        write_tuned_runs(out, searched_study(name, 0.01), default, [0.01 * factor for factor in FACTORS])


def test_ranks_and_gains(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    rankings = read_rankings(tmp_path)
    changes = {change.architecture.name: change for change in rankings.changes}
    assert {name: (change.before, change.after, change.places_gained) for name, change in changes.items()} == {
        "lstm": (3, 2, 1),
        "gru": (1, 3, -2),
        "rda": (2, 1, 1),
    }
    # All six rows spread alike, so that their variances are pooled, with 6 (4 - 1) degrees of freedom.
    error = SPREAD * sqrt(2 / 4)
    half = stats.t.ppf(0.975, 18) * error
    for name, (default, tuned) in SWEEP.items():
        gain = changes[name].gain
        ratio = log(default / tuned)
        assert gain.size == pytest.approx(default / tuned)
        assert (gain.low, gain.high) == pytest.approx((exp(ratio - half), exp(ratio + half)))
        assert gain.p == pytest.approx(2 * stats.t.sf(ratio / error, 18))
    assert {name: change.is_certain for name, change in changes.items()} == {"lstm": True, "gru": False, "rda": True}
    assert certain_swaps(rankings) == {("gru", "lstm"): True, ("gru", "rda"): True}


def test_the_summary_says_so(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    text = read_summary(tmp_path)
    assert text.startswith(
        "Tuning changes the order of the architectures by mean test loss: rda gains 1 place (2 to 1), lstm gains 1 "
        "place (3 to 2) and gru loses 2 places (1 to 3). 2 of the 2 pairs that swap places are told apart both before "
        "and after: lstm passes gru and rda passes gru. rda gains most: its test loss falls by a factor of "
        "90.9 [86.6, 95.5], from 0.100 [0.0949, 0.105] to 0.00110 [0.00104, 0.00116], p < 0.001; 3 of 3 have a lower "
        "mean loss than untuned, 2 of them told apart from it. Among the tuned: rda, tuned learns it best"
    )
    assert text.endswith("Of 72 finished trials 12 were pruned and 6 diverged.")


def test_three_seeds_are_indicative(tmp_path: Path) -> None:
    write_sweep(tmp_path, factors=(1 / 1.01, 1.0, 1.01))
    rankings = read_rankings(tmp_path)
    assert not any(certain_swaps(rankings).values())
    assert not any(change.is_certain for change in rankings.changes)
    text = read_summary(tmp_path)
    assert "gru loses 2 places (1 to 3). With 3 seeds, the order is indicative only. rda gains most: its test" in text
    assert (
        "by a factor of 90.9, from 0.100 to 0.00110, with 3 seeds an indication only; 3 of 3 have a lower mean loss "
        "than untuned."
    ) in text
    assert read_cells(tmp_path, "lstm") == ["0.140", "0.0210", "6.67", "\u2013", "3", "2"]


def test_unchanged_order_with_one_seed(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.12], [0.14])
    write_tuned_runs(tmp_path, searched_study("gru", 0.01), [0.1], None)
    text = read_summary(tmp_path)
    assert text.startswith(
        "Tuning does not change the order of the 2 architectures by mean test loss: gru, lstm. With 1 seed, the order "
        "is indicative only. No architecture gains: on fresh seeds, no winner has a lower mean test loss than its "
        "default."
    )
    # The default of gru is its winner, too: nothing was gained, and nothing is left to test.
    assert read_cells(tmp_path, "gru") == ["0.100", "0.100", "1.00", "\u2013", "1", "1"]


def test_a_swap_that_is_not_told_apart(tmp_path: Path) -> None:
    wide = (0.5, 0.9, 1 / 0.9, 2.0)
    write_sweep(tmp_path, {"lstm": (0.050, 0.041), "gru": (0.0512, 0.040)}, wide)
    write_tuned_runs(tmp_path, searched_study("rda", 0.01), [0.15] * 4, [])
    text = read_summary(tmp_path)
    assert "Of the one pair that swaps places, none is told apart both before and after." in text
    # The largest ratio is 0.0512 / 0.040 = 1.28; of four rows of one spread, 12 degrees of freedom.
    spread = sqrt(2 * (log(2) ** 2 + log(0.9) ** 2) / 3)
    p = 2 * stats.t.sf(log(1.28) / (spread * sqrt(2 / 4)), 12)
    assert "gru gains most: its test loss falls by a factor of 1.28 [" in text
    assert f", but the two are not told apart, p = {p:.2g}; 2 of 2 have a lower mean loss than untuned, 0" in text
    assert "Not ranked, since runs of the winner or of the default are missing: rda." in text
    assert "overlap" not in text
    assert read_cells(tmp_path, "rda") == ["0.150", *["\u2013"] * 5]
    assert read_cells(tmp_path, "gru")[4:] == ["2 a", "1 a"]


def test_a_swap_is_certain_only_if_it_is_before_and_after(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"lstm": (0.100, 0.050), "gru": (0.101, 0.010), "rda": (0.001, 0.051)})
    assert certain_swaps(read_rankings(tmp_path)) == {
        ("lstm", "gru"): False,
        ("rda", "lstm"): False,
        ("rda", "gru"): True,
    }


def test_diverged_seeds_count_as_the_worst_loss(tmp_path: Path) -> None:
    write_pair(tmp_path, [0.02, 0.02, 0.02, None], [0.03, 0.03, 0.03, 0.03])
    rankings = read_rankings(tmp_path)
    assert [(change.architecture.name, change.before) for change in rankings.changes] == [("lstm", 2), ("gru", 1)]
    # Counted at the trivial loss of 1/6, larger than any other.
    assert rankings.changes[0].default.center == pytest.approx((0.02**3 / 6) ** (1 / 4))
    text = read_summary(tmp_path)
    assert "Diverged, and counted at a loss of 0.167: lstm, default 1 of 4." in text
    assert "Crosses are diverged seeds, at the loss that they are counted at." in caption(read_results(tmp_path)[1])


def test_nothing_to_rank_if_all_defaults_diverged(tmp_path: Path) -> None:
    write_pair(tmp_path, [None], [None])
    task = read_results(tmp_path)[1]
    assert rank_changes(task) is None
    assert summary(task)[0] == (
        "Every run of the defaults, or every run of the winners, diverged, so that the two cannot be compared."
    )


def test_defaults_that_learn_nothing_have_no_order(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"lstm": (0.166, 0.02), "gru": (0.17, 0.001)})
    text = read_summary(tmp_path)
    assert text.startswith(
        "No default's test loss is clearly below the 0.167 of the best answer without memory, so there is no order to "
        "change. Tuned, the order by mean test loss is: gru, lstm. gru gains most"
    )
    assert read_cells(tmp_path, "gru")[4:] == ["\u2013", "1 a"]


def test_nothing_is_gained_where_nothing_is_learned(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"lstm": (0.3, 0.2), "gru": (0.2, 0.19)})
    text = read_summary(tmp_path)
    assert text.startswith("No row's test loss is clearly below the 0.167 of the best answer without memory")
    assert "gains" not in text


def test_negative_losses_have_differences(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"lstm": (-1.0, -2.0), "gru": (-1.5, -1.75)})
    table = tuning_table(read_results(tmp_path)[1])
    assert [column.heading for column in table.columns[1:4]] == ["default", "tuned", "default\n\u2212 tuned"]
    # Arithmetic means, so that the difference is that of the means of `FACTORS`, and lstm gains most.
    gain = sum(FACTORS) / 4
    assert read_rankings(tmp_path).changes[0].gain.size == pytest.approx(gain)
    assert f"lstm gains most: its test loss falls by {gain:.2f} [" in read_summary(tmp_path)


def test_equal_means_share_a_place(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.05, 0.05], [0.01, 0.01])
    write_tuned_runs(tmp_path, searched_study("gru", 0.01), [0.05, 0.05], [0.02, 0.02])
    changes = read_rankings(tmp_path).changes
    assert [(change.before, change.after) for change in changes] == [(1, 1), (1, 2)]
    assert swapped_ranks(changes) == []


def test_two_studies_with_the_same_default_both_have_a_rank(tmp_path: Path) -> None:
    written, *_ = write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.05], [0.01])
    write_tuned_runs(tmp_path, searched_study("gru", 0.01), [0.06], [0.02])
    again = replace(written, name="again/addition/lstm", winner_identity=written.default_identity)
    section, _ = read_results(tmp_path)
    studies = [*section.studies, again]
    (task,) = tuned_tasks(studies, [replace(section, studies=tuple(studies))])
    rankings = rank_changes(task)
    assert rankings is not None
    assert {change.architecture.name: (change.before, change.after) for change in rankings.changes} == {
        "addition/lstm": (1, 1),
        "again/addition/lstm": (1, 3),
        "gru": (3, 2),
    }


def test_gains_are_corrected_together() -> None:
    assert certain_gains({0: 0.02, 1: 0.03, 2: 0.5}) == set()
    assert certain_gains({0: 0.03, 1: 0.01, 2: 0.5}) == {1}
    assert certain_gains({0: 0.01, 1: 0.02, 2: 0.04}) == {0, 1, 2}


def test_ranks_have_letters(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"lstm": (0.0500, 0.01), "gru": (0.0501, 0.02), "rda": (0.1, 0.03)})
    rankings = read_rankings(tmp_path)
    assert [format_rank(change.before, change.default, rankings.before) for change in rankings.changes] == [
        "1 a",
        "2 a",
        "3 b",
    ]
