"""What came of trials: their validation losses, the best so far, and how many ended how."""

import math
from collections.abc import Iterable

import numpy as np

from analysis.formats import listed, plural
from workbench.study_files import State, Study, Trial

OTHERS: tuple[tuple[State, str, str], ...] = (
    ("failed", "failed", "failed"),
    ("interrupted", "was interrupted", "were interrupted"),
    ("running", "is running", "are running"),
    ("waiting", "is waiting", "are waiting"),
)
"""The states that do not count against a budget, and what is said of one and of several."""


def loss_of(study: Study, trial: Trial) -> float | None:
    """The validation loss at the end of a complete trial; `None` for all others."""
    if trial.values is None or trial.state != "complete":
        return None
    loss = trial.values[study.objectives.index("loss") if "loss" in study.objectives else 0]
    return loss if math.isfinite(loss) else None


def last_of(trial: Trial) -> float | None:
    """The last validation loss that a trial reported, however it ended."""
    finite = [value for _, value in trial.intermediate if math.isfinite(value)]
    return finite[-1] if finite else None


def shown_loss(study: Study, trial: Trial) -> float | None:
    """The loss at which a trial is drawn: that at the end, or for a pruned one the last."""
    return last_of(trial) if trial.state == "pruned" else loss_of(study, trial)


def best_so_far(study: Study) -> np.ndarray:
    """The lowest validation loss up to each finished trial, by number.

    Returns:
        (finished,); NaN before the first complete trial.
    """
    losses = [loss_of(study, trial) for trial in study.finished]
    return np.fmin.accumulate(np.array([math.nan if loss is None else loss for loss in losses], dtype=float))


def default_trial(study: Study) -> Trial | None:
    """The finished trial of the default configuration; `None` where none was."""
    return next((trial for trial in study.finished if trial.default), None)


def seconds_of(study: Study) -> float | None:
    """Seconds of all trials together, however they ended; `None` where none is known."""
    known = [trial.seconds for trial in study.trials if trial.seconds is not None]
    return sum(known) if known else None


def counted(studies: Iterable[Study]) -> str:
    """How many trials ended how, in a sentence.

    Example: `Of 80 finished trials 12 were pruned and 1 diverged; beside them 2 failed.`
    """
    given = tuple(studies)

    def of(state: State) -> int:
        return sum(len(study.in_state(state)) for study in given)

    finished = sum(len(study.finished) for study in given)
    pruned, diverged = of("pruned"), of("diverged")
    ends = [f"{pruned} {'was' if pruned == 1 else 'were'} pruned"] if pruned else []
    ends += [f"{diverged} diverged"] if diverged else []
    if finished:
        said = f"Of {plural(finished, 'finished trial')} {listed(ends) or 'none was pruned and none diverged'}"
    else:
        said = "No trial has finished"
    others = [f"{amount} {one if amount == 1 else many}" for state, one, many in OTHERS if (amount := of(state))]
    beside = f"; beside them {listed(others)}" if others else ""
    return f"{said}{beside}."
