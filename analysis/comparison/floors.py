"""Runs that are at a floor: they have learned no more than a cheap strategy knows."""

import math
from collections.abc import Iterable

import numpy as np

from analysis.grouping import Row, Section
from analysis.statistics import wilson_interval
from workbench.results import Run
from workbench.tasks.floors import Floor

WORSE = 0.05
"""Share of a floor's loss by which a run at the floor may be above it, as training is finite."""
BETTER = 0.02
"""Share by which it may be below it, as the test set is."""
WITHOUT_MEMORY = "without memory"
"""Name of the best answer without memory, which is a floor too."""


def reached_floor(run: Run, floors: dict[str, Floor] | None = None) -> str | None:
    """Returns the name of the floor that a run is at; `None` if it is at none.

    A run is at a floor if its test loss is at most 5 % above the floor's and at most 2 % below it, and if its accuracy,
    where the floor has one too, is not clearly above the floor's: the lower end of Wilson's 95 % interval, for as many
    answers as the test set has sequences, is no larger than that. So a run that is better than a strategy by more than
    that is not said to be at its floor. Of several floors, `WITHOUT_MEMORY` among them, it is the one whose loss is
    nearest, as a ratio, and of several with the same loss the one whose accuracy is nearest. A floor that is as near
    to the best answer without memory as the rule is wide cannot be told from it: a run that is at both is at the
    latter. A loss of 0 is no floor.

    Args:
        run: a finished run.
        floors: those of its task; by default those that its result has.
    """
    loss, accuracy = run.test_metric("loss"), run.test_metric("accuracy")
    if not math.isfinite(loss) or loss <= 0:
        return None
    known = run.floors if floors is None else floors
    trivial = run.result.get("trivial_loss")
    candidates = {**known, **({} if trivial is None else {WITHOUT_MEMORY: Floor(loss=trivial)})}
    answers = run.experiment.budget.evaluation_size
    near = [
        (round(abs(math.log(loss / floor.loss)), 9), accuracy_distance(accuracy, floor), name)
        for name, floor in candidates.items()
        if floor.loss > 0
        and (1 - BETTER) * floor.loss <= loss <= (1 + WORSE) * floor.loss
        and not is_clearly_above(accuracy, floor.accuracy, answers)
    ]
    if trivial is not None and WITHOUT_MEMORY in (name for _, _, name in near):
        near = [
            found
            for found in near
            if found[2] == WITHOUT_MEMORY or abs(math.log(candidates[found[2]].loss / trivial)) > WORSE + BETTER
        ]
    return min(near)[2] if near else None


def unbeaten_floor(run: Run, floors: dict[str, Floor] | None = None) -> str | None:
    """Returns the name of a cheap strategy that a run is no better than; `None` if it is better than all.

    That is the floor that it is at or, of the strategies with a lower loss, the one with the nearest, unless the run's
    accuracy is clearly above that strategy's. The best answer without memory is none of them.

    Args:
        run: a finished run.
        floors: those of its task; by default those that its result has.
    """
    reached = reached_floor(run, floors)
    if reached not in (None, WITHOUT_MEMORY):
        return reached
    loss, accuracy = run.test_metric("loss"), run.test_metric("accuracy")
    if not math.isfinite(loss):
        return None
    answers = run.experiment.budget.evaluation_size
    below = [
        (floor.loss, accuracy_distance(accuracy, floor), name)
        for name, floor in (run.floors if floors is None else floors).items()
        if 0 < floor.loss <= loss and not is_clearly_above(accuracy, floor.accuracy, answers)
    ]
    return max(below, key=lambda found: (found[0], -found[1]))[2] if below else None


def accuracy_distance(accuracy: float, floor: Floor) -> float:
    """Returns how far an accuracy is from a floor's; infinite if one of them is not known."""
    if floor.accuracy is None or math.isnan(accuracy):
        return math.inf
    return abs(accuracy - floor.accuracy)


def is_clearly_above(accuracy: float, floor: float | None, answers: int) -> bool:
    """Returns whether an accuracy is above a floor's by more than chance; never if one of them is not known."""
    if floor is None or math.isnan(accuracy):
        return False
    low, _ = wilson_interval(np.array(accuracy), np.array(answers))
    return float(low) > floor


def count_reached(row: Row, floors: dict[str, Floor]) -> dict[str, int]:
    """Returns how many runs of a row are at each floor, by the floor's name, the most first."""
    return count_names(reached_floor(run, floors) for run in row.runs)


def count_unbeaten(row: Row, floors: dict[str, Floor]) -> dict[str, int]:
    """Returns how many runs of a row are no better than each cheap strategy, by its name, the most first."""
    return count_names(unbeaten_floor(run, floors) for run in row.runs)


def count_names(names: Iterable[str | None]) -> dict[str, int]:
    """Returns how often each name is there, without `None`, the most frequent first."""
    counts: dict[str, int] = {}
    for name in names:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def format_reached_floor(row: Row, section: Section) -> str:
    """Returns the floors that runs of a row are at, with their numbers if not all are: `bag of values (2 of 3)`."""
    counts = {name: count for name, count in count_reached(row, section.floors).items() if name != WITHOUT_MEMORY}
    return ", ".join(
        name if count == len(row.runs) else f"{name} ({count} of {len(row.runs)})" for name, count in counts.items()
    )
