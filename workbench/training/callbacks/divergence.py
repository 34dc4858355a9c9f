"""Divergence: a training loss that is no longer finite ends a run."""

import math
from typing import Any

import lightning.pytorch as pl

from workbench.training.callbacks.record import RunRecord, as_sequence_module
from workbench.training.sanity_checks import check_finite


class DivergenceGuard(pl.Callback):
    """Finds the first step whose loss is not finite among those of a row, and ends the run.

    Args:
        record: of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the steps of a row.

        Raises:
            UserError: if the data of the step is not finite: then it is to blame.
        """
        record = self.record
        if not record.row_due:
            return
        first = trainer.global_step - len(record.steps) + 1
        for offset, scores in enumerate(record.steps):
            if not math.isfinite(scores["loss"]):
                record.diverged_at = first + offset
                module = as_sequence_module(pl_module)
                examples = record.data.training_batch(record.diverged_at - 1, device=module.device)
                check_finite(examples, f"the training batch of step {record.diverged_at}", module.task)
                trainer.should_stop = True
                return
