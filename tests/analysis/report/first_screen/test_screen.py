"""Numbers of the first screen, its scatter and its curves."""

import math
from pathlib import Path

import numpy as np
import pytest

from analysis.figures.learning_curves import load_histories
from analysis.grouping import Section, build_sections
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.result import Metric, ProbeResult
from analysis.report.first_screen.curves import MAX_POINTS, curve_panels
from analysis.report.first_screen.scatter import HEIGHT, LEFT, WIDTH, draw_scatter, label_box, overlap
from analysis.report.first_screen.screen import build_screen
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


def read_section(out: Path) -> Section:
    (section,) = build_sections(finished_runs(out))
    return section


def test_rows_are_in_order_with_times_of_the_lstm(tmp_path: Path) -> None:
    for architecture, loss, seconds in (("rnn", 0.1, 0.001), ("lstm", 0.01, 0.004), ("gru", 0.001, 0.006)):
        for seed in (0, 1):
            write_run(
                tmp_path,
                experiment(architecture, seed=seed),
                loss=loss * 4**seed,
                solved_at_mean50=None if architecture == "rnn" else 500 + 100 * seed,
                timing={"seconds_per_step": seconds},
            )
    screen = build_screen(read_section(tmp_path), tmp_path)
    assert [row.label for row in screen.rows] == ["gru", "lstm", "rnn"]
    assert [row.center for row in screen.rows] == pytest.approx([0.002, 0.02, 0.2])
    assert [row.time for row in screen.rows] == pytest.approx([1.5, 1.0, 0.25])
    assert [(row.solved, row.step) for row in screen.rows] == [(2, 550.0), (2, 550.0), (0, None)]
    assert [row.family for row in screen.rows] == ["gated", "gated", "recurrent"]
    assert screen.base == "lstm"
    assert all((tmp_path / row.folder / "seed-0/result.json").exists() for row in screen.rows)
    assert screen.cost == (
        "gru has 17,000 parameters and 1.50 times the time of lstm; lstm 17,000 parameters; the quickest is rnn, 0.250 "
        "times the time of lstm."
    )
    assert dict(screen.legend)["time / lstm"] == "time of a training step, as a multiple of lstm's"
    axis = screen.axis
    assert (axis.place(0.001), axis.place(0.4)) == pytest.approx((0.04 / 1.08, 1.04 / 1.08))


def test_without_an_lstm_times_are_of_the_first_row_and_names_are_escaped_in_addresses(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("gru"), timing={"seconds_per_step": 0.002})
    write_run(tmp_path, experiment("rda"), timing={"seconds_per_step": 0.004})
    folder = tmp_path / "a #1 & more?"
    (tmp_path / "runs").rename(tmp_path / "kept")
    folder.mkdir()
    (tmp_path / "kept").rename(folder / "runs")
    screen = build_screen(read_section(folder), tmp_path)
    assert screen.base == "gru"
    assert sorted(row.time or 0 for row in screen.rows) == pytest.approx([1.0, 2.0])
    assert screen.rows[0].folder.startswith("a%20%231%20%26%20more%3F/runs/addition/")
    assert build_screen(read_section(folder), tmp_path / "elsewhere").rows[0].folder == ""


def test_a_task_of_which_all_runs_diverged_has_no_rows(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), loss=None, losses=(), diverged_at=3)
    screen = build_screen(read_section(tmp_path), tmp_path)
    assert screen.rows == ()
    assert screen.headline == "No row has a test loss: every run diverged."


def test_the_mean_of_diverged_seeds_is_not_given_as_a_loss(tmp_path: Path) -> None:
    for architecture, losses in {"lstm": (0.01, 0.01), "gru": (0.02, None), "rnn": (None, None)}.items():
        for seed, loss in enumerate(losses):
            write_run(tmp_path, experiment(architecture, seed=seed), loss=loss, diverged_at=None if loss else 3)
    screen = build_screen(read_section(tmp_path), tmp_path)
    texts = {row.label: row.mean for row in screen.rows}
    assert (texts["lstm"], texts["rnn"]) == ("0.01", "diverged")
    assert texts["gru"].startswith("≥ 0.0")
    assert dict(screen.legend)["mean"].endswith("; a diverged seed counts as the worst loss of all")


