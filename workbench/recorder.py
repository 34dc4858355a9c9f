"""What is written down while a run is trained, and when it stops."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from torch import Tensor

from workbench import checkpoints
from workbench.config import Experiment
from workbench.devices import to_floats
from workbench.files import write_text
from workbench.lightning_module import SequenceModule
from workbench.sanity_checks import check_finite
from workbench.stopping import Goal, GoalTracker, Milestones

CHECKPOINT_SECONDS = 10.0
"""Training seconds between checkpoints: what a kill can cost."""
PROGRESS_SECONDS = 0.2

Row = dict[str, float]
"""A line of `metrics.csv`: step, train/loss, val/loss and so on."""


class RunRecorder(pl.Callback):
    """Records a row of metrics every `log_every` steps, saves checkpoints, notices when the task is solved and when
    the loss stops being a number, and ends the run on request, when its goal is reached or its time is up.

    The scores of a step stay on the device until a row or a checkpoint is written, and are fetched together, so that no
    step waits for its numbers. Everything that a resumed run needs to end with the same rows is part of the checkpoint.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        stop: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda step: None,
        watch: Callable[[Row], None] = lambda row: None,
    ) -> None:
        self.experiment, self.folder = experiment, folder
        self.stop, self.progress, self.watch = stop, progress, watch
        self.rows: list[Row] = []
        self.milestones: Milestones | None = None
        self.goal: GoalTracker | None = None
        self.diverged_at: int | None = None
        self.interrupted = False
        self.seconds = 0.0
        self._pending: list[dict[str, Tensor]] = []
        self._known: list[dict[str, float]] = []
        self._counted: dict[str, Any] = {}
        self._learning_rate = 0.0
        self._resumed = self._saved = self._shown = time.perf_counter()

    @property
    def state_key(self) -> str:
        """The recorder's key in a checkpoint, which does not follow the name of the class."""
        return checkpoints.RECORDER

    def state_dict(self) -> dict[str, Any]:
        return {
            "identity": self.experiment.identity,
            "rows": self.rows,
            "milestones": None if self.milestones is None else self.milestones.state_dict(),
            "goal": None if self.goal is None else {"met": self.goal.met, "reached_at": self.goal.reached_at},
            "seconds": self._elapsed(),
            "pending": self._fetch().copy(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]
        self._known = state_dict["pending"]
        if state_dict["milestones"] is not None:
            self.milestones = Milestones(**state_dict["milestones"])
        if state_dict.get("goal") is not None:
            # Which goal that is, the learner says.
            self._counted = state_dict["goal"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        goal = Goal.of(self.experiment.budget.until, module_of(pl_module).task)
        if goal is not None:
            self.goal = GoalTracker(goal=goal, **self._counted)
        if self.reached:
            # Its last checkpoint is that of the end: there is nothing left to train.
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        learner = module_of(pl_module)
        if self.milestones is None:
            self.milestones = Milestones(criterion=learner.task.solved)
        else:
            self.milestones.criterion = learner.task.solved
        self._resumed = self._saved = time.perf_counter()
        self.progress(trainer.global_step)
        for row in self.rows:
            self.watch(row)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # By the end of the step the schedule will have moved on.
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        learner, step, budget = module_of(pl_module), trainer.global_step, self.experiment.budget
        self._pending.append({name: value.detach() for name, value in outputs.items()})
        out_of_time = budget.seconds is not None and self._elapsed() >= budget.seconds
        now = time.perf_counter()
        if step % budget.log_every == 0 or step >= budget.steps or out_of_time:
            self._write_row(learner, step)
            if self.diverged_at is not None:
                trainer.should_stop = True
                return
        # After the row, as whoever watches may have seen enough.
        self.interrupted = self.stop()
        over = step >= budget.steps or out_of_time or self.reached
        if self.interrupted or over or now - self._saved > CHECKPOINT_SECONDS:
            self._save(trainer)
        if self.interrupted or over:
            trainer.should_stop = True
        if now - self._shown > PROGRESS_SECONDS or trainer.should_stop:
            self._shown = now
            self.progress(step)

    def _write_row(self, learner: SequenceModule, step: int) -> None:
        assert self.milestones is not None
        known = self._fetch()
        self._pause()
        first = step - len(known) + 1
        for offset, scores in enumerate(known):
            if not math.isfinite(scores["loss"]):
                self.diverged_at = first + offset
                what = f"the training batch of step {self.diverged_at}"
                check_finite(learner.training_batch(self.diverged_at - 1), what, learner.task)
                break
            self.milestones.see(first + offset, scores)
            self._approach("train", first + offset, scores)
        row: Row = {"step": step}
        row |= {f"train/{name}": sum(each[name] for each in known) / len(known) for name in known[0]}
        if self.diverged_at is None:
            scores = learner.evaluate("validation")
            row |= {f"val/{name}": value for name, value in scores.items()}
            self._approach("val", step, scores)
            if not math.isfinite(scores["loss"]):
                self.diverged_at = step
        row["learning_rate"] = self._learning_rate
        self.rows.append(row)
        self._known = []
        write_text(self.folder / "metrics.csv", pd.DataFrame(self.rows).to_csv(index=False))
        self.watch(row)
        self._resumed = time.perf_counter()

    def _fetch(self) -> list[dict[str, float]]:
        """The scores of every step since the last row; waits until the device has made them."""
        self._known += to_floats(self._pending)
        self._pending.clear()
        return self._known

    def _approach(self, split: str, step: int, scores: dict[str, float]) -> None:
        if self.goal is not None and self.goal.goal.split == split:
            self.goal.see(step, scores[self.goal.goal.criterion.metric])

    @property
    def reached(self) -> bool:
        """Whether the run's goal is reached."""
        return self.goal is not None and self.goal.reached_at is not None

    def _save(self, trainer: pl.Trainer) -> None:
        # What a GPU has still to do is training, and none of what saving costs.
        self._fetch()
        self._pause()
        checkpoints.save(trainer, self.folder)
        self._saved = self._resumed = time.perf_counter()

    def _pause(self) -> None:
        """Stops the clock: evaluation and writing are not what a step costs."""
        self.seconds = self._elapsed()
        self._resumed = time.perf_counter()

    def _elapsed(self) -> float:
        return self.seconds + time.perf_counter() - self._resumed


def module_of(module: pl.LightningModule) -> SequenceModule:
    """The module, which in this bench is always a Learner."""
    assert isinstance(module, SequenceModule)
    return module
