"""Small sweeps for tests, and a stand-in for the training of their runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from sweeps.objective import Objective
from sweeps.storage import QueueEmptyError
from sweeps.studies import LoadedStudy, create_studies
from sweeps.sweep import Sweep
from sweeps.trial_budget import enqueue_missing
from sweeps.worker import run_waiting_trial, silence_optuna
from workbench.config import Budget
from workbench.run import RunDevice

silence_optuna()


def small_sweep(**changes: Any) -> Sweep:
    """Returns a sweep of one study whose runs take a fraction of a second."""
    settings = {
        "tasks": ("addition",),
        "architectures": ("rnn",),
        "trials": 6,
        "seeds": 2,
        "hidden_size": 4,
        "budget": Budget(steps=4, batch_size=2, log_every=1, evaluation_size=4),
        "task": {"addition": {"length": 6}},
        "space": {"rnn": narrow_space("rnn")},
    }
    return Sweep(**{**settings, **changes})


def narrow_space(architecture: str, **more: Any) -> dict[str, Any]:
    """Returns changes that leave two parameters, and `more`, of all that is searched by default."""
    default = Sweep(tasks=("addition",), architectures=(architecture,), trials=1).specs()[0].space
    searched = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "hidden_size": {"low": 2, "high": 6}}
    return {**dict.fromkeys(default), **searched, **more}


def make_study(storage: BaseStorage | None = None, *, num_trials: int = 6, **changes: Any) -> LoadedStudy:
    """Returns the study of a small sweep, with a trial in each slot."""
    (spec,) = small_sweep(**changes).specs()
    return fill_slots(create_studies(storage or InMemoryStorage(), [spec], num_trials)[0])


def fill_slots(study: LoadedStudy, retries: int = 5) -> LoadedStudy:
    """Returns the study, after a trial has been enqueued for each slot that has none."""
    enqueue_missing(study.optuna_study, study.num_trials, study.spec.default_params(), retries)
    return study


def make_objective(study: LoadedStudy, out: Path, **callbacks: Any) -> Objective:
    """Returns the function that a worker calls for a trial."""
    return Objective(
        study=study, space=study.spec.search_space(), out=out, device=RunDevice(), worker="test", **callbacks
    )


def has_waiting_trial(study: LoadedStudy) -> bool:
    """Returns whether a trial is still waiting."""
    return any(trial.state is TrialState.WAITING for trial in study.trials)


def run_waiting_trials(study: LoadedStudy, objective: Objective) -> None:
    """Runs waiting trials, as a worker would, until an exception or the end."""
    while has_waiting_trial(study):
        try:
            run_waiting_trial(study, objective)
        except QueueEmptyError:
            return


def fake_run(loss: Any, **result: Any) -> Any:
    """Returns a stand-in for `run` whose validation loss is a function of the experiment and the step."""

    def run(experiment: Any, out: Path, machine: Any, *, stop: Any, on_progress: Any, on_row: Any, **rest: Any) -> Any:
        rows = []
        for step in range(1, experiment.budget.steps + 1):
            rows.append({"step": step, "val/loss": float(loss(experiment, step))})
            on_row(rows[-1])
            if stop():
                return None
        contents = {"validation": {"loss": rows[-1]["val/loss"]}, "test": {"loss": -1.0}, "parameters": 7, **result}
        return SimpleNamespace(
            folder=out, metrics=lambda: pd.DataFrame(rows), diverged=False, result=contents, timing={"seconds": 2.0}
        )

    return run
