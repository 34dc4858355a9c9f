"""Validation: the scores of the fixed validation set for each row of metrics."""

from typing import Any

import lightning.pytorch as pl

from workbench.training.callbacks.record import RunRecord, as_sequence_module


class Validation(pl.Callback):
    """Evaluates the model on the validation set where a row is due, in float64, which Lightning's loop does not.

    Args:
        record: of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluates, unless the run has diverged."""
        record = self.record
        if not record.row_due:
            return
        record.validation = None
        if record.diverged_at is None:
            module = as_sequence_module(pl_module)
            record.validation = module.evaluate(record.data.fixed_set("validation", module.device))
