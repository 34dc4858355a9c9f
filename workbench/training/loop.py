"""The training loop of the bench's runs: Lightning's, without what such a run does not use."""

from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from torch import Tensor

from workbench.training.batches import TrainingBatch

Gradients = Callable[[Any, TrainingBatch, int], dict[str, Tensor]]
"""Adds the gradients of a batch, with its number, to a module's parameters, and returns its scores by name."""


def add_gradients(module: Any, batch: TrainingBatch, batch_idx: int) -> dict[str, Tensor]:
    """Adds the gradients of a batch to a module's parameters, as Lightning does; returns its scores."""
    scores: dict[str, Tensor] = module.training_step(batch, batch_idx)
    scores["loss"].backward()
    return scores


class StepLoop(_TrainingEpochLoop):
    """The inner loop of `Trainer.fit`, a step at a time, with the numbers and the checkpoints of Lightning's own.

    Lightning asks every callback and the module at nine places of a step, under a profiler, collects what was logged,
    and decides whether to accumulate, to validate and to save loggers. On a small model that takes longer than the
    step. A run of the bench has one optimiser and one endless loader on one device; its module logs nothing at a step;
    and its callbacks look at the beginning and the end of a step. Anything else needs Lightning's loop.

    Args:
        trainer: the trainer.
        max_steps: optimiser steps.
        gradients: computes those of each batch.
    """

    def __init__(self, trainer: pl.Trainer, max_steps: int, gradients: Gradients = add_gradients) -> None:
        super().__init__(trainer, max_steps=max_steps)
        self._gradients = gradients
        self._on_start = overriding(trainer, "on_train_batch_start")
        self._on_end = overriding(trainer, "on_train_batch_end")
        self._batches: Iterator[TrainingBatch] = iter(())

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Reads the loader from where training stands, without what joins several loaders."""
        (loader,) = data_fetcher.combined_loader.flattened
        self._batches = iter(loader)

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Makes an optimiser step on the next batch."""
        batch = next(self._batches)
        trainer, batch_idx = self.trainer, self.batch_idx + 1
        module, optimizer = trainer.lightning_module, trainer.optimizers[0]
        device = trainer.strategy.root_device
        batch = batch if batch.x.device == device else batch.to(device)
        optimizer_step = self.automatic_optimization.optim_progress.optimizer
        self.batch_progress.increment_ready()
        for callback in self._on_start:
            callback(trainer, module, batch, batch_idx)
        self.batch_progress.increment_started()
        optimizer_step.step.increment_ready()
        optimizer_step.zero_grad.increment_ready()
        optimizer_step.zero_grad.increment_started()
        optimizer.zero_grad()
        optimizer_step.zero_grad.increment_completed()
        scores = self._gradients(module, batch, batch_idx)
        module.configure_gradient_clipping(optimizer)
        optimizer.step()
        optimizer_step.step.increment_completed()
        self.batch_progress.increment_processed()
        self.scheduler_progress.increment_ready()
        trainer.lr_scheduler_configs[0].scheduler.step()
        self.scheduler_progress.increment_completed()
        for callback in self._on_end:
            callback(trainer, module, scores, batch, batch_idx)
        self.batch_progress.increment_completed()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Counts the step."""
        self._batches_that_stepped += 1


def overriding(trainer: pl.Trainer, hook: str) -> list[Callable[..., Any]]:
    """Returns the callbacks' methods of a name, without those that do nothing."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [
        getattr(callback, hook)
        for callback in callbacks
        if getattr(type(callback), hook) is not getattr(pl.Callback, hook)
    ]
