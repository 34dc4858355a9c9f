"""Metrics of the papers' tables: the number of steps to a goal, or a metric on the test set."""

import math
from dataclasses import dataclass
from typing import Self

import pandas as pd

from workbench.errors import UserError
from workbench.results import Run
from workbench.stopping import Goal, GoalTracker

TEST = "test/"
SPLITS = {"train": "a training batch", "val": "the validation set"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of a table, written as `train/loss < 0.001`, `val/loss < 0.01, 3 times` or `test/accuracy`."""

    text: str
    goal: Goal | None = None
    """The goal, if steps are counted."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a metric.

        Raises:
            UserError: if the text is not a metric.
        """
        if text.startswith(TEST):
            return cls(text=text)
        goal = Goal.parse(text)
        if goal.split == "train" and goal.times > 1:
            raise UserError(f"{text!r}: a run records only the first training batch that meets a bound")
        return cls(text=str(goal), goal=goal)

    def evaluate(self, run: Run) -> float | None:
        """Returns the value of a run; `None` if the goal was not reached, or the run does not have the metric.

        Raises:
            UserError: if the run recorded another training goal.
        """
        if self.goal is None:
            value = run.test_metric(self.text.removeprefix(TEST))
            return value if math.isfinite(value) else None
        if self.goal.split == "train":
            if run.result["criterion"] != str(self.goal.criterion):
                recorded = run.result["criterion"]
                raise UserError(f"{run.folder} did not record {self.text}, but {recorded}")
            return _float(run.result["solved_at"])
        return first_step_reached(run.metrics(), self.goal)

    @property
    def counts_steps(self) -> bool:
        """True if the metric is a number of steps."""
        return self.goal is not None

    @property
    def is_per_row(self) -> bool:
        """True if the metric is only known once per row of `metrics.csv`."""
        return self.goal is not None and self.goal.split == "val"

    @property
    def less_is_better(self) -> bool:
        """True if a smaller value is better."""
        return self.counts_steps or "accuracy" not in self.text

    def __str__(self) -> str:
        if self.goal is None:
            return f"test {self.text.removeprefix(TEST).replace('_', ' ')}"
        repeats = f" {self.goal.times} times in a row" if self.goal.times > 1 else ""
        return f"steps until {self.goal.criterion} on {SPLITS[self.goal.split]}{repeats}"


def first_step_reached(metrics: pd.DataFrame, goal: Goal) -> float | None:
    """Returns the step of the row of metrics at which a goal on the validation set was reached; `None` if never."""
    tracker = GoalTracker(goal=goal)
    if goal.column not in metrics:
        return None
    for step, value in zip(metrics["step"], metrics[goal.column], strict=True):
        tracker.update(int(step), float(value))
    return _float(tracker.reached_at)


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)
