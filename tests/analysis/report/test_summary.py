"""Opening sentences of a task's chapter, for runs with known results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.grouping import Section, build_sections
from analysis.report.summary import (
    best_rows,
    describe_diverged,
    describe_first_solved,
    describe_trivial,
    describe_winner,
    summary,
)
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def compared_section(out: Path, losses: Mapping[str, Sequence[float | None]]) -> Section:
    """Returns a section with a test loss for each seed; `None` is a diverged run."""
    for architecture, values in losses.items():
        for seed, loss in enumerate(values):
            write_run(out, experiment(architecture, seed=seed), loss=loss)
    (section,) = build_sections(finished_runs(out))
    return section


def test_a_winner(tmp_path: Path) -> None:
    section = compared_section(
        tmp_path, {"lstm": [0.10, 0.11, 0.12], "rwa": [0.010, 0.011, 0.012], "gru": [0.2, 0.2, 0.2]}
    )
    # 0.001 * 4.3027 / sqrt(3) and ten times that.
    assert describe_winner(section) == (
        "rwa has the lowest mean test loss, 0.0110 ± 0.0025; its interval lies below all others, the next of which is "
        "lstm's, 0.110 ± 0.025."
    )
    assert [row.label for row in best_rows(section)] == ["rwa"]


def test_no_winner_where_two_overlap(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.11, 0.12], "rwa": [0.09, 0.11, 0.12]})
    assert describe_winner(section).endswith("but no winner: the intervals of rwa and lstm overlap.")


def test_no_winner_where_one_further_down_overlaps(tmp_path: Path) -> None:
    section = compared_section(
        tmp_path, {"rwa": [0.010, 0.010, 0.010], "lstm": [0.020, 0.020, 0.020], "gru": [0.001, 0.05, 0.2]}
    )
    assert describe_winner(section).endswith("but no winner: the intervals of rwa and gru overlap.")


def test_no_winner_where_several_overlap(tmp_path: Path) -> None:
    section = compared_section(
        tmp_path, {name: [0.10, 0.11 + 0.001 * len(name), 0.12] for name in ("tcn", "rwa", "rnn")}
    )
    assert describe_winner(section).endswith("but no winner: the intervals of rwa and tcn overlap that of rnn.")


def test_one_seed_has_no_winner(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.2], "rwa": [0.011]})
    assert describe_winner(section) == (
        "rwa has the lowest test loss, 0.0110; with one seed no interval can be given, so no winner."
    )
    assert describe_trivial(section) == "1 of 2 rows lies below the trivial baseline of 0.167, by one seed each."
    assert best_rows(section) == []


def test_a_row_of_one_seed_among_others(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10], "rwa": [0.010, 0.011, 0.012]})
    assert describe_winner(section).endswith("but no winner: no interval can be given for lstm, with one seed each.")
    assert describe_trivial(section) == (
        "1 of 2 rows beats the trivial baseline of 0.167, mean and upper end of the interval below it; 1 more lies "
        "below it by one seed."
    )


def test_below_the_baseline_by_the_mean_alone_does_not_count(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.15, 0.20], "rwa": [0.010, 0.011, 0.012]})
    assert describe_trivial(section).startswith("1 of 2 rows beats the trivial baseline of 0.167")


def test_diverged_seeds_are_told(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.11, None], "rwa": [None, None, None]})
    assert describe_diverged(section) == "Diverged, and so left out of the means: lstm 1 of 3, rwa 3 of 3."
    assert describe_winner(section).startswith("lstm is the only row with a test loss, 0.105 ± 0.064")


def test_all_diverged(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [None], "rwa": [None]})
    assert summary(section) == (
        "No row has a test loss: every run diverged.",
        "No row solved it (loss < 0.001).",
        "Diverged, and so left out of the means: lstm 1 of 1, rwa 1 of 1.",
    )


def test_first_to_solve_it_is_told_by_the_median_over_all_seeds(tmp_path: Path) -> None:
    solved: dict[str, list[int | None]] = {
        "lstm": [100, None, None],
        "rwa": [500, 300, None],
        "gru": [1000, 700, 900],
    }
    for architecture, steps in solved.items():
        for seed, step in enumerate(steps):
            write_run(tmp_path, experiment(architecture, seed=seed), solved_at=step)
    (section,) = build_sections(finished_runs(tmp_path))
    # Each lstm that failed counts as later than 2000; of rwa's, 500 stands in the middle.
    assert describe_first_solved(section) == (
        "First to solve it (loss < 0.001): rwa (2 of 3 seeds), at step 500, median over all seeds."
    )


def test_solved_by_few_seeds_only(tmp_path: Path) -> None:
    for seed, step in enumerate([100, None, None]):
        write_run(tmp_path, experiment("lstm", seed=seed), solved_at=step)
    (section,) = build_sections(finished_runs(tmp_path))
    assert describe_first_solved(section) == (
        "No row solved it (loss < 0.001) with more than half of its seeds; lstm (1 of 3 seeds) did with some."
    )


def test_no_criterion_no_sentence(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), criterion=None)
    (section,) = build_sections(finished_runs(tmp_path))
    assert describe_first_solved(section) == ""
