"""The logger `csv`: Lightning's CSVLogger, in the folder `csv` of the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger

from workbench.training.loggers.base import LightningRunLogger, flat_parameters

FOLDER = "csv"
FILES = ("metrics.csv", "hparams.yaml")


class CsvRunLogger(LightningRunLogger):
    """Writes `csv/metrics.csv` and `csv/hparams.yaml`. A resumed run writes them anew, from its checkpoint's rows."""

    def open(self, state: Mapping[str, Any]) -> int:
        """Begins the file anew."""
        folder = self.run.folder.absolute()
        # Lightning removes one of them, too, but warns of both.
        for name in FILES:
            Path(folder, FOLDER, name).unlink(missing_ok=True)
        self.logger = CSVLogger(folder, name=FOLDER, version="")
        self.logger.log_hyperparams(flat_parameters(self.run.experiment))
        self.logger.save()
        return 0
