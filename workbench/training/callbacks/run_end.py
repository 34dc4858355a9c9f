"""The end of a run: its budget is used up, its goal met, its loss not finite, or it was told to stop."""

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from workbench.training.callbacks.record import RunRecord


class RunEnd(pl.Callback):
    """Ends a run, and asks after every step whether to stop there.

    Args:
        record: of the run.
        stop: asked after every step, and after the row if one is due.
    """

    def __init__(self, record: RunRecord, stop: Callable[[], bool] = lambda: False) -> None:
        self.record, self.stop = record, stop

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ends the run if it is time."""
        record = self.record
        if record.row_due and record.validation is not None and not math.isfinite(record.validation["loss"]):
            record.diverged_at = trainer.global_step
        if record.diverged_at is not None:
            trainer.should_stop = True
            return
        # After the row, as it may be the reason to stop.
        record.interrupted = self.stop()
        if record.interrupted or record.ended(trainer.global_step):
            trainer.should_stop = True
