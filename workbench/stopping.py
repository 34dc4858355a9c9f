"""Goals that end a run before its budget does, and milestones: the steps at which a task is solved."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from architectures.limits import quote
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.tasks import Criterion, Task

SOLVED = "solved"
"""Name of the goal that a task itself states: its criterion, on one training batch."""

MEAN_WINDOW = 50
"""Steps over which `solved_at_mean50` averages, as one lucky batch does not solve a task."""

MAX_DIGITS = 10
"""Digits of more times than a run may have steps."""

GOAL_PATTERN = re.compile(
    r"\s*(?P<split>train|val)/(?P<metric>[\w-]+)\s*(?P<sign>[<>]=?)\s*(?P<bound>[-+.\deE]+)"
    r"(?:\s*,\s*(?P<times>\d+)\s+times)?\s*$"
)
GOAL_EXAMPLES = "solved, 'train/loss < 0.001' or 'val/accuracy > 0.99, 3 times'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on a column of `metrics.csv` that ends a run."""

    split: Literal["train", "val"]
    """train: checked on every training batch; val: on the validation set, at every row of metrics."""
    criterion: "Criterion"
    times: int = 1
    """Number of times in a row that it has to be met."""

    @classmethod
    def parse(cls, text: Any) -> Self:
        """Returns the goal that a text such as `val/loss < 0.001, 3 times` describes.

        Raises:
            UserError: if the text does not describe a goal.
        """
        match = GOAL_PATTERN.match(text) if isinstance(text, str) else None
        if match is None:
            raise UserError(f"until must be {GOAL_EXAMPLES}, not {quote(text)}")
        try:
            bound = float(match["bound"])
        except ValueError:
            raise UserError(f"until has no number in {quote(text)}; it must be {GOAL_EXAMPLES}") from None
        if not math.isfinite(bound):
            raise UserError(f"until has no finite number in {quote(text)}; it must be {GOAL_EXAMPLES}")
        sign, times = match["sign"], int((match["times"] or "1")[:MAX_DIGITS])
        if times < 1:
            raise UserError(f"until has to be met at least once, not {times} times")
        if len(match["times"] or "") >= MAX_DIGITS:
            raise UserError(f"until can be met no more often than a run has steps, not {quote(match['times'])} times")
        from workbench.tasks import Criterion

        criterion = Criterion(metric=match["metric"], bound=bound, above=sign[0] == ">", or_equal=len(sign) == 2)
        return cls(split="train" if match["split"] == "train" else "val", criterion=criterion, times=times)

    @classmethod
    def for_task(cls, text: str | None, task: "Task") -> Self | None:
        """Returns the goal of a run on a task; `None` if it has none.

        Args:
            text: `Budget.until`.
            task: the run's.

        Raises:
            UserError: if the text is `solved`, and the task has no criterion.
        """
        if text is None:
            return None
        if text != SOLVED:
            return cls.parse(text)
        if task.solved is None:
            raise UserError(
                f"{type(task).__name__} has no criterion for being solved, so until cannot be {SOLVED}; "
                "give a bound, as in --until 'val/accuracy > 0.9'"
            )
        return cls(split="train", criterion=task.solved)

    @property
    def column(self) -> str:
        """The column of `metrics.csv` that the bound is on."""
        return f"{self.split}/{self.criterion.metric}"

    def __str__(self) -> str:
        criterion, times = self.criterion, f", {self.times} times" if self.times > 1 else ""
        sign = (">" if criterion.above else "<") + "=" * criterion.or_equal
        # Every digit: the bound decides when a run ends.
        short = f"{criterion.bound:g}"
        bound = short if float(short) == criterion.bound else repr(criterion.bound)
        return f"{self.split}/{criterion.metric} {sign} {bound}{times}"


@dataclass(slots=True, kw_only=True)
class GoalTracker:
    """Count of the times in a row that a goal was met."""

    goal: Goal
    met: int = 0
    reached_at: int | None = None
    """Step at which it had been met often enough; `None` before."""

    def update(self, step: int, value: float) -> None:
        """Counts one value; values after the goal is reached change nothing."""
        if self.reached_at is None:
            self.met = self.met + 1 if self.goal.criterion.met(value) else 0
            if self.met == self.goal.times:
                self.reached_at = step


@dataclass(slots=True, kw_only=True)
class Milestones:
    """Steps at which a task is solved, found from its metric on one fresh training batch after another."""

    criterion: "Criterion | None"
    """Criterion of the task; `None` if it has none."""
    solved_at: int | None = None
    """First step whose batch met the criterion."""
    solved_at_mean50: int | None = None
    """First step at which the mean over the last 50 batches met it."""
    recent: list[float] = field(default_factory=list)
    """The last 50 values of the metric."""

    def update(self, step: int, scores: Mapping[str, float]) -> None:
        """Records the scores of a step; steps are counted from 1."""
        if self.criterion is None or (self.solved_at is not None and self.solved_at_mean50 is not None):
            return
        value = scores[self.criterion.metric]
        self.recent = [*self.recent[1 - MEAN_WINDOW :], value]
        if self.solved_at is None and self.criterion.met(value):
            self.solved_at = step
        mean = math.fsum(self.recent) / len(self.recent)
        if self.solved_at_mean50 is None and len(self.recent) == MEAN_WINDOW and self.criterion.met(mean):
            self.solved_at_mean50 = step

    def state_dict(self) -> dict[str, Any]:
        """Returns plain numbers, for a checkpoint, without the criterion, which follows from the task."""
        return asdict(self) | {"criterion": None}
