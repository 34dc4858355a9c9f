"""Grouping of runs into sections and rows."""

from pathlib import Path

import pytest

from analysis.grouping import build_sections
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import finished_runs


def test_a_section_for_each_variant_and_a_row_for_each_configuration(tmp_path: Path) -> None:
    for length in (1000, 100, 20):
        for seed in (10, 2):
            for architecture in ("rwa", "my.own:Model", "lstm"):
                write_run(tmp_path, experiment(architecture, task_options={"length": length}, seed=seed))
    sections = build_sections(finished_runs(tmp_path))
    assert [section.title for section in sections] == [
        "addition, length=20",
        "addition, length=100",
        "addition, length=1000",
    ]
    assert [section.anchor for section in sections] == [
        "addition-length-20",
        "addition-length-100",
        "addition-length-1000",
    ]
    for section in sections:
        assert [row.label for row in section.rows] == ["lstm", "rwa", "my.own:Model"]
        assert [[run.experiment.seed for run in row.runs] for row in section.rows] == [[2, 10]] * 3


def test_labels_say_what_differs(tmp_path: Path) -> None:
    for hidden_size in (128, 64):
        write_run(tmp_path, experiment("lstm", hidden_size=hidden_size))
    write_run(tmp_path, experiment("lstm", hidden_size=64, learning_rate=0.01))
    write_run(tmp_path, experiment("gru"))
    (section,) = build_sections(finished_runs(tmp_path))
    assert [row.label for row in section.rows] == [
        "lstm (hidden_size=64, learning_rate=0.001)",
        "lstm (hidden_size=64, learning_rate=0.01)",
        "lstm (hidden_size=128, learning_rate=0.001)",
        "gru",
    ]
    assert len({(row.line_style.dash, row.line_style.hollow) for row in section.rows[:3]}) == 3
    assert len({row.line_style.color for row in section.rows[:3]}) == 1
    # Beside another architecture; without one they have colors of their own.
    (alone,) = build_sections(run for run in finished_runs(tmp_path) if run.experiment.architecture.name == "lstm")
    assert len({row.line_style.color for row in alone.rows}) == 3
    assert alone.rows[0].line_style == section.rows[0].line_style


def test_anchors_are_distinct_and_safe(tmp_path: Path) -> None:
    for index, task in enumerate(("my.tasks:One", "my-tasks:one", "日本")):
        write_run(tmp_path, experiment(task=task, seed=index))
    anchors = [section.anchor for section in build_sections(finished_runs(tmp_path))]
    assert len(set(anchors)) == 3
    assert all(anchor.replace("-", "").isascii() and anchor.replace("-", "").isalnum() for anchor in anchors)


def test_the_number_1_and_the_text_1_are_two_variants(tmp_path: Path) -> None:
    write_run(tmp_path, experiment(task_options={"length": 1}))
    write_run(tmp_path, experiment(task_options={"length": "1"}))
    assert len({section.anchor for section in build_sections(finished_runs(tmp_path))}) == 2


def test_a_run_found_twice_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, experiment())
    folder.with_name("seed-5").symlink_to(folder)
    with pytest.raises(UserError, match="hold the same run"):
        build_sections(finished_runs(tmp_path))
