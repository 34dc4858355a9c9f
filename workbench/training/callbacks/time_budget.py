"""The budget of time: training seconds after which a run ends, done or not."""

from typing import Any

import lightning.pytorch as pl

from workbench.training.callbacks.record import RunRecord


class TimeBudget(pl.Callback):
    """Notes that the time is up. It comes first, as a row is due then.

    Args:
        record: of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the clock, if there is a limit."""
        record = self.record
        limit = record.experiment.budget.seconds
        record.out_of_time = limit is not None and record.clock.seconds >= limit
