"""Export of studies from a store to JSON files, for reports, which need neither the store nor Optuna."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from sweeps.studies import VERSIONS, LoadedStudy
from sweeps.trial_budget import DIVERGED, DUPLICATE, ERROR, IDENTITY, OUTCOME, is_enqueued, slot_of
from workbench import study_files
from workbench.study_files import Direction, Study, Trial, TrialStatus

MIN_TRIALS_FOR_IMPORTANCE = 4
"""Complete trials below which no importances are computed."""
STATE_NAMES: dict[TrialState, TrialStatus] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "interrupted",
}
"""States of the study files by Optuna's states."""


def write_study(out: Path, study: LoadedStudy, seeds: int) -> Study:
    """Writes a study's file, and returns its content.

    Args:
        out: the folder of results.
        study: the study.
        seeds: the number of fresh runs of its winner.
    """
    exported = export_study(study, seeds)
    study_files.write_study(out, exported)
    return exported


def export_study(study: LoadedStudy, seeds: int) -> Study:
    """Returns the present state of a study."""
    spec = study.spec
    default = study.default_identity
    trials = [trial for trial in study.trials if trial.user_attrs.get(OUTCOME) != DUPLICATE and slot_of(trial) >= 0]
    best = best_trial(trials, spec.direction)
    settings = spec.to_dict()
    space = settings.pop("space")
    return Study(
        name=spec.name,
        task=spec.task.name,
        task_options=spec.task.options,
        architecture=spec.architecture,
        asked=study.num_trials,
        objectives=spec.objectives,
        direction=spec.direction,
        settings={**settings, "versions": study.optuna_study.user_attrs.get(VERSIONS, {})},
        space=space,
        trials=tuple(export_trial(trial, default) for trial in trials),
        winner=None if best is None else best.number,
        winner_identity=None if best is None else best.user_attrs.get(IDENTITY),
        default_identity=default,
        seeds=seeds,
        importances=param_importances(study),
    )


def best_trial(trials: Sequence[FrozenTrial], direction: Direction = "minimize") -> FrozenTrial | None:
    """Returns the complete trial that is best on the validation set, the earlier of two equal ones; `None` if none is.

    A trial without a slot, which something else put into the store, does not count.

    Args:
        trials: of a study.
        direction: of its first objective; of a second one less is better.
    """
    sign = 1 if direction == "minimize" else -1
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and slot_of(trial) >= 0]
    return min(complete, key=lambda trial: (sign * trial.values[0], *trial.values[1:], trial.number), default=None)


def export_trial(trial: FrozenTrial, default_identity: str | None) -> Trial:
    """Returns a trial as reports read it.

    Args:
        trial: the trial.
        default_identity: identity of the default configuration, if it is known.
    """
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
        default=default_identity is not None and trial.user_attrs.get(IDENTITY) == default_identity,
        error=trial.user_attrs.get(ERROR),
        enqueued=is_enqueued(trial),
    )


def export_state(trial: FrozenTrial) -> TrialStatus:
    """Returns a trial's state as the study files have it, which tell more states apart than Optuna."""
    if trial.state is TrialState.PRUNED and trial.user_attrs.get(OUTCOME) == DIVERGED:
        return "diverged"
    if trial.state is TrialState.FAIL and ERROR in trial.user_attrs:
        return "failed"
    return STATE_NAMES[trial.state]


def param_importances(study: LoadedStudy) -> dict[str, float] | None:
    """Returns each parameter's share of the differences between complete trials, by the study's first objective.

    The method is PED-ANOVA (Watanabe, Bansal and Hutter 2023); it asks what the best trials have in common.

    Returns:
        Shares that add up to 1, by parameter; `None` if there are too few trials, or all are equally good.
    """
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    if len(complete) < MIN_TRIALS_FOR_IMPORTANCE or len({trial.values[0] for trial in complete}) < 2:
        return None

    def loss(trial: FrozenTrial) -> float:
        return float(trial.values[0])

    target: dict[str, Any] = {"target": loss} if len(study.spec.objectives) > 1 else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Optuna warns of few trials; the report gives their number.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        # Optuna warns of any target; the lowest losses are meant here.
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
        try:
            shares = get_param_importances(study.optuna_study, evaluator=PedAnovaImportanceEvaluator(), **target)
        except (ValueError, RuntimeError):
            return None
    return {name: float(share) for name, share in shares.items() if math.isfinite(share)} or None
