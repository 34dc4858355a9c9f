"""Fairness of tuning: settings that have to be the same in all studies, and those that may differ by design."""

from pathlib import Path
from typing import Any

import pytest

from analysis.grouping import build_sections
from analysis.report.tuning.fairness import check_tuning_fairness, setting_differences
from analysis.report.tuning.tuned_tasks import tuned_tasks
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import SETTINGS, SPACE, searched_study, study, write_tuned_runs
from workbench import study_files
from workbench.results import finished_runs


def check_folder(out: Path) -> tuple[bool, str]:
    (section,) = build_sections(finished_runs(out), study_files.read_studies(out))
    fair, sentences = check_tuning_fairness(section)
    return fair, " ".join(sentences)


def check_two_studies(
    out: Path, losses: tuple[float, ...] = (0.2, 0.2), count: int = 24, **gru_fields: Any
) -> tuple[bool, str]:
    write_tuned_runs(out, searched_study("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    write_tuned_runs(out, searched_study("gru", 0.01, count, **gru_fields), [0.3, 0.3], losses)
    return check_folder(out)


def test_alike(tmp_path: Path) -> None:
    assert check_two_studies(tmp_path) == (
        True,
        "All architectures were tuned with 24 finished trials each, 2000 steps a trial, the same sampler (tpe) and "
        "the same pruner (median), by the loss on the validation set only. The winners and the default "
        "configurations were then trained on fresh seeds (0, 1), for the same steps (2000), and only these runs are "
        "tested. The hidden size was searched for, so widths differ by design; parameters from 17,000 to 17,000, a "
        "spread of 0 %.",
    )


def test_one_study(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.3], [0.2, 0.2])
    fair, text = check_folder(tmp_path)
    assert fair
    assert text.startswith(
        "lstm was tuned with 24 finished trials, 2000 steps a trial, sampler (tpe) and pruner (median), by"
    )


def test_widths_that_were_not_searched(tmp_path: Path) -> None:
    space = {name: domain for name, domain in SPACE.items() if name != "hidden_size"}
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01, space=space), [0.3, 0.3], None)
    write_tuned_runs(tmp_path, searched_study("gru", 0.01, space=space), [0.3, 0.3], None)
    fair, text = check_folder(tmp_path)
    assert fair
    assert "Widths are equal (hidden size 64)" in text


def test_another_number_of_trials(tmp_path: Path) -> None:
    fair, text = check_two_studies(tmp_path, count=23, asked=23)
    assert not fair
    assert (
        "Not all architectures were tuned alike: trials requested: lstm 24, gru 23; finished trials: lstm 24, gru 23."
    ) in text
    assert "All architectures" not in text


def test_two_studies_of_one_architecture_are_told_apart_by_their_names() -> None:
    studies = [study(name=f"{name}/addition/lstm", asked=asked) for name, asked in (("one", 4), ("two", 6))]
    assert "trials requested: one/addition/lstm 4, two/addition/lstm 6" in setting_differences(studies)
    assert [architecture.name for architecture in tuned_tasks(studies, [])[0].architectures] == [
        "one/addition/lstm",
        "two/addition/lstm",
    ]
    assert [architecture.name for architecture in tuned_tasks(studies[:1], [])[0].architectures] == ["lstm"]


def test_a_study_that_is_not_done(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01, asked=30), [0.3, 0.3], [0.2, 0.2])
    fair, text = check_folder(tmp_path)
    assert not fair
    assert "trials not finished: lstm 24 of 30" in text


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"budget": {**SETTINGS["budget"], "steps": 500}}, "budget steps: lstm 2000, gru 500"),
        ({"match": "width"}, "match: lstm none, gru width"),
        ({"sampler": "random"}, "sampler: lstm tpe, gru random"),
        ({"pruner": "none"}, "pruner: lstm median, gru none"),
        ({"startup_trials": 3}, "startup trials: lstm 10, gru 3"),
        (
            {"optimization": {**SETTINGS["optimization"], "optimizer": "sgd"}},
            "optimization optimizer: lstm adam, gru sgd",
        ),
    ],
)
def test_other_settings(tmp_path: Path, settings: dict[str, Any], difference: str) -> None:
    fair, text = check_two_studies(tmp_path, settings=settings)
    assert not fair
    assert f"Not all architectures were tuned alike: {difference}." in text


def test_settings_that_may_differ(tmp_path: Path) -> None:
    settings = {
        "name": "other",
        "sampler_seed": 9,
        "options": {"levels": 2},
        "source": "a1",
        "versions": {"optuna": "5.1"},
    }
    assert check_two_studies(tmp_path, settings=settings)[0]


def test_other_objectives(tmp_path: Path) -> None:
    fair, text = check_two_studies(tmp_path, objectives=("loss", "seconds"))
    assert not fair
    assert "objectives: lstm loss, gru loss and seconds" in text


def test_fewer_fresh_seeds(tmp_path: Path) -> None:
    fair, text = check_two_studies(tmp_path, losses=(0.2,))
    assert not fair
    assert "Not all rows were trained alike: seeds differ: lstm, tuned 0, 1, lstm, default 0, 1, gru, tuned 0" in text
    assert "All architectures were tuned" in text


def test_a_winner_without_runs_and_a_row_that_was_not_tuned(tmp_path: Path) -> None:
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01), [0.3, 0.3], ())
    for seed in (0, 1):
        write_run(tmp_path, experiment("rnn", seed=seed))
    fair, text = check_folder(tmp_path)
    assert not fair
    assert "not tuned: rnn; without runs of the winner on fresh seeds: lstm." in text


def test_ranges_that_differ_are_named_and_break_nothing(tmp_path: Path) -> None:
    narrow = {**SPACE, "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "own": [1, 2]}
    fair, text = check_two_studies(tmp_path, space=narrow)
    assert fair
    assert (
        "Not searched in the same range everywhere: learning_rate: lstm 0.0001\u20130.01, log, "
        "gru 0.001\u20130.01, log."
    ) in text


def test_a_setting_that_nobody_searched_must_be_the_same(tmp_path: Path) -> None:
    space = {"hidden_size": SPACE["hidden_size"]}
    write_tuned_runs(tmp_path, searched_study("lstm", 0.01, space=space), [0.3, 0.3], [0.2, 0.2])
    fair, text = check_folder(tmp_path)
    # The winner that `trained` writes has another learning rate.
    assert not fair
    assert "learning rate differs: lstm, tuned 0.002, lstm, default 0.001" in text
