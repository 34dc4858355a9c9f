"""Suites: every question is asked by tasks that ask it, with one setting for all architectures."""

from typing import Any

import pytest

import architectures
from analysis.suites.suite import ALL, choose_suites, load_suite, suite_names
from architectures.registry import load_encoder_class
from architectures.residual import ResidualEncoder
from workbench.data import aeon
from workbench.errors import UserError
from workbench.tasks import catalogue

OWN = ("architecture", "seed")


def test_there_is_a_suite_for_every_question() -> None:
    assert suite_names() == tuple(catalogue.QUESTIONS)
    assert [suite.name for suite in choose_suites([ALL])] == list(catalogue.QUESTIONS)
    assert [suite.name for suite in choose_suites(["find", "hold", "find"])] == ["find", "hold"]


@pytest.mark.parametrize("name", catalogue.QUESTIONS)
def test_its_tasks_ask_its_question_and_all_architectures_have_one_setting(name: str) -> None:
    suite = load_suite(name)
    assert suite.tasks
    assert {catalogue.question_of(task) for task in suite.tasks} == {name}
    for budget in ("small", "long"):
        for plan in suite.plans(budget):
            experiments = [run.experiment.to_dict() for run in plan]
            for variant in {run.variant for run in plan}:
                settings: list[dict[str, Any]] = [
                    {key: value for key, value in values.items() if key not in OWN}
                    for run, values in zip(plan, experiments, strict=True)
                    if run.variant == variant
                ]
                assert all(other == settings[0] for other in settings)
            assert len({(run.rates, run.rate_seeds) for run in plan}) == 1
            assert len(plan[0].rates) > 1
            assert {run.experiment.architecture.options["hidden_size"] for run in plan} == {64}


def test_the_small_budget_is_smaller() -> None:
    for suite in choose_suites([ALL]):
        for small, long in zip(suite.plans("small"), suite.plans("long"), strict=True):
            assert len(small) < len(long)
            assert small[0].experiment.budget.steps < long[0].experiment.budget.steps


def test_other_architectures_are_trained_alike() -> None:
    suite = load_suite("track").with_architectures(["gru"])
    default = {run.row: run.experiment for plan in load_suite("track").plans("small") for run in plan}
    plans = suite.plans("small", seeds=2)
    assert {run.row for plan in plans for run in plan} == {"gru"}
    assert plans[-1][0].experiment == next(
        run.experiment for run in load_suite("track").plans("small")[-1] if run.row == "gru"
    )
    assert set(default) <= set(architectures.names())


def test_real_series_are_left_out_where_their_files_are_missing(tmp_path, monkeypatch) -> None:
    suite = load_suite("real")
    assert suite.without_missing() == (suite, [])
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(aeon, "find_spec", lambda name: None)
    left, (line,) = suite.without_missing()
    assert left.tasks == ("digits",)
    assert line.startswith(
        "series is left out: JapaneseVowels is not there: aeon, which brings it along, is not installed"
    )
    # Only what is missing is left out: all else is an error, as ever.
    with pytest.raises(UserError, match="unknown architecture 'lstmm'"):
        suite.with_architectures(["lstmm"]).without_missing()[0].plans("small")


def test_what_stacks_layers_has_two_to_find_with_and_one_head() -> None:
    stacked = [name for name in architectures.names() if architectures.options(name).get("num_layers") is not None]
    stacked = [name for name in stacked if architectures.options(name)["num_layers"].default == 1]
    plans = load_suite("find").with_architectures(stacked).plans("small", seeds=1)
    for plan in plans:
        assert {run.experiment.embedding_size for run in plan} == {64}
        chosen = {run.row: run.experiment.architecture.options for run in plan}
        assert {options["num_layers"] for options in chosen.values()} == {2}
        blocks = [name for name in stacked if issubclass(load_encoder_class(name), ResidualEncoder)]
        assert {chosen[name].get("num_heads", 1) for name in blocks} == {1}


@pytest.mark.parametrize("names", [["hodl"], ["hold", "alll"]])
def test_an_unknown_suite_is_a_line(names: list[str]) -> None:
    with pytest.raises(UserError, match=r"no suite is called .*; did you mean '(hold|all)'\?; workbench suite --list"):
        choose_suites(names)
