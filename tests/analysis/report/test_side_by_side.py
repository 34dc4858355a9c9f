"""Two folders side by side: numbers against SciPy's, pairs of configurations, and runs that do not repeat."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.report.changes import Effect, FolderChanges, compare_folders, loss_effect
from analysis.report.side_by_side import check_page, default_page, describe_unequal, text_tables, write_page
from tests.analysis.page import Page
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import Run, finished_runs

BEFORE, AFTER = [0.02, 0.05, 0.01], [0.01, 0.04, 0.006]


def write_losses(out: Path, losses: Sequence[float | None], *, first_seed: int = 0, **rest: Any) -> list[Run]:
    for seed, loss in enumerate(losses, start=first_seed):
        write_run(out, experiment(seed=seed, **rest), loss=loss, diverged_at=5 if loss is None else None)
    return list(finished_runs(out))


def effect(before: Sequence[Run], after: Sequence[Run]) -> Effect:
    found = loss_effect(before, after)
    assert found is not None
    return found


def test_the_same_seeds_are_paired(tmp_path: Path) -> None:
    found = effect(write_losses(tmp_path / "a", BEFORE), write_losses(tmp_path / "b", AFTER))
    test = stats.ttest_rel(np.log(AFTER), np.log(BEFORE))
    assert found.value == pytest.approx(stats.gmean(AFTER) / stats.gmean(BEFORE))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(test.confidence_interval(0.95))))


def test_other_seeds_are_not(tmp_path: Path) -> None:
    after = [*AFTER, 0.03]
    found = effect(write_losses(tmp_path / "a", BEFORE), write_losses(tmp_path / "b", [*after, None]))
    test = stats.ttest_ind(np.log(after), np.log(BEFORE), equal_var=False)
    assert found.value == pytest.approx(stats.gmean(after) / stats.gmean(BEFORE))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(test.confidence_interval(0.95))))


def test_a_negative_loss_makes_it_a_difference(tmp_path: Path) -> None:
    before, after = [-1.0, 0.5], [-1.5, 0.7]
    found = effect(write_losses(tmp_path / "a", before), write_losses(tmp_path / "b", after))
    test = stats.ttest_rel(after, before)
    assert (found.value, found.low, found.high) == pytest.approx((-0.15, *test.confidence_interval(0.95)))
    assert not found.is_clear


def test_one_seed_has_no_interval_and_a_diverged_one_no_loss(tmp_path: Path) -> None:
    runs = write_losses(tmp_path / "a", [0.1]), write_losses(tmp_path / "b", [0.2])
    found = effect(*runs)
    assert found.value == pytest.approx(2.0)
    assert (found.scale, found.low, found.high) == ("log", None, None)
    assert loss_effect(runs[0], write_losses(tmp_path / "c", [None])) is None


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: lstm in both, gru with another learning rate, rwa in one and rnn in the other, copy in one."""
    before, after = tmp_path / "before", tmp_path / "after & <b>"
    for out, losses in ((before, BEFORE), (after, AFTER)):
        for seed, loss in enumerate(losses):
            write_run(out, experiment("lstm", seed=seed), loss=loss, solved_at=10 if loss < 0.02 else None)
    # Of two configurations in the base, that is the counterpart which has fewer other settings.
    write_run(before, experiment("gru", learning_rate=0.01), loss=0.1)
    write_run(before, experiment("gru", learning_rate=0.02, hidden_size=10), loss=0.1)
    write_run(after, experiment("gru", learning_rate=0.03), loss=0.1, timing={"seconds_per_step": 0.5})
    write_run(before, experiment("rwa"))
    write_run(after, experiment("rnn"))
    write_run(after, experiment("my:<script>", task="copy"))
    return before, after


