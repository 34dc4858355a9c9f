"""The record of a run, which its callbacks share and its checkpoints hold."""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from workbench import checkpoints
from workbench.config import Experiment
from workbench.devices import to_floats
from workbench.stopping import GoalTracker, Milestones
from workbench.training.data_module import TaskDataModule
from workbench.training.sequence_module import SequenceModule

Row = dict[str, float]
"""Row of `metrics.csv`: step, train/loss, val/loss and so on."""


class TrainingClock:
    """Clock of the seconds spent training; evaluation and writing are not part of what a step costs.

    Args:
        now: returns seconds since some moment.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds_before, self._now = 0.0, now
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Training seconds so far."""
        running = 0.0 if self._started is None else self._now() - self._started
        return self.seconds_before + running

    def start(self) -> None:
        """Lets the clock run."""
        if self._started is None:
            self._started = self._now()

    def stop(self) -> None:
        """Stops the clock."""
        self.seconds_before, self._started = self.seconds, None


class RunRecord(pl.Callback):
    """What is known of a run so far: its rows, its milestones, and the scores of the steps since the last row.

    The scores of a step stay on the device until a row or a checkpoint is written, and are fetched together, so that no
    step waits for its numbers. Everything that a resumed run needs to end with the same rows is part of the checkpoint.
    It comes before the callbacks that look at a step, and stops the clock where a row is due.

    Args:
        experiment: the run's.
        data: the run's.
    """

    def __init__(self, experiment: Experiment, data: TaskDataModule) -> None:
        self.experiment, self.data = experiment, data
        self.rows: list[Row] = []
        self.milestones: Milestones | None = None
        self.goal: GoalTracker | None = None
        self.goal_state: dict[str, Any] = {}
        """Count of the goal in the checkpoint; the goal itself follows from the task."""
        self.diverged_at: int | None = None
        self.interrupted = False
        self.out_of_time = False
        self.clock = TrainingClock()
        self.row_due = False
        """True while the callbacks handle a step after which a row is written."""
        self.steps: list[dict[str, float]] = []
        """Scores of the steps since the last row that were fetched, the oldest first."""
        self.validation: dict[str, float] | None = None
        """Scores of the validation set for the row that is due."""
        self._pending: list[dict[str, Tensor]] = []

    @property
    def state_key(self) -> str:
        """Key of the record in a checkpoint, independent of the name of the class."""
        return checkpoints.RECORDER_KEY

    def state_dict(self) -> dict[str, Any]:
        """Returns the state that a checkpoint holds; its keys are part of the file format."""
        return {
            "identity": self.experiment.identity,
            "rows": self.rows,
            "milestones": None if self.milestones is None else self.milestones.state_dict(),
            "goal": None if self.goal is None else {"met": self.goal.met, "reached_at": self.goal.reached_at},
            "seconds": self.clock.seconds,
            "pending": self.fetch().copy(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state of a checkpoint."""
        self.rows, self.clock.seconds_before = state_dict["rows"], state_dict["seconds"]
        self.steps = state_dict["pending"]
        if state_dict["milestones"] is not None:
            self.milestones = Milestones(**state_dict["milestones"])
        self.goal_state = state_dict.get("goal") or {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self.clock.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the scores of the step; where a row is due, it fetches them and stops the clock."""
        step, budget = trainer.global_step, self.experiment.budget
        self._pending.append({name: value.detach() for name, value in outputs.items()})
        self.row_due = step % budget.log_every == 0 or step >= budget.steps or self.out_of_time
        if self.row_due:
            self.fetch()
            self.clock.stop()

    def fetch(self) -> list[dict[str, float]]:
        """Returns the scores of every step since the last row; waits until the device has computed them."""
        self.steps += to_floats(self._pending)
        self._pending.clear()
        return self.steps

    @property
    def reached(self) -> bool:
        """True if the run's goal is reached."""
        return self.goal is not None and self.goal.reached_at is not None

    def ended(self, step: int) -> bool:
        """Returns whether the run ends after a step because its budget is used up, or its goal met."""
        return step >= self.experiment.budget.steps or self.out_of_time or self.reached


def as_sequence_module(module: pl.LightningModule) -> SequenceModule:
    """Returns the module, which in a run is always a `SequenceModule`."""
    assert isinstance(module, SequenceModule)
    return module
