"""Any validation metric as what trials are judged by: its direction, the best trial, and one line for mistakes."""

from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweeps import objective as objective_module
from sweeps.export import export_study
from sweeps.final_runs import winning_params
from sweeps.metrics import find_direction, metric_names
from sweeps.objective import FailedTrialError
from sweeps.studies import create_studies
from sweeps.worker import run_waiting_trial
from tests.sweeps.small_sweeps import make_objective, make_study, run_waiting_trials, small_sweep
from workbench import tasks
from workbench.errors import UserError
from workbench.tasks.digits import Digits

DIGITS: dict[str, Any] = {"tasks": ("digits",), "task": {}}


@dataclass(frozen=True, kw_only=True)
class Scored(Digits):
    """Digits with metrics whose names say nothing of their directions."""

    directions = MappingProxyType({"score": "maximize"})

    def metrics(self, prediction, batch):
        """Returns three metrics."""
        return {name: prediction.mean() for name in ("score", "surprise", "auroc")}


def scores(by_step):
    """Returns a stand-in for `run` whose scores are a function of the learning rate and the step."""

    def run(experiment, out, machine, *, stop, on_progress, on_row, **rest):
        rows = []
        for step in range(1, experiment.budget.steps + 1):
            values = by_step(experiment.optimization.learning_rate, step)
            rows.append({"step": step, **{f"val/{name}": value for name, value in values.items()}})
            on_row(rows[-1])
            if stop():
                return None
        result = {"validation": values, "test": None, "parameters": 7}
        return SimpleNamespace(
            folder=out, metrics=lambda: pd.DataFrame(rows), diverged=False, result=result, timing={"seconds": 2.0}
        )

    return run


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("addition", ("loss",)),
        ("digits", ("loss", "accuracy")),
        ("classify-length", ("loss", "accuracy")),
        ("copy", ("loss", "accuracy")),
    ],
)
def test_the_metrics_of_a_task_are_found(name, names):
    assert metric_names(tasks.build(name), name) == names


def test_directions_are_those_of_the_task_its_criterion_or_the_convention():
    scored = Scored()
    assert find_direction(scored, "s", "score", None) == "maximize"
    assert find_direction(scored, "s", "auroc", None) == "maximize"
    assert find_direction(scored, "s", "loss", None) == "minimize"
    assert find_direction(scored, "s", "surprise", "minimize") == "minimize"
    for metric, given, message in (
        ("surprise", None, "add --direction minimize or --direction maximize"),
        ("score", "minimize", "more of 'val/score' of task s is better; drop --direction"),
        ("loss", "maximize", "less of 'val/loss' of task s is better"),
        ("scores", None, "task s has no metric 'val/scores'; did you mean 'val/score'"),
    ):
        with pytest.raises(UserError, match=message):
            find_direction(scored, "s", metric, given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**DIGITS, "metric": "val/acuracy"}, "has no metric 'val/acuracy'; did you mean 'val/accuracy'"),
        ({"metric": "val/accuracy"}, "task addition has no metric 'val/accuracy'"),
        ({**DIGITS, "metric": "test/accuracy"}, "judged by the validation set alone; did you mean 'val/accuracy'"),
        ({**DIGITS, "metric": "val/"}, "metric must be one of the validation set"),
        ({**DIGITS, "metric": 3}, "metric must be one of the validation set"),
        ({**DIGITS, "direction": "up"}, "direction 'up' is unknown"),
        ({**DIGITS, "metric": "val/accuracy", "objectives": ("loss", "seconds")}, "goes with one objective"),
        ({"direction": "maximize", "objectives": ("loss", "seconds")}, "both objectives are minimized"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        small_sweep(**changes).specs()
    assert "\n" not in str(caught.value)


def test_accuracy_is_maximized_and_picks_the_trial_that_has_most_of_it(tmp_path, monkeypatch):
    def by_step(rate, step):
        # The best accuracy is where the loss is worst.
        return {"loss": rate * 100, "accuracy": min(1.0, rate * 10)}

    monkeypatch.setattr(objective_module, "run", scores(by_step))
    study = make_study(metric="val/accuracy", sampler="random", pruner="none", **DIGITS)
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert study.optuna_study.direction.name == "MAXIMIZE"
    rates = {trial.number: trial.params["learning_rate"] for trial in study.trials}
    best = max(rates, key=rates.__getitem__)
    assert [trial.value for trial in study.trials] == [min(1.0, 10 * rate) for rate in rates.values()]
    exported = export_study(study, seeds=1)
    assert exported.winner == best == study.optuna_study.best_trial.number
    assert (exported.objectives, exported.direction) == (("accuracy",), "maximize")
    assert (winning_params(study) or {})["learning_rate"] == rates[best]
    assert exported.trials[0].intermediate == tuple((step, study.trials[0].value) for step in (1, 2, 3, 4))
    assert (exported.importances or {})["learning_rate"] > 0.5


def test_trials_of_low_accuracy_are_given_up(tmp_path, monkeypatch):
    count: dict[float, int] = {}

    def by_step(rate, step):
        return {"loss": 1.0, "accuracy": 1.0 - count.setdefault(rate, len(count)) / 10}

    monkeypatch.setattr(objective_module, "run", scores(by_step))
    study = make_study(metric="val/accuracy", num_trials=8, sampler="random", **DIGITS)
    run_waiting_trials(study, make_objective(study, tmp_path))
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED] * 3


def test_a_metric_that_is_no_number_fails_the_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(objective_module, "run", scores(lambda rate, step: {"loss": 1.0, "accuracy": None}))
    study = make_study(metric="val/accuracy", **DIGITS)
    monkeypatch.setattr(type(make_objective(study, tmp_path)), "_report", lambda self, trial, row: None)
    monkeypatch.setattr(pd.DataFrame, "to_dict", lambda self, kind: [])
    with pytest.raises(FailedTrialError, match="val/accuracy is not a finite number at the end"):
        run_waiting_trial(study, make_objective(study, tmp_path))
    assert study.trials[0].user_attrs["error"] == "val/accuracy is not a finite number at the end"


def test_a_study_of_another_direction_is_refused():
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="digits/rnn")
    with pytest.raises(UserError, match=r"is to minimize, but .* maximize; make it with directions=\['maximize'\]"):
        create_studies(storage, small_sweep(metric="val/accuracy", **DIGITS).specs(), 2)