def test_what_belongs_together(folders: tuple[Path, Path]) -> None:
    found = compare_folders(*folders)
    assert [(change.before.row.label, change.after.row.label) for change in found.changes] == [
        ("lstm", "lstm"),
        ("gru (hidden_size=64, learning_rate=0.01)", "gru"),
    ]
    same, other = found.changes
    assert same.settings == ()
    assert [(setting.name, setting.before, setting.after) for setting in other.settings] == [
        ("optimization.learning_rate", 0.01, 0.03)
    ]
    missing = [[entry.row.label for entry in entries] for entries in (found.only_before, found.only_after)]
    assert missing == [["gru (hidden_size=10, learning_rate=0.02)", "rwa"], ["rnn", "my:<script>"]]


def test_runs_that_should_be_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare_folders(*folders)
    assert (found.num_repeated, len(found.unequal)) == (3, 3)
    differing = {setting.name for setting in found.unequal[0].differences}
    assert differing == {"test loss", "validation loss", "solved at"}
    # Another time is no other result.
    for out, seconds in ((tmp_path / "c", 1.0), (tmp_path / "d", 2.0)):
        write_run(out, experiment(), timing={"seconds": seconds, "torch": f"2.{seconds}"})
    again = compare_folders(tmp_path / "c", tmp_path / "d")
    assert (again.num_repeated, again.unequal) == (1, ())
    path = next((tmp_path / "d").rglob("result.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test": {"loss": math.nextafter(0.01, 1)}}))
    (unequal,) = compare_folders(tmp_path / "c", tmp_path / "d").unequal
    line = describe_unequal(unequal)
    assert line == (
        "addition, length=100, lstm, seed 0: test loss 0.01 → 0.010000000000000002 "
        "(trained with another torch 2.1.0 → 2.2.0)"
    )


def test_the_table_has_the_numbers_of_both(folders: tuple[Path, Path]) -> None:
    ((task, rows),) = text_tables(compare_folders(*folders))
    assert task == "addition, length=100"
    cells = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    low, high = np.exp(stats.ttest_rel(np.log(AFTER), np.log(BEFORE)).confidence_interval(0.95))
    ratio = stats.gmean(AFTER) / stats.gmean(BEFORE)
    assert cells[0] == {
        "architecture": "lstm",
        "seeds A": "3",
        "seeds B": "3",
        "loss A": f"{stats.gmean(BEFORE):.4f}",
        "loss B": f"{stats.gmean(AFTER):.4f}",
        "B / A": f"{ratio:.3f} [{low:.3f}, {high:.2f}]",
        "solved A": "1 of 3",
        "solved B": "2 of 3",
        "s a step A": "0.00500",
        "s a step B": "0.00500",
        "settings that changed": "none",
    }
    assert cells[1]["settings that changed"] == "learning_rate 0.01 → 0.03"
    assert (cells[1]["s a step A"], cells[1]["s a step B"]) == ("0.00500", "0.500")
    assert cells[1]["B / A"] == "1.00"


def test_the_page_stands_alone_and_shows_names_as_text(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", *folders, compare_folders(*folders))
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(source)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "my:<script>" in page.text
    assert "What changed from before to after & <b>" in page.text
    assert not [value for _, name, value in page.attributes if name in ("src", "href") and value != "data:,"]
    assert "url(" not in source
    assert "@import" not in source


def test_the_same_losses_are_called_the_same(tmp_path: Path) -> None:
    for out in ("a", "b"):
        write_losses(tmp_path / out, BEFORE)
    found: FolderChanges = compare_folders(tmp_path / "a", tmp_path / "b")
    assert text_tables(found)[0][1][1][5] == "same"


def test_no_page_replaces_anything_but_such_a_page(folders: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = folders
    page = default_page(before, after)
    assert page == after / "report-against-before.html"
    check_page(page, folders)
    write_page(page, before, after, compare_folders(before, after))
    check_page(page, folders)
    other = tmp_path / "other.html"
    other.write_text("<title>mine</title>")
    for wrong, message in (
        (before / "report.html", "is the report of one"),
        (after / ".." / after.name / "report.html", "is the report of one"),
        (tmp_path / "page.csv", "ends with .html"),
        (other, "is there and is not"),
    ):
        with pytest.raises(UserError, match=message):
            check_page(wrong, folders)
