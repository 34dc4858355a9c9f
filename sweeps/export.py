"""What a store knows of a study, written down for reports, which need neither the store nor Optuna."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from sweeps.studies import VERSIONS, LoadedStudy
from sweeps.trial_budget import DIVERGED, ENDED, ERROR, IDENTITY, SURPLUS, slot_of
from workbench import study_files
from workbench.config import TUNING_SEED
from workbench.study_files import State, Study, Trial

MIN_TRIALS_FOR_IMPORTANCE = 4
"""Complete trials below which nothing is said of what matters."""
STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "interrupted",
}


def write_studies(out: Path, opened: LoadedStudy, seeds: int) -> Study:
    """Writes a study's file.

    Args:
        out: the folder of results.
        opened: the study.
        seeds: how many fresh runs its winner is to have.
    """
    study = export_study(opened, seeds)
    study_files.write(out, study)
    return study


def export_study(opened: LoadedStudy, seeds: int) -> Study:
    """A study as it is now."""
    spec = opened.spec
    default = default_identity(opened)
    found = [trial for trial in opened.trials if trial.user_attrs.get(ENDED) != SURPLUS and slot_of(trial) >= 0]
    best = best_trial(found)
    settings = spec.to_dict()
    space = settings.pop("space")
    return Study(
        name=spec.name,
        task=spec.task.name,
        task_options=spec.task.options,
        architecture=spec.architecture,
        asked=opened.asked,
        objectives=spec.objectives,
        settings={**settings, "versions": opened.study.user_attrs.get(VERSIONS, {})},
        space=space,
        trials=tuple(export_trial(each, default) for each in found),
        winner=None if best is None else best.number,
        winner_identity=None if best is None else best.user_attrs.get(IDENTITY),
        default_identity=default,
        seeds=seeds,
        importances=importances(opened),
    )


def default_identity(opened: LoadedStudy) -> str:
    """Of the configuration that an untuned comparison would have."""
    return opened.spec.experiment({}, TUNING_SEED).identity


def best_trial(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The complete trial of the lowest validation loss, the earlier of two that are equal. One that somebody else put
    into the store is none of the budget, and cannot win."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and slot_of(trial) >= 0]
    return min(complete, key=lambda trial: (*trial.values, trial.number), default=None)


def export_trial(trial: FrozenTrial, default: str) -> Trial:
    """A trial as reports know it."""
    duration = trial.duration
    return Trial(
        number=trial.number,
        place=slot_of(trial),
        state=export_state(trial),
        params=dict(trial.params),
        values=tuple(trial.values) if trial.state is TrialState.COMPLETE else None,
        intermediate=tuple(
            (step, value) for step, value in sorted(trial.intermediate_values.items()) if math.isfinite(value)
        ),
        identity=trial.user_attrs.get(IDENTITY),
        seconds=None if duration is None else duration.total_seconds(),
        ended=None if trial.datetime_complete is None else trial.datetime_complete.isoformat(timespec="seconds"),
        default=trial.user_attrs.get(IDENTITY) == default,
        error=trial.user_attrs.get(ERROR),
    )


def export_state(trial: FrozenTrial) -> State:
    """A trial's state in the words of the bench."""
    if trial.state is TrialState.PRUNED and trial.user_attrs.get(ENDED) == DIVERGED:
        return "diverged"
    if trial.state is TrialState.FAIL and ERROR in trial.user_attrs:
        return "failed"
    return STATES[trial.state]


def importances(opened: LoadedStudy) -> dict[str, float] | None:
    """What share of the differences each parameter accounts for, among the complete trials: PED-ANOVA (Watanabe, Bansal
    and Hutter 2023). With two objectives, of those in the loss."""
    complete = [trial for trial in opened.trials if trial.state is TrialState.COMPLETE]
    if len(complete) < MIN_TRIALS_FOR_IMPORTANCE or len({trial.values[0] for trial in complete}) < 2:
        return None

    def loss(trial: FrozenTrial) -> float:
        return float(trial.values[0])

    target: dict[str, Any] = {"target": loss} if len(opened.spec.objectives) > 1 else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # With few trials; the report says with how many.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        # Of any target; the lowest losses are meant.
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
        try:
            found = get_param_importances(opened.study, evaluator=PedAnovaImportanceEvaluator(), **target)
        except (ValueError, RuntimeError):
            return None
    return {name: float(share) for name, share in found.items() if math.isfinite(share)} or None
