"""Comparison of a section's rows by their losses, for runs with known results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.comparison.losses import LossComparison, compare_losses
from tests.analysis.report_runs import TRIVIAL_LOSS, compared_section


def compare(out: Path, losses: Mapping[str, Sequence[float | None]]) -> LossComparison:
    """Returns the comparison of rows with a test loss for each seed; `None` is a diverged run."""
    comparison = compare_losses(compared_section(out, losses))
    assert comparison is not None
    return comparison


def test_a_row_that_is_told_from_each_other_is_the_best(tmp_path: Path) -> None:
    losses: dict[str, list[float | None]] = {
        "lstm": [0.010, 0.013, 0.009, 0.011],
        "gru": [0.010, 0.012, 0.011, 0.009],
        "rwa": [0.0010, 0.0012, 0.0009, 0.0011],
    }
    comparison = compare(tmp_path, losses)
    assert [standing.row.label for standing in comparison.standings] == ["rwa", "gru", "lstm"]
    assert comparison.best is comparison.standings[0]
    assert [standing.letters for standing in comparison.standings] == ["a", "b", "b"]
    assert [standing.rank for standing in comparison.standings] == [1, 2, 3]
    assert [standing.row.label for standing in comparison.leaders] == ["rwa"]
    # Three rows: each keeps its own variance, and the test is Welch's.
    first, second = (np.log(np.array(losses[name], dtype=float)) for name in ("rwa", "gru"))
    expected = stats.ttest_ind(second, first, equal_var=False)
    effect = comparison.effect(0, 1)
    assert effect.size == pytest.approx(np.exp(second.mean() - first.mean()))
    assert effect.p == pytest.approx(expected.pvalue)
    assert (effect.low, effect.high) == pytest.approx(tuple(np.exp(expected.confidence_interval(0.95))))


def test_a_better_mean_is_never_ranked_below_a_worse_one(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {"lstm": [0.001, 0.02, 0.1, 0.02], "rwa": [0.03, 0.031, 0.029, 0.03]})
    assert [standing.row.label for standing in comparison.standings] == ["lstm", "rwa"]
    assert comparison.best is None
    assert [standing.letters for standing in comparison.standings] == ["a", "a"]
    assert [standing.row.label for standing in comparison.leaders] == ["lstm", "rwa"]


def test_a_diverged_seed_counts_as_the_worst_loss(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {"lstm": [0.01, None], "rwa": [0.02, 0.02]})
    assert comparison.diverged_as == TRIVIAL_LOSS
    assert [standing.row.label for standing in comparison.standings] == ["rwa", "lstm"]
    assert comparison.standings[1].values == (0.01, TRIVIAL_LOSS)
    worse = compare(tmp_path / "worse", {"lstm": [0.01, None], "rwa": [0.02, 0.5]})
    assert worse.diverged_as == 0.5


def test_few_seeds_are_indicative(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {"lstm": [0.1, 0.1001, 0.1], "rwa": [0.01, 0.0101, 0.01]})
    assert comparison.indicative
    assert comparison.best is None
    assert [standing.letters for standing in comparison.standings] == ["", ""]


def test_what_no_row_has_learned_has_no_best(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {"lstm": [0.166, 0.1661, 0.166, 0.1661], "rwa": [0.163, 0.1631, 0.163, 0.1631]})
    assert not comparison.learned
    assert comparison.best is None
    assert comparison.leaders == ()


def test_equal_means_share_a_rank(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {name: [0.0, 0.0, 0.0, 0.0] for name in ("lstm", "rwa")} | {"gru": [0.1] * 4})
    assert [standing.rank for standing in comparison.standings] == [1, 1, 3]
    assert [standing.row.label for standing in comparison.tied] == ["lstm", "rwa"]
    assert [standing.letters for standing in comparison.standings] == ["a", "a", "b"]


def test_every_run_diverged(tmp_path: Path) -> None:
    assert compare_losses(compared_section(tmp_path, {"lstm": [None], "rwa": [None]})) is None


def test_negative_losses_are_compared_by_differences(tmp_path: Path) -> None:
    comparison = compare(tmp_path, {"lstm": [-1.0, -1.2], "rwa": [2.0, 2.2]})
    assert comparison.scale == "linear"
    assert comparison.effect(0, 1).size == pytest.approx(3.2)
