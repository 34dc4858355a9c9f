"""Answer of a task's chapter in words, for runs with known results."""

from pathlib import Path

import pytest

from analysis.formatting import MULTIPLICATION_SIGN
from analysis.grouping import build_sections
from analysis.report.summary import (
    best_rows,
    describe_diverged,
    describe_first_solved,
    describe_trivial,
    headline,
    settle,
    summary,
)
from tests.analysis.report_runs import compared_section, experiment, write_run
from workbench.results import finished_runs


def test_the_best_with_the_magnitude(tmp_path: Path) -> None:
    section = compared_section(
        tmp_path,
        {
            "lstm": [0.10, 0.11, 0.12, 0.13],
            "rwa": [0.0010, 0.0011, 0.0012, 0.0013],
            "gru": [0.2, 0.2, 0.2, 0.2],
        },
    )
    # Geometric means. s = 0.1128 of the logs, t(0.975; 3) = 3.182: the interval is 1.197 times the mean, and a 1.197th.
    assert headline(section) == (
        f"rwa learns it best: test loss 0.00114 [9.56 {MULTIPLICATION_SIGN} 10⁻⁴, 0.00137], 150 times below the best "
        "answer without memory. "
        "The next, lstm's, is 100 times as high [82.3, 122]; p < 0.001 against each of the others."
    )
    assert [row.label for row in best_rows(section)] == ["rwa"]
    assert settle(section) is None


def test_what_is_not_told_apart_and_what_would_settle_it(tmp_path: Path) -> None:
    section = compared_section(
        tmp_path,
        {"lstm": [0.010, 0.012, 0.015, 0.02], "rwa": [0.009, 0.012, 0.014, 0.017], "gru": [0.2, 0.21, 0.2, 0.21]},
    )
    text = headline(section)
    assert text.startswith("rwa has the lowest test loss, 0.0127 [")
    assert "but is not told apart from lstm, whose loss is 8.8 % higher [-34 %, 78 %], p = 0.69" in text
    assert text.endswith("1 row is clearly behind.")
    settlement = settle(section)
    assert settlement is not None
    assert settlement.seeds is not None
    assert settlement.seeds > 100
    assert f"--seeds {settlement.seeds} --out ." in settlement.command


def test_few_seeds_are_indicative(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.11], "rwa": [0.010, 0.011], "gru": [0.009, 0.2]})
    assert headline(section) == (
        "Indicative only (2 seeds): rwa has the lowest test loss, 0.0105, 16 times below the best answer without "
        "memory; the next, gru's, is 4.0 times as high, and every seed of rwa beats every seed of 1 of the other 2."
    )
    settlement = settle(section)
    assert settlement is not None
    assert (settlement.seeds or 0) >= 5


def test_one_seed(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.2], "rwa": [0.011]})
    assert headline(section) == (
        "Indicative only (1 seed): rwa has the lowest test loss, 0.0110, 15 times below the best answer without "
        "memory; the next, lstm's, is 18 times as high."
    )
    assert describe_trivial(section) == "Not clearly below the 0.167 of the best answer without memory: lstm."
    settlement = settle(section)
    assert settlement is not None
    assert settlement.sentence.startswith("5 seeds would show whether rwa and lstm differ")


def test_nothing_learned_has_no_ranking(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.166, 0.167], "rwa": [0.1661, 0.169]})
    assert headline(section) == (
        "Nothing learned yet: no row's test loss is clearly below 0.167, that of the best answer without memory; the "
        "lowest is lstm's, 0.166."
    )
    assert settle(section) is None
    assert best_rows(section) == []


def test_an_exact_tie(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {name: [0.01] * 4 for name in ("lstm", "rwa")} | {"gru": [0.1] * 4})
    assert headline(section) == (
        "lstm and rwa tie: each has a test loss of 0.0100, 17 times below the best answer without memory."
    )


def test_a_loss_of_zero_has_no_absurd_factor(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.0] * 4, "rwa": [0.01, 0.011, 0.012, 0.01]})
    assert headline(section).startswith(
        "lstm learns it best: test loss 0.00. The next, rwa's, is more than 1,000,000 times as high; p < 0.001"
    )


