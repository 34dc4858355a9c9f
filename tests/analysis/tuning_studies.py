"""Studies with known numbers, as a sweep would have written them, and the runs of their winners and defaults."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.analysis.report_runs import experiment, write_run
from workbench import study_files
from workbench.config import Experiment
from workbench.study_files import State, Study, Trial

OPTIONS = {"length": 100}
SPACE: Mapping[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "hidden_size": {"low": 16, "high": 128, "log": True},
    "num_layers": {"low": 1, "high": 2},
    "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
    "learn_initial_state": [True, False],
    "chrono": {"choices": [None, 100]},
    "optimizer": "adam",
}
SETTINGS: Mapping[str, Any] = {
    "name": "addition/any",
    "architecture": "any",
    "task": {"name": "addition", "options": OPTIONS, "source": None},
    "options": {},
    "hidden_size": 64,
    "match": "none",
    "parameters": None,
    "optimization": {"optimizer": "adam", "learning_rate": 0.001},
    "embedding_size": None,
    "budget": {"steps": 2000, "seconds": None, "batch_size": 20, "log_every": 100, "evaluation_size": 500},
    "objectives": ["loss"],
    "sampler": "tpe",
    "startup_trials": 10,
    "sampler_seed": 0,
    "pruner": "median",
    "source": None,
    "versions": {"optuna": "5.0.0"},
}


def trial(
    number: int,
    loss: float | None = None,
    *more: float,
    state: State | None = None,
    params: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Trial:
    """A trial; one with a loss is complete, where no other state is given, and its loss is then the last reported."""
    kind: State = state or ("complete" if loss is not None else "failed")
    return Trial(
        number=number,
        place=rest.pop("place", number),
        state=kind,
        params={"learning_rate": 1e-3 * 1.2**number} if params is None else params,
        values=(loss, *more) if loss is not None and kind == "complete" else None,
        intermediate=() if loss is None else ((100, 2 * loss), (2000 if kind == "complete" else 200, loss)),
        seconds=rest.pop("seconds", 10.0),
        identity=rest.pop("identity", f"{number:012x}"),
        **rest,
    )


def study(architecture: str = "lstm", trials: Sequence[Trial] = (), **rest: Any) -> Study:
    """A study whose winner is the complete trial of the lowest loss."""
    complete = [(each.values, each.number) for each in trials if each.values is not None]
    best = min(complete)[1] if complete else None
    settings = {**SETTINGS, "architecture": architecture, **rest.pop("settings", {})}
    made: dict[str, Any] = {
        "name": f"addition/{architecture}",
        "task": "addition",
        "task_options": OPTIONS,
        "asked": sum(each.state in study_files.FINISHED for each in trials),
        "objectives": ("loss",),
        "settings": settings,
        "space": SPACE,
        "winner": best,
        "winner_identity": None,
        "default_identity": None,
        "seeds": 3,
    }
    return Study(architecture=architecture, trials=tuple(trials), **{**made, **rest})


def chosen(number: int) -> dict[str, Any]:
    """Parameters of `SPACE` that cover it evenly, the conditional ones where their condition holds."""
    share = [(number * root) % 1 for root in (0.618034, 0.754878, 0.569840, 0.819173)]
    made: dict[str, Any] = {
        "learning_rate": 1e-4 * 100 ** share[0],
        "hidden_size": int(16 * 8 ** share[1]),
        "num_layers": 1 + number % 2,
        "clip": ["value", "norm", "none"][number % 3],
        "learn_initial_state": number % 5 < 2,
        "chrono": None if share[2] < 0.5 else 100,
    }
    if made["num_layers"] == 2:
        made["dropout"] = share[3] / 2
    if made["clip"] != "none":
        made["clip_at"] = 0.1 * 100 ** share[2]
    return made


def loss_at(params: Mapping[str, Any], floor: float) -> float:
    """A loss that is lowest at a learning rate of 0.002, and lower for wider ones."""
    distance: float = math.log10(params["learning_rate"] / 0.002)
    return floor + 0.05 * distance**2 + float(0.4 / params["hidden_size"])


def searched(architecture: str, floor: float, count: int = 24, **rest: Any) -> Study:
    """A study of `count` trials over `SPACE`, some pruned and some diverged; the first is the default."""
    made = []
    for number in range(count):
        params = chosen(number)
        loss = loss_at(params, floor)
        if number % 6 == 5:
            made.append(trial(number, 1.5 * loss, state="pruned", params=params, seconds=2.0))
        elif number % 11 == 10:
            made.append(trial(number, state="diverged", params=params, seconds=1.0))
        else:
            made.append(trial(number, loss, params=params, default=number == 0, seconds=10.0 + number / 8))
    importances = rest.pop("importances", {"learning_rate": 0.6, "hidden_size": 0.3, "clip": 0.1})
    return study(architecture, made, importances=importances, **rest)


def trained(
    out: Path, of: Study, default: Sequence[float], tuned: Sequence[float] | None, **rest: Any
) -> tuple[Study, Experiment, Experiment]:
    """Writes the runs of a study's default and winner on the seeds 0, 1, ..., and the study with their identities.

    Args:
        out: the folder of results.
        of: the study.
        default: the default's test losses, seed by seed.
        tuned: the winner's; `None` where the default is also the best.
        rest: for `write_run`.
    """
    plain = experiment(of.architecture)
    better = plain if tuned is None else experiment(of.architecture, hidden_size=100, learning_rate=0.002)
    for made, losses in ((plain, default), *(() if tuned is None else ((better, tuned),))):
        for seed, loss in enumerate(losses):
            same = Experiment.from_dict({**made.to_dict(), "seed": seed})
            write_run(out, same, loss=loss, losses=(0.2, 0.1, loss), **rest)
    values = {**of.to_dict(), "trials": [dict(each) for each in of.to_dict()["trials"]]}
    values |= {"winner_identity": better.identity, "default_identity": plain.identity}
    known = Study.from_dict(values)
    study_files.write(out, known)
    return known, plain, better
