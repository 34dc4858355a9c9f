"""When a task was solved."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.tasks import Criterion

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
