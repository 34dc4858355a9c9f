"""What a table counts of a run: the steps to a goal, or a metric on the test set."""

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
    """Written as `train/loss < 0.001`, `val/loss < 0.01, 3 times` or `test/accuracy`."""

    text: str
    goal: Goal | None = None
    """What is to be reached, where steps are counted."""

    @classmethod
    def read(cls, text: str) -> Self:
        """The measure behind a text.

        Raises:
            UserError: if it is none.
        """
        if text.startswith(TEST):
            return cls(text=text)
        goal = Goal.read(text)
        if goal.split == "train" and goal.times > 1:
            raise UserError(f"{text!r}: of training batches only the first that meets a bound is kept")
        return cls(text=str(goal), goal=goal)

    def of(self, run: Run) -> float | None:
        """The steps, or the metric; `None` where the goal was not reached, or the run has no such number.

        Raises:
            UserError: if the run kept no count of it.
        """
        if self.goal is None:
            value = run.test(self.text.removeprefix(TEST))
            return value if math.isfinite(value) else None
        if self.goal.split == "train":
            if run.result["criterion"] != str(self.goal.criterion):
                raise UserError(f"{run.folder} was not watched for {self.text}, but for {run.result['criterion']}")
            return _float(run.result["solved_at"])
        return first_reached(run.metrics(), self.goal)

    @property
    def counts_steps(self) -> bool:
        """Whether it is a number of steps."""
        return self.goal is not None

    @property
    def by_rows(self) -> bool:
        """Whether it is looked at once a row of metrics."""
        return self.goal is not None and self.goal.split == "val"

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller number is the better one."""
        return self.counts_steps or "accuracy" not in self.text

    def __str__(self) -> str:
        if self.goal is None:
            return f"test {self.text.removeprefix(TEST).replace('_', ' ')}"
        often = f" {self.goal.times} times in a row" if self.goal.times > 1 else ""
        return f"steps until {self.goal.criterion} on {SPLITS[self.goal.split]}{often}"


def first_reached(metrics: pd.DataFrame, goal: Goal) -> float | None:
    """The step of the row by which a goal on the validation set was reached."""
    watch = GoalTracker(goal=goal)
    if goal.column not in metrics:
        return None
    for step, value in zip(metrics["step"], metrics[goal.column], strict=True):
        watch.see(int(step), float(value))
    return _float(watch.reached_at)


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)
