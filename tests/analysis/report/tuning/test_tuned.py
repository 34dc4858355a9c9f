"""What a report says of a sweep: ranks, factors, counts, roles and the tables."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.grouping import Section, sections
from analysis.report.tuning import param_importances, pareto_front
from analysis.report.tuning.chapter import summary
from analysis.report.tuning.tables import against_default, best, chosen, front, trials
from analysis.report.tuning.tuned import (
    TunedTask,
    best_so_far,
    counted,
    default_trial,
    format_rank,
    is_certain,
    last_of,
    loss_of,
    rank_changes,
    seconds_of,
    shown_loss,
    swapped_ranks,
    tuned_tasks,
)
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import OPTIONS, searched, study, trained, trial
from workbench import study_files
from workbench.results import finished

LOSSES = {
    "lstm": ([0.30, 0.31, 0.32], [0.020, 0.021, 0.022]),
    "gru": ([0.10, 0.11, 0.12], [0.099, 0.109, 0.119]),
    "rda": ([0.20, 0.21, 0.22], [0.0010, 0.0011, 0.0012]),
}


def written(out: Path) -> tuple[Section, TunedTask]:
    known = study_files.read(out)
    (section,) = sections(finished(out), known)
    (subject,) = tuned_tasks(known, [section])
    return section, subject


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    for name, (default, tuned) in LOSSES.items():
        trained(tmp_path, searched(name, 0.01), default, tuned)
    return tmp_path


def test_rows_have_roles_labels_and_looks(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    trained(tmp_path, searched("gru", 0.01), [0.1, 0.1], None)
    write_run(tmp_path, experiment("lstm", hidden_size=32))
    write_run(tmp_path, experiment("lstm", hidden_size=8))
    section, _ = written(tmp_path)
    assert [(row.label, row.role) for row in section.rows] == [
        ("lstm, tuned", "tuned"),
        ("lstm, default", "default"),
        ("lstm (hidden_size=8)", None),
        ("lstm (hidden_size=32)", None),
        ("gru, default (also the best)", "both"),
    ]
    lstm = section.rows[:4]
    assert len({row.look.colour for row in lstm}) == 1
    assert len({(row.look.dash, row.look.hollow) for row in lstm}) == 4
    assert [row.look.hollow for row in lstm[:2]] == [False, True]
    assert not section.rows[4].look.hollow


def test_two_sweeps_of_one_architecture_have_a_row_for_each_winner(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    other = experiment("lstm", hidden_size=77)
    write_run(tmp_path, other)
    first, *_ = study_files.read(tmp_path)
    known = [first, replace(first, name="again/addition/lstm", winner_identity=other.identity)]
    (section,) = sections(list(finished(tmp_path)), known)
    assert [row.role for row in section.rows] == ["tuned", "tuned", "default"]
    assert len({row.label for row in section.rows}) == 3
    assert len({(row.look.dash, row.look.hollow) for row in section.rows}) == 3


def test_a_study_of_another_variant_gives_no_roles(tmp_path: Path) -> None:
    known, _, _ = trained(tmp_path, searched("lstm", 0.01), [0.3], [0.2])
    other = study_files.Study.from_dict({**known.to_dict(), "task_options": {"length": 7}, "trials": []})
    (section,) = sections(finished(tmp_path), [other])
    assert {row.role for row in section.rows} == {None}
    found = tuned_tasks([other], [section])
    assert [(each.title, each.section, each.anchor) for each in found] == [
        ("addition, length=7", None, "tuning-addition-length-7")
    ]


def test_ranks_moves_and_factors(swept: Path) -> None:
    _, subject = written(swept)
    found = {place.of.name: place for place in rank_changes(subject.of)}
    assert {name: (place.before, place.after, place.moved) for name, place in found.items()} == {
        "lstm": (3, 2, 1),
        "gru": (1, 3, -2),
        "rda": (2, 1, 1),
    }
    for name, (default, tuned) in LOSSES.items():
        assert found[name].factor == pytest.approx(sum(default) / sum(tuned))
    assert {name: place.told for name, place in found.items()} == {"lstm": True, "gru": False, "rda": True}
    pairs = {
        (one.of.name, other.of.name): is_certain((one, other)) for one, other in swapped_ranks(list(found.values()))
    }
    # The half widths are 4.303 · 0.01 / √3 = 0.0248, a tenth of that for tuned rows but gru's, and so all lie apart.
    assert pairs == {("gru", "lstm"): True, ("gru", "rda"): True}


def test_the_summary_says_so(swept: Path) -> None:
    _, subject = written(swept)
    text = " ".join(summary(subject))
    assert text.startswith(
        "Tuning changes the order of the architectures by mean test loss: rda gains 1 place (2 to 1), lstm gains 1 "
        "place (3 to 2) and gru loses 2 places (1 to 3)."
    )
    assert "The intervals bear out 2 of the 2 pairs that swap places: lstm passes gru and rda passes gru." in text
    assert "rda gains most: its loss falls by a factor of 191, from 0.210 ± 0.025 to 0.00110 ± 0.00025" in text
    assert "and the intervals lie apart; 3 of 3 have a lower mean loss than untuned." in text
    assert "Among the tuned: rda, tuned has the lowest mean test loss" in text
    assert text.endswith("Of 72 finished trials 12 were pruned and 6 diverged.")


def test_an_order_that_stays_and_one_seed(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.3], [0.4])
    trained(tmp_path, searched("gru", 0.01), [0.1], None)
    text = " ".join(summary(written(tmp_path)[1]))
    assert "Tuning does not change the order of the 2 architectures by mean test loss: gru, lstm." in text
    assert "No architecture gains: on fresh seeds, no winner has a lower mean test loss than its default." in text
    assert "bear" not in text


def test_swaps_that_intervals_do_not_bear_out(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.30, 0.34, 0.38], [0.1, 0.2, 0.3])
    trained(tmp_path, searched("gru", 0.01), [0.31, 0.33, 0.35], [0.15, 0.25, 0.35])
    trained(tmp_path, searched("rda", 0.01), [0.9, 0.9], [], accuracy=None)
    subject = written(tmp_path)[1]
    text = " ".join(summary(subject))
    assert "The intervals do not bear this out: of the one pair that swaps places, they tell none apart" in text
    assert "but the two intervals overlap" in text
    assert "Not ranked, for want of a test loss tuned or default: rda." in text


def test_a_swap_is_certain_only_if_it_is_before_and_after(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.30, 0.34, 0.38], [0.5, 0.5, 0.5])
    trained(tmp_path, searched("gru", 0.01), [0.33, 0.35, 0.37], [0.1, 0.1, 0.1])
    trained(tmp_path, searched("rda", 0.01), [0.01, 0.01, 0.01], [0.5, 0.6, 0.7])
    found = rank_changes(written(tmp_path)[1].of)
    pairs = {(one.of.name, other.of.name): is_certain((one, other)) for one, other in swapped_ranks(found)}
    assert pairs == {("lstm", "gru"): False, ("rda", "lstm"): False, ("rda", "gru"): True}


def test_variants_without_runs_are_chapters_of_their_own() -> None:
    known = [study("lstm"), study("gru", task_options={"length": 20}), study("gru")]
    found = tuned_tasks(known, [])
    assert [(each.title, [one.name for one in each.of]) for each in found] == [
        ("addition, length=20", ["gru"]),
        ("addition, length=100", ["lstm", "gru"]),
    ]
    assert len({each.anchor for each in found}) == 2


def test_equal_means_share_a_place(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.5, 0.5], [0.1, 0.1])
    trained(tmp_path, searched("gru", 0.01), [0.5, 0.5], [0.2, 0.2])
    found = rank_changes(written(tmp_path)[1].of)
    assert [(place.before, place.after) for place in found] == [(1, 1), (1, 2)]
    assert swapped_ranks(found) == []


def test_marks(swept: Path) -> None:
    found = rank_changes(written(swept)[1].of)
    tuned = [place.tuned for place in found]
    assert [format_rank(place.after, place.tuned, tuned) for place in found] == ["2", "3", "1"]
    near = [place.default for place in found[1:2]] * 2
    assert format_rank(1, near[0], near) == "1="


def test_mark_without_an_interval(tmp_path: Path) -> None:
    trained(tmp_path, searched("lstm", 0.01), [0.5], [0.1])
    (place,) = rank_changes(written(tmp_path)[1].of)
    assert format_rank(4, place.tuned, [place.tuned]) == "(4)"


def test_outcomes() -> None:
    known = study(
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
    assert np.array_equal(best_so_far(known), [math.nan, 0.5, 0.5, 0.5, 0.2], equal_nan=True)
    assert [loss_of(known, each) for each in known.trials] == [None, 0.5, None, None, 0.7, 0.2, None]
    assert shown_loss(known, known.trials[2]) == last_of(known.trials[2]) == 0.1
    assert default_trial(known) is known.trials[1]
    assert seconds_of(known) == 53.0
    assert counted([known, known]) == (
        "Of 10 finished trials 2 were pruned and 2 diverged; beside them 2 failed and 2 are running."
    )
    assert counted([study(trials=[trial(0, 0.5)])]) == "Of 1 finished trial none was pruned and none diverged."
    assert counted([study()]) == "No trial has finished."


def test_the_loss_is_found_by_its_name() -> None:
    known = study(trials=[trial(0, 30.0, 0.5)], objectives=("seconds", "loss"))
    assert loss_of(known, known.trials[0]) == 0.5


def test_the_table(swept: Path) -> None:
    table = against_default(written(swept)[1])
    lines = {line[0].text: [cell.text for cell in line[1:]] for line in table.lines}
    assert lines["lstm"][:5] == ["0.310 ± 0.025", "0.0210 ± 0.0025", "14.8 \u00d7", "3", "2"]
    pruned = sum(number % 6 == 5 for number in range(24))
    diverged = sum(number % 11 == 10 and number % 6 != 5 for number in range(24))
    assert lines["lstm"][7:11] == ["24 of 24", str(pruned), str(diverged), "0"]
    assert lines["lstm"][11] == "17,000"
    known = next(each for each in study_files.read(swept) if each.architecture == "lstm")
    best_loss = min(each.values[0] for each in known.trials if each.values)
    first = known.trials[0].values
    assert first is not None
    assert lines["lstm"][5:7] == [f"{first[0]:.3f}", f"{best_loss:.4f}"]
    assert lines["lstm"][12] == f"{sum(each.seconds or 0 for each in known.trials):.0f}"


NUMBERS = (("lstm", 4), ("gru", 7))


def test_best_parameters(swept: Path) -> None:
    subject = written(swept)[1]
    table = best(subject.of[0], subject)
    assert table is not None
    lines = {line[0].text: [cell.text for cell in line[1:]] for line in table.lines}
    winner = subject.of[0].winner
    assert winner is not None
    assert lines["learning_rate"] == [
        "0.0001\u20130.01, log",
        "0.0001",
        f"{winner.params['learning_rate']:.3g}",
        "0.60",
    ]
    assert lines["dropout"][0] == "0\u20130.5 (when num_layers ≥ 2)"
    assert lines["clip_at"][0] == "0.1\u201310, log (when clip is value or norm)"
    assert lines["chrono"][0] == "none, 100"
    assert lines["optimizer"] == ["fixed: adam", "adam", "adam", "\u2013"]
    # What a trial's conditions left out it did not have; anything else it had from the configuration.
    row = subject.of[0].tuned
    without = trial(0, 0.5, params={"clip": "none"})
    assert chosen("clip_at", without, row, conditional=True) == "\u2013"
    assert chosen("clip_at", without, row) == "1"
    assert chosen("clip", without, row, conditional=True) == "none"


def test_importances_say_how_little_they_come_from() -> None:
    known = [study(name, [trial(n, 0.5) for n in range(count)], importances={"a": 1.0}) for name, count in NUMBERS]
    said = param_importances.caption(tuned_tasks(known, [])[0])
    assert said.endswith("From 4\u20137 complete trials of each. With fewer than 30 they are a hint, no more.")
    enough = study("lstm", [trial(n, 0.5) for n in range(30)], importances={"a": 1.0})
    assert param_importances.caption(tuned_tasks([enough], [])[0]).endswith("From 30 complete trials of each.")


def test_the_front() -> None:
    values = [(0.5, 10.0), (0.4, 20.0), (0.45, 30.0), (0.1, 100.0), (0.5, 11.0), (0.1, 90.0)]
    made = [trial(number, loss, cost) for number, (loss, cost) in enumerate(values)]
    known = study(trials=made, objectives=("loss", "seconds"))
    (subject,) = tuned_tasks([known], [])
    expected = [[0.5, 10.0], [0.4, 20.0], [0.1, 90.0]]
    assert pareto_front.front(subject.of[0]).tolist() == expected
    table = front(subject.of, subject)
    assert table is not None
    assert [[cell.text for cell in line[1:4]] for line in table.lines] == [
        ["5", "0.100", "90.0"],
        ["1", "0.400", "20.0"],
        ["0", "0.500", "10.0"],
    ]
    one = tuned_tasks([study(trials=[trial(0, 0.5)])], [])[0]
    assert front(one.of, one) is None
    assert pareto_front.draw(one) is None


def test_an_importance_of_nearly_nothing_is_printed_as_nothing() -> None:
    known = study("lstm", [trial(0, 0.5, params={"learning_rate": 0.01})], importances={"learning_rate": 2.07e-33})
    (subject,) = tuned_tasks([known], [])
    table = best(subject.of[0], subject)
    assert table is not None
    assert {line[0].text: line[4].text for line in table.lines}["learning_rate"] == "0.00"


def test_importances_in_order() -> None:
    known = [
        study("lstm", importances={"a": 0.2, "b": 0.8}),
        study("gru", importances={"c": 0.5, "b": 0.5}),
        study("rda", importances=None),
    ]
    frame = param_importances.table(tuned_tasks(known, [])[0])
    assert list(frame.index) == ["b", "c", "a"]
    assert list(frame.columns) == ["lstm", "gru"]
    assert np.array_equal(frame.to_numpy(float), [[0.8, 0.5], [math.nan, 0.5], [0.2, math.nan]], equal_nan=True)


def test_all_trials_in_a_table(tmp_path: Path) -> None:
    known = [
        study(
            "lstm", [trial(0, 0.5, default=True), trial(1, 0.25, state="pruned"), trial(2, state="failed", error="no")]
        ),
        study("gru", [trial(1, 0.4, 7.0, place=3)], objectives=("loss", "seconds")),
    ]
    path = tmp_path / "tuning.csv"
    trials(known).to_csv(path, index=False)
    with path.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["state"] for line in lines] == ["complete", "pruned", "failed", "complete"]
    assert [line["values/loss"] for line in lines] == ["0.5", "", "", "0.4"]
    assert [line["values/seconds"] for line in lines] == ["", "", "", "7"]
    assert [line["last/loss"] for line in lines] == ["0.5", "0.25", "", "0.4"]
    assert [line["last/step"] for line in lines] == ["2000", "200", "", "2000"]
    assert [line["winner"] for line in lines] == ["True", "False", "False", "True"]
    assert [line["default"] for line in lines] == ["True", "False", "False", "False"]
    assert [line["number"] for line in lines] == ["0", "1", "2", "1"]
    assert [line["place"] for line in lines] == ["0", "1", "2", "3"]
    assert json.loads(lines[1]["params"]) == {"learning_rate": pytest.approx(1.2e-3)}
    assert json.loads(lines[0]["task_options"]) == OPTIONS
    assert lines[2]["error"] == "no"
