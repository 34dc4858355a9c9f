"""The trainer of a run, with the callbacks of the bench."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning.pytorch as pl

from workbench.training.callbacks.checkpoint_file import CheckpointFile
from workbench.training.callbacks.divergence import DivergenceGuard
from workbench.training.callbacks.lease_check import LeaseCheck
from workbench.training.callbacks.metrics_file import MetricsFile
from workbench.training.callbacks.milestones import MilestoneWatch
from workbench.training.callbacks.progress import ProgressReport
from workbench.training.callbacks.record import Row, RunRecord
from workbench.training.callbacks.run_end import RunEnd
from workbench.training.callbacks.run_loggers import RunLoggers
from workbench.training.callbacks.time_budget import TimeBudget
from workbench.training.callbacks.validation import Validation
from workbench.training.loop import Gradients, StepLoop, add_gradients
from workbench.training.single_process import SingleProcess


def run_callbacks(
    record: RunRecord,
    folder: Path,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int], None] = lambda step: None,
    on_row: Callable[[Row], None] = lambda row: None,
    log: Callable[[str], None] = lambda line: None,
    loggers: RunLoggers | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[pl.Callback]:
    """Returns the callbacks of a run, in the order in which they look at a step.

    Args:
        record: of the run.
        folder: the run's.
        stop: asked after every step whether to stop there.
        on_progress: called with the number of steps made, a few times a second.
        on_row: called with each row of metrics after it is written, first those of a checkpoint.
        log: called with lines that a user should know.
        loggers: of the run, which get each row before `on_row` does.
        check: called before anything is written; raises an exception if the run is not this process's any more.
    """
    loggers = RunLoggers({}) if loggers is None else loggers

    def pass_on(row: Row) -> None:
        loggers.log_row(row)
        on_row(row)

    return [
        TimeBudget(record),
        record,
        DivergenceGuard(record),
        Validation(record),
        MilestoneWatch(record),
        # There without loggers, too: Lightning warns of a state in a checkpoint that no callback takes.
        loggers,
        LeaseCheck(check),
        MetricsFile(record, folder, pass_on if loggers.loggers else on_row),
        RunEnd(record, stop),
        CheckpointFile(record, folder, log),
        ProgressReport(on_progress),
    ]


ACCELERATORS = {"cuda": "gpu", "mps": "mps"}
"""Lightning's names of the devices that are not the CPU."""


def make_trainer(
    callbacks: Sequence[pl.Callback], *, steps: int, device: str, folder: Path, gradients: Gradients = add_gradients
) -> pl.Trainer:
    """Returns the trainer of a run, in one process.

    Args:
        callbacks: of the run.
        steps: optimiser steps.
        device: cpu, cuda or mps.
        folder: the run's.
        gradients: computes those of each batch.
    """
    silence_lightning()
    trainer = pl.Trainer(
        accelerator=ACCELERATORS.get(device, "cpu"),
        devices=1,
        max_steps=steps,
        max_epochs=-1,
        callbacks=list(callbacks),
        plugins=[SingleProcess()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        # Rows of metrics are validated by a callback.
        limit_val_batches=0,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    trainer.fit_loop.epoch_loop = StepLoop(trainer, steps, gradients)
    return trainer


def silence_lightning() -> None:
    """Silences the greetings, advice and advertisements that Lightning prints at every start of a run."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It comes from Lightning's own use of PyTorch, so nothing here could avoid it.
    warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.*")
