"""The file of metrics: a row every so many steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd

from workbench.files import write_text
from workbench.training.callbacks.record import Row, RunRecord

FILE = "metrics.csv"


class MetricsFile(pl.Callback):
    """Writes the rows of `metrics.csv`, and tells of each.

    Args:
        record: of the run.
        folder: the run's.
        on_row: called with each row of metrics after it is written, first those of a checkpoint.
    """

    def __init__(self, record: RunRecord, folder: Path, on_row: Callable[[Row], None] = lambda row: None) -> None:
        self.record, self.path, self.on_row = record, folder / FILE, on_row
        self._learning_rate = 0.0
        self._columns: list[str] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the rows of the checkpoint: one that was only appended may be lost where the machine ended."""
        if self.record.rows:
            self.write_whole()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells of the rows of the checkpoint."""
        for row in self.record.rows:
            self.on_row(row)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes the learning rate of the step: at its end the schedule has moved on."""
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes a row if one is due."""
        record = self.record
        if not record.row_due:
            return
        steps = record.steps
        row: Row = {"step": trainer.global_step}
        row |= {f"train/{name}": sum(scores[name] for scores in steps) / len(steps) for name in steps[0]}
        row |= {f"val/{name}": value for name, value in (record.validation or {}).items()}
        row["learning_rate"] = self._learning_rate
        record.rows.append(row)
        record.steps = []
        self.write_row(row)
        self.on_row(row)

    def write_row(self, row: Row) -> None:
        """Appends a row; the first row of this process, or one with a new column, writes the file whole.

        What is there may be longer than the checkpoint that the run resumes at. A line is appended by a single call to
        the system, so that a kill leaves it whole or not at all.
        """
        if not self._columns or not row.keys() <= set(self._columns) or not self.path.exists():
            self.write_whole()
            return
        line = pd.DataFrame([row], columns=self._columns).to_csv(index=False, header=False)
        # Closing writes it by one call to the system, and raises if the disk takes only a part.
        with self.path.open("ab") as file:
            file.write(line.encode())

    def write_whole(self) -> None:
        """Writes every row."""
        table = pd.DataFrame(self.record.rows)
        self._columns = list(table.columns)
        write_text(self.path, table.to_csv(index=False))
