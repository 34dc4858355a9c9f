"""The recorder of a run: a Lightning callback that writes metrics and checkpoints, and decides when the run ends."""

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
"""Training seconds between checkpoints: the most that a kill can cost."""
PROGRESS_SECONDS = 0.2
"""Seconds between reports of progress."""

Row = dict[str, float]
"""Row of `metrics.csv`: step, train/loss, val/loss and so on."""


class RunRecorder(pl.Callback):
    """Recorder of metrics, checkpoints and milestones of one run.

    It writes a row of metrics every `log_every` steps, saves checkpoints, and notices when the task is solved and when
    the loss is no longer finite. It ends the run on request, at its goal, or when its time is up.

    The scores of a step stay on the device until a row or a checkpoint is written, and are fetched together, so that no
    step waits for its numbers. Everything that a resumed run needs to end with the same rows is part of the checkpoint.

    Args:
        experiment: the run's.
        folder: the run's.
        stop: asked after every step whether to stop there.
        on_progress: called with the number of steps made, a few times a second.
        on_row: called with each row of metrics after it is written, first those of a checkpoint.
        log: called with lines that a user should know.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], None] = lambda step: None,
        on_row: Callable[[Row], None] = lambda row: None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.experiment, self.folder = experiment, folder
        self.stop, self.on_progress, self.on_row = stop, on_progress, on_row
        # Not `log`: Lightning replaces that of a callback by its own.
        self._tell = log
        self.rows: list[Row] = []
        self.milestones: Milestones | None = None
        self.goal: GoalTracker | None = None
        self.diverged_at: int | None = None
        self.interrupted = False
        self.seconds = 0.0
        self._pending: list[dict[str, Tensor]] = []
        self._fetched: list[dict[str, float]] = []
        self._goal_state: dict[str, Any] = {}
        self._learning_rate = 0.0
        self._columns: list[str] = []
        self._checked = False
        self._clock_started = self._last_saved = self._last_shown = time.perf_counter()

    @property
    def state_key(self) -> str:
        """Key of the recorder's state in a checkpoint, independent of the name of the class."""
        return checkpoints.RECORDER_KEY

    def state_dict(self) -> dict[str, Any]:
        """Returns the state that a checkpoint holds; its keys are part of the file format."""
        return {
            "identity": self.experiment.identity,
            "rows": self.rows,
            "milestones": None if self.milestones is None else self.milestones.state_dict(),
            "goal": None if self.goal is None else {"met": self.goal.met, "reached_at": self.goal.reached_at},
            "seconds": self._elapsed(),
            "pending": self._fetch().copy(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state of a checkpoint."""
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]
        self._fetched = state_dict["pending"]
        if state_dict["milestones"] is not None:
            self.milestones = Milestones(**state_dict["milestones"])
        if state_dict.get("goal") is not None:
            # The goal itself follows from the task, which is not known yet.
            self._goal_state = state_dict["goal"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets up the goal, and skips training if a checkpoint has already reached it."""
        goal = Goal.for_task(self.experiment.budget.until, as_sequence_module(pl_module).task)
        if goal is not None:
            self.goal = GoalTracker(goal=goal, **self._goal_state)
        if self.rows:
            # A row that was only appended may be lost where the machine ended, though its checkpoint was not.
            table = pd.DataFrame(self.rows)
            self._columns = list(table.columns)
            write_text(self.folder / "metrics.csv", table.to_csv(index=False))
        if self.reached:
            # The last checkpoint is that of the end: there is nothing left to train.
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock, and reports the rows of the checkpoint."""
        module = as_sequence_module(pl_module)
        if self.milestones is None:
            self.milestones = Milestones(criterion=module.task.solved)
        else:
            self.milestones.criterion = module.task.solved
        self._clock_started = self._last_saved = time.perf_counter()
        self.on_progress(trainer.global_step)
        for row in self.rows:
            self.on_row(row)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes the learning rate of the step."""
        # At the end of the step the schedule has moved on.
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Records the step, and stops the run if it is time."""
        module, step, budget = as_sequence_module(pl_module), trainer.global_step, self.experiment.budget
        self._pending.append({name: value.detach() for name, value in outputs.items()})
        out_of_time = budget.seconds is not None and self._elapsed() >= budget.seconds
        now = time.perf_counter()
        if step % budget.log_every == 0 or step >= budget.steps or out_of_time:
            self._write_row(module, step)
            if self.diverged_at is not None:
                trainer.should_stop = True
                return
        # After the row, as it may be the reason to stop.
        self.interrupted = self.stop()
        ended = step >= budget.steps or out_of_time or self.reached
        if self.interrupted or ended or now - self._last_saved > CHECKPOINT_SECONDS:
            self._save(trainer)
        if self.interrupted or ended:
            trainer.should_stop = True
        if now - self._last_shown > PROGRESS_SECONDS or trainer.should_stop:
            self._last_shown = now
            self.on_progress(step)

    def _write_row(self, module: SequenceModule, step: int) -> None:
        assert self.milestones is not None
        steps = self._fetch()
        self._stop_clock()
        first = step - len(steps) + 1
        for offset, scores in enumerate(steps):
            if not math.isfinite(scores["loss"]):
                self.diverged_at = first + offset
                label = f"the training batch of step {self.diverged_at}"
                check_finite(module.training_batch(self.diverged_at - 1), label, module.task)
                break
            self.milestones.update(first + offset, scores)
            self._update_goal("train", first + offset, scores)
        row: Row = {"step": step}
        row |= {f"train/{name}": sum(scores[name] for scores in steps) / len(steps) for name in steps[0]}
        if self.diverged_at is None:
            scores = module.evaluate("validation")
            row |= {f"val/{name}": value for name, value in scores.items()}
            self._update_goal("val", step, scores)
            if not math.isfinite(scores["loss"]):
                self.diverged_at = step
        row["learning_rate"] = self._learning_rate
        self.rows.append(row)
        self._fetched = []
        self._write_metrics(row)
        self.on_row(row)
        self._clock_started = time.perf_counter()

    def _write_metrics(self, row: Row) -> None:
        """Appends a row to `metrics.csv`; the first row of this process, or one with a new column, writes it whole.

        What is there may be longer than the checkpoint that the run resumes at. A line is appended by a single call to
        the system, so that a kill leaves it whole or not at all.
        """
        path = self.folder / "metrics.csv"
        if not self._columns or not row.keys() <= set(self._columns) or not path.exists():
            table = pd.DataFrame(self.rows)
            self._columns = list(table.columns)
            write_text(path, table.to_csv(index=False))
            return
        line = pd.DataFrame([row], columns=self._columns).to_csv(index=False, header=False)
        # Closing writes it by one call to the system, and raises if the disk takes only a part.
        with path.open("ab") as file:
            file.write(line.encode())

    def _fetch(self) -> list[dict[str, float]]:
        """Returns the scores of every step since the last row; waits until the device has computed them."""
        self._fetched += to_floats(self._pending)
        self._pending.clear()
        return self._fetched

    def _update_goal(self, split: str, step: int, scores: dict[str, float]) -> None:
        if self.goal is not None and self.goal.goal.split == split:
            self.goal.update(step, scores[self.goal.goal.criterion.metric])

    @property
    def reached(self) -> bool:
        """True if the run's goal is reached."""
        return self.goal is not None and self.goal.reached_at is not None

    def _save(self, trainer: pl.Trainer) -> None:
        # Wait for the GPU first: what it still has to do is training time, not the cost of saving.
        self._fetch()
        self._stop_clock()
        checkpoints.save(trainer, self.folder)
        if not self._checked:
            self._checked = True
            if reason := checkpoints.find_unreadable(self.folder / checkpoints.LAST):
                self._tell(
                    f"warning: its checkpoint cannot be read back, so once interrupted it starts again: {reason}"
                )
        self._last_saved = self._clock_started = time.perf_counter()

    def _stop_clock(self) -> None:
        """Stops the clock, as evaluation and writing are not part of what a step costs."""
        self.seconds = self._elapsed()
        self._clock_started = time.perf_counter()

    def _elapsed(self) -> float:
        return self.seconds + time.perf_counter() - self._clock_started


def as_sequence_module(module: pl.LightningModule) -> SequenceModule:
    """Returns the module, which in this bench is always a `SequenceModule`."""
    assert isinstance(module, SequenceModule)
    return module