def test_one_row(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.1, 0.1]})
    assert headline(section) == (
        "lstm is the only row, with a test loss of 0.100, 1.7 times below the best answer without memory."
    )


def test_runs_that_end_at_a_goal_are_compared_by_their_steps(tmp_path: Path) -> None:
    for architecture, step in {"lstm": 700, "rwa": 300}.items():
        run = experiment(architecture, until="solved")
        write_run(tmp_path, run, solved_at=step - 50, solved_at_mean50=step, loss=0.0009)
    (section,) = build_sections(finished_runs(tmp_path))
    assert headline(section) == (
        "Indicative only (1 seed): First to solve it (loss < 0.001, mean of 50 batches): rwa (1 of 1 seed), at step "
        "300, one seed."
    )
    assert settle(section) is None


def test_below_the_baseline_by_the_mean_alone_does_not_count(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.15, 0.20], "rwa": [0.010, 0.011, 0.012]})
    assert describe_trivial(section) == "Not clearly below the 0.167 of the best answer without memory: lstm."


def test_diverged_seeds_are_told_and_counted(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [0.10, 0.11, None], "rwa": [None, None, None]})
    assert describe_diverged(section) == "Diverged, and counted at a loss of 0.167: lstm 1 of 3, rwa 3 of 3."
    assert "lstm has the lowest test loss, 0.122" in headline(section)


def test_all_diverged(tmp_path: Path) -> None:
    section = compared_section(tmp_path, {"lstm": [None], "rwa": [None]})
    assert summary(section) == (
        "No row has a test loss: every run diverged.",
        "No row solved it (loss < 0.001, mean of 50 batches).",
        "Diverged: lstm 1 of 1, rwa 1 of 1.",
    )


def test_first_to_solve_it_is_told_by_the_median_over_all_seeds(tmp_path: Path) -> None:
    solved: dict[str, list[int | None]] = {
        "lstm": [100, None, None],
        "rwa": [500, 300, None],
        "gru": [1000, 700, 900],
        "rnn": [None, None, None],
    }
    for architecture, steps in solved.items():
        for seed, step in enumerate(steps):
            # Each has had a lucky batch before, which does not count.
            write_run(tmp_path, experiment(architecture, seed=seed), solved_at=1, solved_at_mean50=step)
    (section,) = build_sections(finished_runs(tmp_path))
    # Each lstm that failed counts as later than 2000; of rwa's, 500 stands in the middle.
    assert describe_first_solved(section) == (
        "First to solve it (loss < 0.001, mean of 50 batches): rwa (2 of 3 seeds), at step 500, median over all seeds. "
        "No seed of rnn solved it."
    )


def test_solved_by_few_seeds_only(tmp_path: Path) -> None:
    for seed, step in enumerate([100, None, None]):
        write_run(tmp_path, experiment("lstm", seed=seed), solved_at_mean50=step)
    (section,) = build_sections(finished_runs(tmp_path))
    assert describe_first_solved(section) == (
        "No row solved it (loss < 0.001) with more than half of its seeds; lstm (1 of 3 seeds) did with some."
    )


def test_no_criterion_no_sentence(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), criterion=None)
    (section,) = build_sections(finished_runs(tmp_path))
    assert describe_first_solved(section) == ""


def test_the_time_of_the_missing_seeds(tmp_path: Path) -> None:
    for architecture in ("lstm", "rwa"):
        for seed in range(2):
            run = experiment(architecture, seed=seed)
            write_run(tmp_path, run, loss=0.01 + 0.001 * seed, timing={"seconds": 120.0, "seconds_per_step": 0.1})
    (section,) = build_sections(finished_runs(tmp_path))
    settlement = settle(section)
    assert settlement is not None
    # Three more seeds of two architectures, two minutes each.
    assert settlement.seeds == 5
    assert settlement.minutes == pytest.approx(12.0)
    assert "about 12 minutes of training" in settlement.sentence
