"""Checkpoints of a run, every few seconds and at its end."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from workbench import checkpoints
from workbench.training.callbacks.record import RunRecord

CHECKPOINT_SECONDS = 10.0
"""Training seconds between checkpoints: the most that a kill can cost."""


class CheckpointFile(pl.Callback):
    """Saves `last.ckpt`.

    Args:
        record: of the run.
        folder: the run's.
        log: called with lines that a user should know.
    """

    def __init__(self, record: RunRecord, folder: Path, log: Callable[[str], None] = lambda line: None) -> None:
        self.record, self.folder = record, folder
        # Not `log`: Lightning replaces that of a callback by its own.
        self._tell = log
        self._checked = False
        self._last_saved = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Counts from now."""
        self._last_saved = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if it is time, and lets the clock run on after a row."""
        record = self.record
        due = trainer.should_stop or time.perf_counter() - self._last_saved > CHECKPOINT_SECONDS
        if due and record.diverged_at is None:
            self.save(trainer)
        if not trainer.should_stop:
            record.clock.start()

    def save(self, trainer: pl.Trainer) -> None:
        """Saves a checkpoint; after the first one, it says so if it cannot be read back."""
        # Wait for the GPU first: what it still has to do is training time, not the cost of saving.
        self.record.fetch()
        self.record.clock.stop()
        checkpoints.save(trainer, self.folder)
        if not self._checked:
            self._checked = True
            if reason := checkpoints.find_unreadable(self.folder / checkpoints.LAST):
                self._tell(
                    f"warning: its checkpoint cannot be read back, so once interrupted it starts again: {reason}"
                )
        self._last_saved = time.perf_counter()