def test_memory_has_the_measures_that_tell_most(tmp_path: Path) -> None:
    write_run(tmp_path, experiment("lstm"), loss=0.01)
    write_run(tmp_path, experiment("gru"), loss=0.02)
    section = read_section(tmp_path)

    def metric(value: float, censored: bool = False) -> Metric:
        return Metric(value=value, unit="steps", what="it", censored=censored)

    results = SectionResults(
        section=section,
        rows=(
            RowResults(
                row=section.rows[0],
                results=(
                    ProbeResult(
                        metrics={"field_95": metric(5), "memory_capacity": metric(3.456), "horizon": metric(1234, True)}
                    ),
                ),
            ),
        ),
    )
    screen = build_screen(section, tmp_path, results)
    assert [column.name for column in screen.memory] == ["horizon", "memory_capacity"]
    assert [[cell.text for cell in row.memory] for row in screen.rows] == [["\u2265 1,234", "3.5"], ["", ""]]


def test_marks_of_the_scatter_are_where_their_values_are(tmp_path: Path) -> None:
    sizes = {"rnn": 1_000, "lstm": 10_000, "gru": 9_900, "rda": 100_000}
    for index, (architecture, parameters) in enumerate(sizes.items()):
        for seed in (0, 1):
            run = experiment(architecture, seed=seed)
            write_run(tmp_path, run, loss=0.01 * (1 + seed + 0.01 * index), parameters=parameters)
    drawing = draw_scatter(build_screen(read_section(tmp_path), tmp_path))
    x = {mark.row.label: mark.x for mark in drawing.marks}
    # Equal steps on a logarithmic axis.
    assert x["lstm"] - x["rnn"] == pytest.approx(x["rda"] - x["lstm"], abs=0.2)
    # About equal costs stand side by side.
    assert abs(x["gru"] - x["lstm"]) >= 7.9
    dots = {mark.row.label: mark.dots for mark in drawing.marks}
    assert all(first > second for first, second in dots.values())
    boxes = [
        label_box(mark.row.label, mark.label_x, mark.label_y, mark.anchor)
        for mark in drawing.marks
        if mark.label_x is not None
    ]
    assert len(boxes) == 4
    assert not any(overlap(first, second) for index, first in enumerate(boxes) for second in boxes[:index])
    assert all(box[0] >= LEFT and box[2] <= WIDTH and box[3] <= HEIGHT for box in boxes)


def test_curves_are_thinned_and_share_their_steps(tmp_path: Path) -> None:
    losses = np.geomspace(1, 1e-3, 900)
    write_run(tmp_path, experiment("lstm", log_every=10), losses=losses.tolist(), accuracies=[0.5] * 900)
    write_run(tmp_path, experiment("gru", log_every=20), losses=losses[::2].tolist())
    section = read_section(tmp_path)
    loss, accuracy = curve_panels(section, load_histories(section))
    assert len(loss.steps) == MAX_POINTS
    assert (loss.steps[0], loss.steps[-1]) == (10, 9000)
    assert loss.labels == ["lstm", "gru"]
    for step, value in zip(loss.steps, loss.values[0], strict=True):
        assert value == pytest.approx(losses[int(step) // 10 - 1], rel=1e-3)
    assert [value is None for value in loss.values[1]] == [step % 20 != 0 for step in loss.steps]
    assert loss.trivial == pytest.approx(1 / 6)
    assert (loss.log, accuracy.log, accuracy.trivial) == (True, False, None)
    assert accuracy.labels == ["lstm"]
    assert not any(value is not None and math.isnan(value) for value in loss.values[1])
