"""Goals: a run ends at the right row, however often it was stopped before."""

from dataclasses import replace

import pytest

from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same, stop_after
from workbench.config import Budget, Experiment
from workbench.errors import UserError
from workbench.run import run
from workbench.stopping import Goal, GoalTracker
from workbench.tasks import build


def with_goal(text, **settings):
    experiment = small(**{"steps": 60, "log_every": 5, "learning_rate": 0.01, **settings})
    return replace(experiment, budget=replace(experiment.budget, until=text))


def first_row(rows, column, bound, times):
    """Returns the first step by which `times` rows in a row lay below the bound."""
    below = (rows[column] < bound).tolist()
    return next(rows["step"][i] for i in range(times - 1, len(rows)) if all(below[i - times + 1 : i + 1]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("val/loss<1e-3,3 times", "val/loss < 0.001, 3 times"),
        ("train/accuracy >= 1", "train/accuracy >= 1"),
        (" val/accuracy > .99 , 1 times ", "val/accuracy > 0.99"),
        ("val/loss < 0.12345678901", "val/loss < 0.12345678901"),
        ("val/loss < 1e5", "val/loss < 100000"),
    ],
)
def test_one_goal_is_written_in_one_way(text, written):
    assert Budget(until=text).until == written
    assert Budget(until=written).until == written


@pytest.mark.parametrize(
    "text", ["soon", "loss < 1", "val/loss < ", "val/loss < 1.2.3", "val/loss < 1, 0 times", "val/loss < 1e999", 3, ""]
)
def test_what_is_no_goal_is_refused(text):
    with pytest.raises(UserError, match="until"):
        Budget(until=text)


def test_a_budget_without_a_goal_has_the_identity_it_had_before_there_were_goals():
    experiment = small()
    assert "until" not in experiment.to_dict()["budget"]
    assert Experiment.from_dict(experiment.to_dict()) == experiment
    aimed = with_goal("train/loss < 0.1")
    assert Experiment.from_dict(aimed.to_dict()) == aimed
    assert aimed.identity != replace(aimed, budget=replace(aimed.budget, until=None)).identity


def test_a_goal_has_to_be_met_so_often_in_a_row():
    tracker = GoalTracker(goal=Goal.parse("val/loss < 1, 3 times"))
    for step, value in enumerate([0.5, 0.5, 2.0, 0.5, float("nan"), 0.5, 0.5, 0.5, 2.0], start=1):
        tracker.update(step, value)
    assert tracker.reached_at == 8


@pytest.mark.parametrize("times", [1, 3])
def test_a_run_ends_at_the_row_by_which_the_validation_set_met_its_goal(times, tmp_path):
    whole = finish(with_goal(None), tmp_path).metrics()
    # Low enough that the first rows miss it.
    bound = float(whole["val/loss"].iloc[4:8].max()) * 1.0001
    step = first_row(whole, "val/loss", bound, times)
    assert 5 * times < step < 60
    ended = finish(with_goal(f"val/loss < {bound!r}, {times} times"), tmp_path)
    assert ended.result["steps"] == step
    assert ended.metrics().equals(whole[whole["step"] <= step])


def test_a_run_ends_at_the_row_by_which_a_training_batch_met_its_goal(tmp_path):
    rows = finish(with_goal(None, log_every=1), tmp_path).metrics()
    bound = float(rows["train/loss"].iloc[5:30].min()) * 1.0001
    step = first_row(rows, "train/loss", bound, 1)
    ended = finish(with_goal(f"train/loss < {bound!r}"), tmp_path)
    assert ended.result["steps"] == -(-step // 5) * 5 < 60


def test_a_goal_that_is_never_met_costs_nothing(tmp_path):
    assert finish(with_goal("val/loss < 0"), tmp_path).result["steps"] == 60


def test_solved_is_what_the_task_says():
    assert Goal.for_task("solved", build("addition")) == Goal.parse("train/loss < 0.001")
    assert Goal.for_task("solved", build("classify-length")) == Goal.parse("train/accuracy >= 1")
    with pytest.raises(UserError, match="Digits has no criterion for being solved"):
        Goal.for_task("solved", build("digits"))


def test_a_goal_on_a_metric_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"until is val/accuracy > 0.9, but the metrics of Addition are loss"):
        run(with_goal("val/accuracy > 0.9"), tmp_path)


def test_stopped_on_its_way_it_ends_with_the_same_bits(tmp_path):
    whole = finish(with_goal(None), tmp_path / "free").metrics()
    experiment = with_goal(f"val/loss < {float(whole['val/loss'].iloc[2:8].max()) * 1.0001!r}, 3 times")
    reached = finish(experiment, tmp_path / "whole")
    assert 15 <= reached.result["steps"] < 60
    # Stops in the middle of a count too.
    while run(experiment, tmp_path / "parts", stop=stop_after(4)) is None:
        pass
    parts = finish(experiment, tmp_path / "parts")
    assert_same(reached.folder, parts.folder)


def test_killed_between_its_end_and_its_result_it_trains_no_further(tmp_path):
    experiment = with_goal("val/loss < 1000")
    reached = finish(experiment, tmp_path / "one")
    again = finish(experiment, tmp_path / "other")
    assert reached.result["steps"] == 5
    (again.folder / "result.json").unlink()
    steps: list[int] = []
    assert_same(reached.folder, finish(experiment, tmp_path / "other", on_progress=steps.append).folder)
    assert steps == []
