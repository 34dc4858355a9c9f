"""Check that a run is still this process's before anything of it is written."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl


class LeaseCheck(pl.Callback):
    """Leaves a run that another process has taken, before a row or a checkpoint of it is written.

    The check costs nothing as long as the last sign of life is recent.

    Args:
        check: raises an exception if the run is not this process's any more.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks after every step, as any may be followed by a checkpoint."""
        self.check()
