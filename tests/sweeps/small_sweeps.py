"""Small sweeps for tests."""

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
from sweeps.trial_budget import enqueue_slots
from sweeps.worker import attempt, silence_optuna
from workbench.config import Budget
from workbench.run import RunDevice

silence_optuna()


def small(**changed: Any) -> Sweep:
    """A sweep of one study whose runs take a fraction of a second."""
    given = {
        "tasks": ("addition",),
        "architectures": ("rnn",),
        "trials": 6,
        "seeds": 2,
        "hidden_size": 4,
        "budget": Budget(steps=4, batch_size=2, log_every=1, evaluation_size=4),
        "task": {"addition": {"length": 6}},
        "space": {"rnn": narrowed("rnn")},
    }
    return Sweep(**{**given, **changed})


def narrowed(architecture: str, **more: Any) -> dict[str, Any]:
    """A space of two parameters: everything else that is searched by default is left alone."""
    plain = Sweep(tasks=("addition",), architectures=(architecture,), trials=1).specs()[0].space
    kept = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "hidden_size": {"low": 2, "high": 6}}
    return {**dict.fromkeys(plain), **kept, **more}


def study(storage: BaseStorage | None = None, *, asked: int = 6, **changed: Any) -> LoadedStudy:
    """The study of a small sweep, with its places filled."""
    (spec,) = small(**changed).specs()
    return filled(create_studies(storage or InMemoryStorage(), [spec], asked)[0])


def filled(opened: LoadedStudy, retries: int = 5) -> LoadedStudy:
    """The study, once every place has a trial."""
    enqueue_slots(opened.study, opened.asked, opened.spec.default(), retries)
    return opened


def objective(opened: LoadedStudy, out: Path, **told: Any) -> Objective:
    """What a worker calls for a trial."""
    return Objective(opened=opened, space=opened.spec.searched(), out=out, machine=RunDevice(), worker="test", **told)


def waiting(opened: LoadedStudy) -> bool:
    """Whether a trial is still to be begun."""
    return any(trial.state is TrialState.WAITING for trial in opened.trials)


def work(opened: LoadedStudy, called: Any) -> None:
    """Does what waits, as a worker would, until an exception or the end."""
    while waiting(opened):
        try:
            attempt(opened, called)
        except QueueEmptyError:
            return


def pretended(loss: Any, **result: Any) -> Any:
    """What stands in for `run`: the validation loss is a function of the experiment and the step."""

    def run(experiment: Any, out: Path, machine: Any, *, stop: Any, progress: Any, watch: Any, note: Any) -> Any:
        rows = []
        for step in range(1, experiment.budget.steps + 1):
            rows.append({"step": step, "val/loss": float(loss(experiment, step))})
            watch(rows[-1])
            if stop():
                return None
        found = {"validation": {"loss": rows[-1]["val/loss"]}, "test": {"loss": -1.0}, "parameters": 7, **result}
        return SimpleNamespace(
            folder=out, metrics=lambda: pd.DataFrame(rows), diverged=False, result=found, timing={"seconds": 2.0}
        )

    return run
