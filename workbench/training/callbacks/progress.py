"""Progress of a run, told a few times a second."""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

PROGRESS_SECONDS = 0.2
"""Seconds between reports of progress."""


class ProgressReport(pl.Callback):
    """Tells how many steps were made.

    Args:
        on_progress: called with the number of steps.
    """

    def __init__(self, on_progress: Callable[[int], None] = lambda step: None) -> None:
        self.on_progress = on_progress
        self._last_shown = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells where the run begins."""
        self.on_progress(trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tells it if it is time."""
        now = time.perf_counter()
        if now - self._last_shown > PROGRESS_SECONDS or trainer.should_stop:
            self._last_shown = now
            self.on_progress(trainer.global_step)
