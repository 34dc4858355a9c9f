"""The logger `tensorboard`: Lightning's TensorBoardLogger, in the folder `tensorboard` of the run."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

from workbench.logger_interface import STEP
from workbench.results import Run
from workbench.training.loggers.base import LightningRunLogger, flat_parameters, saved_step, test_scores

FOLDER = "tensorboard"
EVENT_FILES = "events.out.tfevents.*"


class TensorBoardRunLogger(LightningRunLogger):
    """Writes an event file, and `hparams.yaml`.

    A resumed run writes another file beside it, which begins with a mark by which TensorBoard drops what the earlier
    ones hold beyond the checkpoint (`purge_step`).
    """

    logger: TensorBoardLogger

    def open(self, state: Mapping[str, Any]) -> int:
        """Begins a file."""
        folder = self.run.folder.absolute()
        begun = list((folder / FOLDER).glob(EVENT_FILES))
        self.last_step = saved_step(state) if begun else 0
        options: dict[str, Any] = {}
        if begun:
            leave_the_second_of(begun)
            options = {"purge_step": self.last_step + 1}
        self.logger = TensorBoardLogger(folder, name=FOLDER, version="", default_hp_metric=False, **options)
        # To its hparams.yaml; TensorBoard itself shows them of a run with a result.
        self.logger.log_hyperparams(flat_parameters(self.run.experiment))
        self.logger.save()
        return self.last_step

    def finish(self, run: Run) -> None:
        """Logs the scores on the test set, and the hyperparameters with them."""
        scores = test_scores(run) or {STEP: run.result["steps"]}
        self.logger.log_hyperparams(flat_parameters(self.run.experiment), scores, run.result["steps"])
        self.logger.finalize("success")


def leave_the_second_of(files: Iterable[Path]) -> None:
    """Waits, a second at most, until a new file's name sorts behind those of `files`.

    TensorBoard reads the files of a folder in the order of their names, which begin with the second at which each was
    begun; what follows (a process, a count) has no order, or is not there: then one file would replace the other.
    """
    newest = max(int(file.name.removeprefix(EVENT_FILES[:-1]).split(".")[0]) for file in files)
    now = time.time()
    if int(now) == newest:
        time.sleep(newest + 1 - now)
