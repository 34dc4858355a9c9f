"""The table of all trials that is written beside a report."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.tuning.outcomes import last_of
from workbench.study_files import Study, Trial


def trials(studies: Sequence[Study]) -> pd.DataFrame:
    """A row for each trial, by task, architecture and number.

    Every objective has a column of its own, `values/loss`; `last/loss` is the last validation loss that was reported,
    of a pruned trial too. What a trial does not have is missing.
    """
    objectives = sorted({name for study in studies for name in study.objectives})
    found = [record(study, trial, objectives) for study in studies for trial in study.trials]
    # Whole numbers stay whole where some trials have none.
    return pd.DataFrame(found, columns=list(columns(objectives))).convert_dtypes()


def columns(objectives: Sequence[str]) -> tuple[str, ...]:
    """The columns, in their order."""
    before = ("task", "task_options", "architecture", "study", "number", "place", "state", "default", "winner")
    values = (f"values/{name}" for name in objectives)
    return (*before, *values, "last/step", "last/loss", "params", "seconds", "ended", "identity", "error")


def record(study: Study, trial: Trial, objectives: Sequence[str]) -> dict[str, Any]:
    """A trial in one flat row."""
    values = dict(zip(study.objectives, trial.values or (), strict=False))
    return {
        "task": study.task,
        "task_options": json.dumps(dict(study.task_options), sort_keys=True),
        "architecture": study.architecture,
        "study": study.name,
        "number": trial.number,
        "place": trial.place,
        "state": trial.state,
        "default": trial.default,
        "winner": trial.number == study.winner,
        **{f"values/{name}": values.get(name) for name in objectives},
        "last/step": trial.intermediate[-1][0] if trial.intermediate else None,
        "last/loss": last_of(trial),
        "params": json.dumps(dict(trial.params), sort_keys=True),
        "seconds": trial.seconds,
        "ended": trial.ended,
        "identity": trial.identity,
        "error": trial.error,
    }
