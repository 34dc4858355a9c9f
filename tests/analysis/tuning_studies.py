"""Studies with known numbers, as a sweep writes them, and the runs of their winners and defaults."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.grouping import Section, build_sections
from analysis.report.tuning.tuned_tasks import TunedTask, tuned_tasks
from tests.analysis.report_runs import experiment, write_run
from workbench import study_files
from workbench.config import Experiment
from workbench.results import finished_runs
from workbench.study_files import Study, Trial, TrialStatus

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

FACTORS = (1 / 1.04, 1 / 1.01, 1.01, 1.04)
"""Loss of each of four seeds, as a share of their geometric mean."""
SWEEP: Mapping[str, tuple[float, float]] = {"lstm": (0.14, 0.021), "gru": (0.05, 0.0495), "rda": (0.1, 0.0011)}
"""Mean test loss of each architecture's default and winner."""


def trial(
    number: int,
    loss: float | None = None,
    *more: float,
    state: TrialStatus | None = None,
    params: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Trial:
    """Returns a trial; by default it is complete if it has a loss, and failed if it has none.

    Args:
        number: number of the trial.
        loss: loss at the end, and the last one that was reported.
        more: further objectives.
        state: state of the trial.
        params: parameters of the trial.
        rest: other fields.
    """
    status: TrialStatus = state or ("complete" if loss is not None else "failed")
    return Trial(
        number=number,
        place=rest.pop("place", number),
        state=status,
        params={"learning_rate": 1e-3 * 1.2**number} if params is None else params,
        values=(loss, *more) if loss is not None and status == "complete" else None,
        intermediate=() if loss is None else ((100, 2 * loss), (2000 if status == "complete" else 200, loss)),
        seconds=rest.pop("seconds", 10.0),
        identity=rest.pop("identity", f"{number:012x}"),
        **rest,
    )


def study(architecture: str = "lstm", trials: Sequence[Trial] = (), **rest: Any) -> Study:
    """Returns a study whose winner is the complete trial with the lowest loss; `rest` replaces other fields."""
    complete = [(trial.values, trial.number) for trial in trials if trial.values is not None]
    best = min(complete)[1] if complete else None
    settings = {**SETTINGS, "architecture": architecture, **rest.pop("settings", {})}
    fields: dict[str, Any] = {
        "name": f"addition/{architecture}",
        "task": "addition",
        "task_options": OPTIONS,
        "asked": sum(trial.state in study_files.FINISHED_STATES for trial in trials),
        "objectives": ("loss",),
        "settings": settings,
        "space": SPACE,
        "winner": best,
        "winner_identity": None,
        "default_identity": None,
        "seeds": 3,
    }
    return Study(architecture=architecture, trials=tuple(trials), **{**fields, **rest})


def trial_params(number: int) -> dict[str, Any]:
    """Returns parameters that cover `SPACE` evenly, with the conditional ones if their condition holds."""
    shares = [(number * root) % 1 for root in (0.618034, 0.754878, 0.569840, 0.819173)]
    params: dict[str, Any] = {
        "learning_rate": 1e-4 * 100 ** shares[0],
        "hidden_size": int(16 * 8 ** shares[1]),
        "num_layers": 1 + number % 2,
        "clip": ["value", "norm", "none"][number % 3],
        "learn_initial_state": number % 5 < 2,
        "chrono": None if shares[2] < 0.5 else 100,
    }
    if params["num_layers"] == 2:
        params["dropout"] = shares[3] / 2
    if params["clip"] != "none":
        params["clip_at"] = 0.1 * 100 ** shares[2]
    return params


def trial_loss(params: Mapping[str, Any], floor: float) -> float:
    """Returns a loss that is lowest at a learning rate of 0.002, and lower for larger hidden sizes."""
    distance: float = math.log10(params["learning_rate"] / 0.002)
    return floor + 0.05 * distance**2 + float(0.4 / params["hidden_size"])


def searched_study(architecture: str, floor: float, count: int = 24, **rest: Any) -> Study:
    """Returns a study of `count` trials over `SPACE`, some pruned and some diverged; the first is the default."""
    trials = []
    for number in range(count):
        params = trial_params(number)
        loss = trial_loss(params, floor)
        if number % 6 == 5:
            trials.append(trial(number, 1.5 * loss, state="pruned", params=params, seconds=2.0))
        elif number % 11 == 10:
            trials.append(trial(number, state="diverged", params=params, seconds=1.0))
        else:
            trials.append(trial(number, loss, params=params, default=number == 0, seconds=10.0 + number / 8))
    importances = rest.pop("importances", {"learning_rate": 0.6, "hidden_size": 0.3, "clip": 0.1})
    return study(architecture, trials, importances=importances, **rest)


def write_tuned_runs(
    out: Path, study: Study, default: Sequence[float | None], tuned: Sequence[float | None] | None, **rest: Any
) -> tuple[Study, Experiment, Experiment]:
    """Writes the runs of a study's default and winner on the seeds 0, 1, ..., and the study with their identities.

    Args:
        out: the folder of results.
        study: the study.
        default: test losses of the default, seed by seed; `None` is a diverged run.
        tuned: test losses of the winner; `None` if the default is also the winner.
        rest: keywords of `write_run`.

    Returns:
        The study as it was written, and the experiments of the default and of the winner.
    """
    default_experiment = experiment(study.architecture)
    tuned_experiment = default_experiment
    runs: list[tuple[Experiment, Sequence[float | None]]] = [(default_experiment, default)]
    if tuned is not None:
        tuned_experiment = experiment(study.architecture, hidden_size=100, learning_rate=0.002)
        runs.append((tuned_experiment, tuned))
    for configuration, losses in runs:
        for seed, loss in enumerate(losses):
            seeded = Experiment.from_dict({**configuration.to_dict(), "seed": seed})
            write_run(out, seeded, loss=loss, losses=(0.2, 0.1, *([] if loss is None else [loss])), **rest)
    values = {**study.to_dict(), "trials": [dict(trial) for trial in study.to_dict()["trials"]]}
    values |= {"winner_identity": tuned_experiment.identity, "default_identity": default_experiment.identity}
    written = Study.from_dict(values)
    study_files.write_study(out, written)
    return written, default_experiment, tuned_experiment


def write_sweep(
    out: Path, means: Mapping[str, tuple[float, float]] = SWEEP, factors: Sequence[float] = FACTORS
) -> None:
    """Writes the studies of several architectures, with runs that spread alike around the means of their losses."""
    for name, (default, tuned) in means.items():
        losses = ([mean * factor for factor in factors] for mean in (default, tuned))
        write_tuned_runs(out, searched_study(name, 0.01), *losses)


def read_results(out: Path) -> tuple[Section, TunedTask]:
    """Reads a folder with studies and runs on one variant of a task."""
    studies = study_files.read_studies(out)
    (section,) = build_sections(finished_runs(out), studies)
    (task,) = tuned_tasks(studies, [section])
    return section, task
