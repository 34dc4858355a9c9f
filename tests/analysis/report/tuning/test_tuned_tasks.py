"""Tuned architectures in a report: roles, ranks, factors, sentences, counts and tables."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.grouping import build_sections
from analysis.report.tuning import param_importances, pareto_front
from analysis.report.tuning.tables import best_parameters_table, format_chosen, pareto_table, trials_table, tuning_table
from analysis.report.tuning.tuned_tasks import (
    best_so_far,
    default_trial,
    describe_trials,
    final_score,
    last_score,
    plotted_score,
    total_seconds,
    tuned_tasks,
)
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import (
    OPTIONS,
    read_results,
    searched_study,
    study,
    trial,
    write_sweep,
    write_tuned_runs,
)
from workbench import study_files
from workbench.results import finished_runs


@pytest.fixture
def sweep_folder(tmp_path: Path) -> Path:
    write_sweep(tmp_path)
    return tmp_path


def test_rows_have_roles_labels_and_looks(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    write_tuned_runs(tmp_path, searched_study("gru", 0.01), [0.1, 0.1], None)
    write_run(tmp_path, experiment("lstm", hidden_size=32))
    write_run(tmp_path, experiment("lstm", hidden_size=8))
    section, _ = read_results(tmp_path)
    assert [(row.label, row.role) for row in section.rows] == [
        ("lstm, tuned", "tuned"),
        ("lstm, default", "default"),
        ("lstm (hidden_size=8)", None),
        ("lstm (hidden_size=32)", None),
        ("gru, default (also the best)", "both"),
    ]
    lstm = section.rows[:4]
    assert len({row.line_style.color for row in lstm}) == 1
    assert len({(row.line_style.dash, row.line_style.hollow) for row in lstm}) == 4
    assert [row.line_style.hollow for row in lstm[:2]] == [False, True]
    assert not section.rows[4].line_style.hollow


def test_two_sweeps_of_one_architecture_have_a_row_for_each_winner(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    other = experiment("lstm", hidden_size=77)
    write_run(tmp_path, other)
    first, *_ = study_files.read_studies(tmp_path)
    studies = [first, replace(first, name="again/addition/lstm", winner_identity=other.identity)]
    (section,) = build_sections(list(finished_runs(tmp_path)), studies)
    assert [row.role for row in section.rows] == ["tuned", "tuned", "default"]
    assert len({row.label for row in section.rows}) == 3
    assert len({(row.line_style.dash, row.line_style.hollow) for row in section.rows}) == 3


def test_a_study_of_another_variant_gives_no_roles(tmp_path: Path) -> None:
    tuned_study, _, _ = write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3], [0.2])
    other = study_files.Study.from_dict({**tuned_study.to_dict(), "task_options": {"length": 7}, "trials": []})
    (section,) = build_sections(finished_runs(tmp_path), [other])
    assert {row.role for row in section.rows} == {None}
    tasks = tuned_tasks([other], [section])
    assert [(task.title, task.section, task.anchor) for task in tasks] == [
        ("addition, length=7", None, "tuning-addition-length-7")
    ]


def test_variants_without_runs_are_chapters_of_their_own() -> None:
    studies = [study("lstm"), study("gru", task_options={"length": 20}), study("gru")]
    tasks = tuned_tasks(studies, [])
    assert [(task.title, [architecture.name for architecture in task.architectures]) for task in tasks] == [
        ("addition, length=20", ["gru"]),
        ("addition, length=100", ["lstm", "gru"]),
    ]
    assert len({task.anchor for task in tasks}) == 2


def test_losses_and_counts_of_trials() -> None:
    mixed = study(
        trials=[
            trial(0, state="diverged"),
            trial(1, 0.5, default=True, seconds=3.0),
            trial(2, 0.1, state="pruned", seconds=None),
            trial(3, state="failed"),
            trial(4, 0.7),
            trial(5, 0.2),
            trial(6, state="running"),
        ],
        asked=5,
    )
    assert np.array_equal(best_so_far(mixed), [math.nan, 0.5, 0.5, 0.5, 0.2], equal_nan=True)
    assert [final_score(mixed, trial) for trial in mixed.trials] == [None, 0.5, None, None, 0.7, 0.2, None]
    assert plotted_score(mixed, mixed.trials[2]) == last_score(mixed.trials[2]) == 0.1
    assert default_trial(mixed) is mixed.trials[1]
    assert total_seconds(mixed) == 53.0
    assert describe_trials([mixed, mixed]) == (
        "Of 10 finished trials 2 were pruned and 2 diverged; in addition 2 failed and 2 are running."
    )
    assert describe_trials([study(trials=[trial(0, 0.5)])]) == "Of 1 finished trial none was pruned and none diverged."
    assert describe_trials([study()]) == "No trial has finished."


def test_the_loss_is_found_by_its_name() -> None:
    timed = study(trials=[trial(0, 30.0, 0.5)], objectives=("seconds", "loss"))
    assert final_score(timed, timed.trials[0]) == 0.5


def test_the_table(sweep_folder: Path) -> None:
    table = tuning_table(read_results(sweep_folder)[1])
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    # On the log scale the spread of every row is s = 0.033038, so that a mean's interval is a factor of
    # exp(3.1824 s / 2) = 1.054 to each side, and a ratio's exp(2.1009 s / sqrt(2)) = 1.050, with 18 degrees of freedom.
    assert rows["lstm"][:6] == [
        "0.140 [0.133, 0.148]",
        "0.0210 [0.0199, 0.0221]",
        "6.67 [6.35, 7.00]",
        "< 0.001",
        "3 c",
        "2 b",
    ]
    assert rows["gru"][2:6] == ["1.01 [0.962, 1.06]", "0.67", "1 a", "3 c"]
    pruned = sum(number % 6 == 5 for number in range(24))
    diverged = sum(number % 11 == 10 and number % 6 != 5 for number in range(24))
    assert rows["lstm"][8:12] == ["24 of 24", str(pruned), str(diverged), "0"]
    assert rows["lstm"][12] == "17,000"
    lstm = next(candidate for candidate in study_files.read_studies(sweep_folder) if candidate.architecture == "lstm")
    best_loss = min(trial.values[0] for trial in lstm.trials if trial.values)
    first = lstm.trials[0].values
    assert first is not None
    assert rows["lstm"][6:8] == [f"{first[0]:.3f}", f"{best_loss:.4f}"]
    assert rows["lstm"][13] == f"{sum(trial.seconds or 0 for trial in lstm.trials):.0f}"


NUMBERS = (("lstm", 4), ("gru", 7))


def test_best_parameters(sweep_folder: Path) -> None:
    task = read_results(sweep_folder)[1]
    table = best_parameters_table(task.architectures[0], task)
    assert table is not None
    rows = {table_row[0].text: [cell.text for cell in table_row[1:]] for table_row in table.rows}
    winner = task.architectures[0].winner
    assert winner is not None
    assert rows["learning_rate"] == [
        "0.0001\u20130.01, log",
        "0.0001",
        f"{winner.params['learning_rate']:.3g}",
        "0.60",
    ]
    assert rows["dropout"][0] == "0\u20130.5 (when num_layers ≥ 2)"
    assert rows["clip_at"][0] == "0.1\u201310, log (when clip is value or norm)"
    assert rows["chrono"][0] == "none, 100"
    assert rows["optimizer"] == ["fixed: adam", "adam", "adam", "\u2013"]
    # What a trial's conditions left out it did not have; anything else it had from the configuration.
    row = task.architectures[0].tuned
    without = trial(0, 0.5, params={"clip": "none"})
    assert format_chosen("clip_at", without, row, conditional=True) == "\u2013"
    assert format_chosen("clip_at", without, row) == "1"
    assert format_chosen("clip", without, row, conditional=True) == "none"


def test_importances_say_how_little_they_come_from() -> None:
    studies = [study(name, [trial(n, 0.5) for n in range(count)], importances={"a": 1.0}) for name, count in NUMBERS]
    caption = param_importances.caption(tuned_tasks(studies, [])[0])
    assert caption.endswith("From 4\u20137 complete trials of each. With fewer than 30 they are a hint, no more.")
    enough = study("lstm", [trial(n, 0.5) for n in range(30)], importances={"a": 1.0})
    assert param_importances.caption(tuned_tasks([enough], [])[0]).endswith("From 30 complete trials of each.")


def test_the_front() -> None:
    values = [(0.5, 10.0), (0.4, 20.0), (0.45, 30.0), (0.1, 100.0), (0.5, 11.0), (0.1, 90.0)]
    front_trials = [trial(number, loss, cost) for number, (loss, cost) in enumerate(values)]
    tuned_study = study(trials=front_trials, objectives=("loss", "seconds"))
    (task,) = tuned_tasks([tuned_study], [])
    expected = [[0.5, 10.0], [0.4, 20.0], [0.1, 90.0]]
    assert pareto_front.front_points(task.architectures[0]).tolist() == expected
    table = pareto_table(task)
    assert table is not None
    assert [[cell.text for cell in row[1:4]] for row in table.rows] == [
        ["5", "0.100", "90.0"],
        ["1", "0.400", "20.0"],
        ["0", "0.500", "10.0"],
    ]
    one = tuned_tasks([study(trials=[trial(0, 0.5)])], [])[0]
    assert pareto_table(one) is None
    assert pareto_front.draw_fronts(one) is None


def test_an_importance_of_nearly_nothing_is_printed_as_nothing() -> None:
    tuned_study = study(
        "lstm", [trial(0, 0.5, params={"learning_rate": 0.01})], importances={"learning_rate": 2.07e-33}
    )
    (task,) = tuned_tasks([tuned_study], [])
    table = best_parameters_table(task.architectures[0], task)
    assert table is not None
    assert {row[0].text: row[4].text for row in table.rows}["learning_rate"] == "0.00"


def test_importances_in_order() -> None:
    studies = [
        study("lstm", importances={"a": 0.2, "b": 0.8}),
        study("gru", importances={"c": 0.5, "b": 0.5}),
        study("rda", importances=None),
    ]
    frame = param_importances.importance_table(tuned_tasks(studies, [])[0])
    assert list(frame.index) == ["b", "c", "a"]
    assert list(frame.columns) == ["lstm", "gru"]
    assert np.array_equal(frame.to_numpy(float), [[0.8, 0.5], [math.nan, 0.5], [0.2, math.nan]], equal_nan=True)


def test_all_trials_in_a_table(tmp_path: Path) -> None:
    studies = [
        study(
            "lstm", [trial(0, 0.5, default=True), trial(1, 0.25, state="pruned"), trial(2, state="failed", error="no")]
        ),
        study("gru", [trial(1, 0.4, 7.0, place=3)], objectives=("loss", "seconds")),
    ]
    path = tmp_path / "tuning.csv"
    trials_table(studies).to_csv(path, index=False)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete", "pruned", "failed", "complete"]
    assert [row["values/loss"] for row in rows] == ["0.5", "", "", "0.4"]
    assert [row["values/seconds"] for row in rows] == ["", "", "", "7"]
    assert [row["last/loss"] for row in rows] == ["0.5", "0.25", "", "0.4"]
    assert [row["last/step"] for row in rows] == ["2000", "200", "", "2000"]
    assert [row["winner"] for row in rows] == ["True", "False", "False", "True"]
    assert [row["default"] for row in rows] == ["True", "False", "False", "False"]
    assert [row["number"] for row in rows] == ["0", "1", "2", "1"]
    assert [row["place"] for row in rows] == ["0", "1", "2", "3"]
    assert json.loads(rows[1]["params"]) == {"learning_rate": pytest.approx(1.2e-3)}
    assert json.loads(rows[0]["task_options"]) == OPTIONS
    assert rows[2]["error"] == "no"
