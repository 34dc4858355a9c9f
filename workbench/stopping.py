"""Where a run may end before its budget does."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from workbench.errors import UserError
from workbench.tasks import Criterion, Task

SOLVED = "solved"
"""The goal that a task states itself: its criterion, on one training batch."""

FORM = re.compile(
    r"\s*(?P<split>train|val)/(?P<metric>[\w-]+)\s*(?P<sign>[<>]=?)\s*(?P<bound>[-+.\deE]+)"
    r"(?:\s*,\s*(?P<times>\d+)\s+times)?\s*$"
)
EXAMPLES = "solved, 'train/loss < 0.001' or 'val/accuracy > 0.99, 3 times'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on what `metrics.csv` has columns of."""

    split: Literal["train", "val"]
    """Whether it is watched on every training batch, or on the validation set at every row of metrics."""
    criterion: Criterion
    times: int = 1
    """How often in a row it has to be met."""

    @classmethod
    def read(cls, text: Any) -> Self:
        """The goal behind a text such as `val/loss < 0.001, 3 times`.

        Raises:
            UserError: if it is none.
        """
        found = FORM.match(text) if isinstance(text, str) else None
        if found is None:
            raise UserError(f"until must be {EXAMPLES}, not {text!r}")
        try:
            bound = float(found["bound"])
        except ValueError:
            raise UserError(f"until has no number in {text!r}; it must be {EXAMPLES}") from None
        if not math.isfinite(bound):
            raise UserError(f"until has no finite number in {text!r}; it must be {EXAMPLES}")
        sign, times = found["sign"], int(found["times"] or 1)
        if times < 1:
            raise UserError(f"until is met at least once, not {times} times")
        criterion = Criterion(metric=found["metric"], bound=bound, above=sign[0] == ">", or_equal=len(sign) == 2)
        return cls(split="train" if found["split"] == "train" else "val", criterion=criterion, times=times)

    @classmethod
    def of(cls, text: str | None, task: Task) -> Self | None:
        """The goal of a budget on a task; `None` where it has none.

        Raises:
            UserError: if the task does not say when it is solved.
        """
        if text is None:
            return None
        if text != SOLVED:
            return cls.read(text)
        if task.solved is None:
            raise UserError(
                f"nobody has said when {type(task).__name__} is solved, so until cannot be {SOLVED}; "
                "say it with --until 'val/accuracy > 0.9'"
            )
        return cls(split="train", criterion=task.solved)

    @property
    def column(self) -> str:
        """The column of `metrics.csv` that it is a bound on."""
        return f"{self.split}/{self.criterion.metric}"

    def __str__(self) -> str:
        criterion, often = self.criterion, f", {self.times} times" if self.times > 1 else ""
        sign = (">" if criterion.above else "<") + "=" * criterion.or_equal
        # In full: the bound decides where a run ends.
        short = f"{criterion.bound:g}"
        bound = short if float(short) == criterion.bound else repr(criterion.bound)
        return f"{self.split}/{criterion.metric} {sign} {bound}{often}"


@dataclass(slots=True, kw_only=True)
class GoalTracker:
    """Counts how often in a row a goal was met."""

    goal: Goal
    met: int = 0
    reached_at: int | None = None
    """The step at which it had been met often enough."""

    def see(self, step: int, value: float) -> None:
        """Takes note of one value; what comes after the goal changes nothing."""
        if self.reached_at is None:
            self.met = self.met + 1 if self.goal.criterion.met(value) else 0
            if self.met == self.goal.times:
                self.reached_at = step


MEAN_OF = 50
"""Steps over which `solved_at_mean50` averages: one lucky batch does not solve a task."""


@dataclass(slots=True, kw_only=True)
class Milestones:
    """Watches the metric that a task is judged by, one fresh training batch at a time."""

    criterion: Criterion | None
    """The bound to meet; `None` where the field has none."""
    solved_at: int | None = None
    """The first step whose batch met the bound."""
    solved_at_mean50: int | None = None
    """The first step at which the mean over the last 50 batches met it."""
    recent: list[float] = field(default_factory=list)
    """The last 50 values."""

    def see(self, step: int, scores: Mapping[str, float]) -> None:
        """Takes note of a step's scores; steps count from 1."""
        if self.criterion is None or (self.solved_at is not None and self.solved_at_mean50 is not None):
            return
        value = scores[self.criterion.metric]
        self.recent = [*self.recent[1 - MEAN_OF :], value]
        if self.solved_at is None and self.criterion.met(value):
            self.solved_at = step
        mean = math.fsum(self.recent) / len(self.recent)
        if self.solved_at_mean50 is None and len(self.recent) == MEAN_OF and self.criterion.met(mean):
            self.solved_at_mean50 = step

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, for a checkpoint; the criterion is the task's to say."""
        return asdict(self) | {"criterion": None}
