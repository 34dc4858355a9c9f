"""When a run is said to be at a floor."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.comparison.floors import WITHOUT_MEMORY, format_reached_floor, reached_floor, unbeaten_floor
from analysis.figures.learning_curves import reference_levels
from analysis.grouping import Section, build_sections
from analysis.ranks import rank_table
from analysis.report.first_screen.scatter import draw_scatter
from analysis.report.first_screen.screen import build_screen
from analysis.report.summary import describe_floors, headline
from analysis.report.tables import results_table
from analysis.run_tables import comparison_table
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import Run, finished_runs, read_run
from workbench.tasks.floors import Floor, read_floors, write_floors

BAG = Floor(loss=math.log(8), accuracy=1 / 8)
FLOORS = {"bag of values": BAG, "last seen": Floor(loss=math.log(8), accuracy=0.5), "nothing": Floor(loss=0.0)}
TRIVIAL = math.log(32)


def is_floors(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(floor, Floor) for floor in value.values())


def write(folder: Path, seed: int, loss: float | None, accuracy: float | None, floors: Any = FLOORS) -> Path:
    """Writes a run with floors in its result."""
    path = write_run(
        folder, experiment(seed=seed), loss=loss, accuracy=accuracy, accuracies=(0.1, 0.1, 0.1), trivial_loss=TRIVIAL
    )
    result = json.loads((path / "result.json").read_text())
    value = write_floors(floors) if is_floors(floors) else floors
    (path / "result.json").write_text(json.dumps({**result, "floors": value}))
    return path


def run_with(tmp_path: Path, loss: float | None, accuracy: float | None = None) -> Run:
    return read_run(write(tmp_path, 0, loss, accuracy))


@pytest.mark.parametrize(
    ("loss", "accuracy", "floor"),
    [
        (1.00 * BAG.loss, 0.125, "bag of values"),
        (1.04 * BAG.loss, 0.125, "bag of values"),
        (0.99 * BAG.loss, 0.13, "bag of values"),
        # Of two floors with one loss, that of the nearer accuracy.
        (1.00 * BAG.loss, 0.45, "last seen"),
        # Worse than the floor by more than training explains.
        (1.06 * BAG.loss, 0.125, None),
        # Better than both: by the loss, or by an accuracy that chance does not explain.
        (0.97 * BAG.loss, 0.125, None),
        (1.00 * BAG.loss, 0.6, None),
        (0.02, 1.0, None),
        (0.0, 1.0, None),
        # No metric but the loss.
        (1.00 * BAG.loss, None, "bag of values"),
        (0.99 * TRIVIAL, 0.03, WITHOUT_MEMORY),
        (None, None, None),
    ],
)
def test_a_run_is_at_a_floor_if_it_is_near_and_not_better(
    tmp_path: Path, loss: float | None, accuracy: float | None, floor: str | None
) -> None:
    assert reached_floor(run_with(tmp_path, loss, accuracy)) == floor


@pytest.mark.parametrize(
    ("loss", "accuracy", "floor"),
    [
        # At a floor, as above.
        (math.log(8), 0.12, "bag of values"),
        # Between it and the answer without memory, or worse than that.
        (1.2 * math.log(8), 0.12, "bag of values"),
        (1.2 * math.log(8), 0.45, "last seen"),
        (2 * math.log(32), 0.1, "bag of values"),
        # Better, be it in the loss or in the accuracy.
        (0.9 * math.log(8), 0.12, None),
        (1.2 * math.log(8), 0.9, None),
        (None, None, None),
    ],
)
def test_a_run_that_is_worse_than_a_cheap_strategy_is_no_better_than_it(
    tmp_path: Path, loss: float | None, accuracy: float | None, floor: str | None
) -> None:
    assert unbeaten_floor(run_with(tmp_path, loss, accuracy)) == floor


def test_where_nobody_beats_a_cheap_strategy_nobody_is_ranked(tmp_path: Path) -> None:
    write(tmp_path, 0, math.log(8), 0.12)
    write(tmp_path, 1, 1.2 * math.log(8), 0.12)
    (found,) = build_sections(list(finished_runs(tmp_path)))
    assert headline(found) == (
        "No row is better than a cheap strategy: bag of values has a loss of 2.08, accuracy 0.125; "
        "the lowest is lstm's, 2.28."
    )
    write(tmp_path, 2, 0.5 * math.log(8), 0.3)
    (found,) = build_sections(list(finished_runs(tmp_path)))
    assert "cheap strategy" not in headline(found)


def test_the_nearest_floor_counts(tmp_path: Path) -> None:
    floors = {"near": Floor(loss=1.0), "nearer": Floor(loss=1.02)}
    run = run_with(tmp_path, 1.015)
    assert reached_floor(run, floors) == "nearer"
    assert reached_floor(run, {"near": Floor(loss=1.0)}) == "near"
    assert reached_floor(run, {}) is None


@pytest.fixture
def section(tmp_path: Path) -> Section:
    """Three seeds: two at the floor of a bag, one that solved the task."""
    for seed, (loss, accuracy) in enumerate([(2.08, 0.125), (2.1, 0.12), (0.01, 1.0)]):
        write(tmp_path, seed, loss, accuracy, {"bag of values": BAG})
    (section,) = build_sections(finished_runs(tmp_path))
    return section


def test_a_floor_beside_the_trivial_loss_is_not_told_from_it(tmp_path: Path) -> None:
    """A needle's floor is 0.995 and a constant answer's loss is 1, with an error of the test set of some percent."""
    near, far = Floor(loss=0.995 * TRIVIAL), Floor(loss=0.9 * TRIVIAL)
    floors = {"mean of the inputs": near, "last seen": far}
    for seed, (loss, expected) in enumerate(
        [(0.99, WITHOUT_MEMORY), (1.02, WITHOUT_MEMORY), (0.976, "mean of the inputs"), (0.91, "last seen")]
    ):
        run = read_run(write(tmp_path, seed, loss * TRIVIAL, None, floors))
        assert reached_floor(run) == expected, loss


def test_tables_and_figures_show_floors_and_who_is_there(section: Section, tmp_path: Path) -> None:
    assert section.floors == {"bag of values": BAG}
    (row,) = section.rows
    assert format_reached_floor(row, section) == "bag of values (2 of 3)"
    assert describe_floors(section) == (
        "At the floor of bag of values (loss 2.08, accuracy 0.125): lstm (2 of 3 seeds)."
    )
    table = results_table(section)
    headings = [column.heading for column in table.columns]
    trivial, floor = ([cell.text for cell in cells] for cells in table.footer)
    assert (trivial[0], floor[0]) == ("trivial baseline", "floor: bag of values")
    assert floor[headings.index("loss")] == "2.08"
    assert floor[headings.index("accuracy")] == "0.1250"
    assert table.rows[0][headings.index("at floor")].text == "bag of values (2 of 3)"
    assert [(level.name, level.text) for level in reference_levels(section, "val/loss")] == [
        ("trivial", "trivial 3.47"),
        ("bag of values", "bag of values 2.08"),
    ]
    assert [level.value for level in reference_levels(section, "val/accuracy")] == [1 / 8]
    assert reference_levels(section, "learning_rate") == ()
    screen = build_screen(section, tmp_path)
    assert dict(screen.floors) == {"bag of values": pytest.approx(BAG.loss, rel=1e-5)}
    assert screen.rows[0].floor == "bag of values (2 of 3)"
    assert [name for name, _ in draw_scatter(screen).floors] == ["bag of values"]
    runs = comparison_table(section.runs)
    assert [value if isinstance(value, str) else None for value in runs["floor"]] == ["bag of values"] * 2 + [None]
    assert json.loads(runs["floors"][0]) == {"bag of values": {"loss": BAG.loss, "accuracy": BAG.accuracy}}
    assert rank_table([section])["floor"].tolist() == ["bag of values (2 of 3)"]


def test_results_from_before_there_were_floors_are_read(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(), loss=0.01, accuracy=0.9)
    (section,) = build_sections(finished_runs(tmp_path))
    assert section.floors == {}
    assert section.runs[0].floors == {}
    assert describe_floors(section) == ""
    assert "floors" not in comparison_table(section.runs).columns
    assert "floor" not in rank_table([section]).columns
    assert "at floor" not in [column.heading for column in results_table(section).columns]
    # With a run of today on the same task, its floors hold for both.
    write(tmp_path, 1, 0.02, 0.9)
    (section,) = build_sections(finished_runs(tmp_path))
    assert section.floors == FLOORS


def test_runs_that_disagree_have_no_floors(tmp_path: Path) -> None:
    write(tmp_path, 0, 0.1, 0.9, {"bag of values": BAG})
    write(tmp_path, 1, 0.1, 0.9, {"bag of values": Floor(loss=2.0)})
    (section,) = build_sections(finished_runs(tmp_path))
    assert section.floors == {}


@pytest.mark.parametrize(
    "value",
    [
        [],
        3,
        {"bag": 2.0},
        {"bag": {"loss": 2.0}},
        {"bag": {"loss": "2", "accuracy": None}},
        {"bag": {"loss": 2.0, "accuracy": True}},
        {"bag": {"loss": 10**400, "accuracy": None}},
        {"bag": {"loss": 1e308, "accuracy": None}},
    ],
)
def test_a_damaged_floor_is_refused(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, 0, 0.1, None, value)
    with pytest.raises(UserError, match="its floors is invalid"):
        read_run(path)


def test_floors_come_back_as_they_were_written() -> None:
    assert read_floors(json.loads(json.dumps(write_floors(FLOORS)))) == FLOORS
    assert write_floors({"none": Floor(loss=math.inf), "nor": Floor(loss=1.0, accuracy=math.nan)}) == {}
    assert read_floors(None) == {}
