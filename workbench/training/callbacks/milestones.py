"""Milestones and the goal: the steps at which a task is solved, and the end of a run that has reached its goal."""

from typing import Any

import lightning.pytorch as pl

from workbench.stopping import Goal, GoalTracker, Milestones
from workbench.training.callbacks.record import RunRecord, as_sequence_module


class MilestoneWatch(pl.Callback):
    """Notes when the task is solved and when the run's goal is met, step by step as soon as a row is due.

    Args:
        record: of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets up the goal, and skips training if a checkpoint has already reached it."""
        record, task = self.record, as_sequence_module(pl_module).task
        goal = Goal.for_task(record.experiment.budget.until, task)
        if goal is not None:
            record.goal = GoalTracker(goal=goal, **record.goal_state)
        if record.milestones is None:
            record.milestones = Milestones(criterion=task.solved)
        else:
            record.milestones.criterion = task.solved
        if record.reached:
            # The last checkpoint is that of the end: there is nothing left to train.
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the steps of a row up to the one that diverged, if one did, and at the validation set."""
        record = self.record
        if not record.row_due:
            return
        assert record.milestones is not None
        first = trainer.global_step - len(record.steps) + 1
        for step, scores in enumerate(record.steps, first):
            if step == record.diverged_at:
                break
            record.milestones.update(step, scores)
            self._update_goal("train", step, scores)
        if record.validation is not None:
            self._update_goal("val", trainer.global_step, record.validation)

    def _update_goal(self, split: str, step: int, scores: dict[str, float]) -> None:
        goal = self.record.goal
        if goal is not None and goal.goal.split == split:
            goal.update(step, scores[goal.goal.criterion.metric])
