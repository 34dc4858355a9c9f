"""The LightningDataModule of every task: each batch is a function of (seed, step), whoever asks for it and when."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import lightning.pytorch as pl
import torch

from workbench.config import Draw, Experiment
from workbench.custom_parts import is_custom
from workbench.errors import UserError
from workbench.resolve import resolve_task
from workbench.seeding import CPU, RandomState, seeded_apart
from workbench.tasks import Batch
from workbench.training.batches import TrainingBatch
from workbench.validation import check_choice, check_int

EVALUATION_BATCH = 100
"""Sequences of a validation or test set that pass through the model together."""


class TaskDataModule(pl.LightningDataModule):
    """The training batches, the validation set and the test set of a task.

    The examples of an optimiser step are a function of (seed, step) alone. They are shared out: with `batch_size` b,
    r ranks and a accumulated batches, a step has r a b examples, of which each rank reads its own a batches. So two
    ranks train as one does with twice the batch, and a resumed run sees what it would have seen, with no state to
    restore. Validation and test sets are the same for every seed; each rank evaluates its share of them.

    Args:
        task: a name of the catalogue, file:PATH, or package.module:Class.
        task_options: the task's options, such as {"length": 200}.
        batch_size: sequences of a batch on each rank.
        evaluation_size: sequences of the validation set, and of the test set.
        batches_per_epoch: batches from one validation to the next, which Lightning calls an epoch; `None`: endless.
        draw: where training data is drawn: on the cpu, or on the device that trains.
        seed: of the training data.

    Raises:
        UserError: if the task or an option is unknown, or a value is invalid.
    """

    def __init__(
        self,
        task: str,
        *,
        task_options: dict[str, Any] | None = None,
        batch_size: int = 20,
        evaluation_size: int = 500,
        batches_per_epoch: int | None = 100,
        draw: Draw = "cpu",
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("evaluation_size", evaluation_size)):
            check_int(name, value, least=1)
        if batches_per_epoch is not None:
            check_int("batches_per_epoch", batches_per_epoch, least=1)
        check_int("seed", seed, least=0)
        check_choice("draw", draw, Draw)
        part, self.task = resolve_task(task, task_options or {})
        self.batch_size, self.evaluation_size, self.batches_per_epoch = batch_size, evaluation_size, batches_per_epoch
        self.draw, self.seed = draw, seed
        # Where it is drawn from the global generators, they are part of what is drawn.
        self._draws_globally = is_custom(task)
        self._fixed_sets: dict[tuple[str, torch.device], Batch] = {}
        self._shared: tuple[tuple[int, int], Batch, RandomState | None] | None = None
        # Not to the logger: the module's hyperparameters, some of them of the same names, are there.
        self.save_hyperparameters(
            {
                "task": part.full_name,
                "task_options": dict(part.options),
                "batch_size": batch_size,
                "evaluation_size": evaluation_size,
                "batches_per_epoch": batches_per_epoch,
                "draw": draw,
                "seed": seed,
            },
            logger=False,
        )

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> Self:
        """Returns the data of an experiment, with an endless epoch."""
        return cls(
            task=experiment.task.full_name,
            task_options=dict(experiment.task.options),
            batch_size=experiment.budget.batch_size,
            evaluation_size=experiment.budget.evaluation_size,
            batches_per_epoch=None,
            draw=experiment.numerics.draw,
            seed=experiment.seed,
        )

    def training_batch(
        self,
        step: int,
        *,
        part: int = 0,
        parts: int = 1,
        rank: int = 0,
        ranks: int = 1,
        device: torch.device = CPU,
    ) -> TrainingBatch:
        """Returns a batch of an optimiser step, where it was drawn.

        Args:
            step: the step, from 0.
            part: which of the rank's batches in this step.
            parts: how many batches a rank has in this step.
            rank: the rank.
            ranks: how many there are.
            device: the device that trains.
        """
        shares, share = parts * ranks, part * ranks + rank
        size = self.batch_size * shares
        key = (step, size)
        if shares == 1:
            batch, state = self._draw(step, size, device)
        else:
            if self._shared is None or self._shared[0] != key:
                self._shared = key, *self._draw(step, size, device)
            _, whole, state = self._shared
            batch = whole[share * self.batch_size : (share + 1) * self.batch_size]
        return TrainingBatch(
            **{name: getattr(batch, name) for name in Batch.__dataclass_fields__},
            number=step * shares + share,
            begins=self.task.begins(step, size),
            part=part,
            random_state=state,
        )

    def _draw(self, step: int, size: int, device: torch.device) -> tuple[Batch, RandomState | None]:
        source = device if self.draw == "device" else CPU
        if not self._draws_globally:
            return self.task.train(step, size, self.seed, source), None
        with seeded_apart("step", self.seed, step):
            batch = self.task.train(step, size, self.seed, source)
            if not isinstance(batch, Batch):
                raise UserError(
                    f"the training batch of step {step + 1} of {type(self.task).__name__} is a {type(batch).__name__}, "
                    "not a workbench.tasks.Batch: return Batch(x=..., target=...)"
                )
            return batch, RandomState.now()

    def fixed_set(self, split: Literal["validation", "test"], device: torch.device = CPU) -> Batch:
        """Returns a fixed set, which is drawn once on the CPU, on a device."""
        key = (split, device)
        if key not in self._fixed_sets:
            with seeded_apart("fixed", split):
                examples = self.task.fixed(split, self.evaluation_size, CPU)
            self._fixed_sets[key] = examples.to(device) if isinstance(examples, Batch) else examples
        return self._fixed_sets[key]

    def train_dataloader(self) -> "TrainingLoader":
        """Returns the training batches of this rank, from where training stands."""
        return TrainingLoader(self) if self.batches_per_epoch is None else EpochLoader(self)

    def val_dataloader(self) -> "FixedLoader":
        """Returns this rank's share of the validation set."""
        return self._fixed_loader("validation")

    def test_dataloader(self) -> "FixedLoader":
        """Returns this rank's share of the test set."""
        return self._fixed_loader("test")

    def predict_dataloader(self) -> "FixedLoader":
        """Returns this rank's share of the test set."""
        return self._fixed_loader("test")

    def _fixed_loader(self, split: Literal["validation", "test"]) -> "FixedLoader":
        rank, ranks = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        examples = self.fixed_set(split)
        return FixedLoader(examples if ranks == 1 else examples[rank::ranks])


class TrainingLoader:
    """Endless loader of the training batches of a rank, from where its trainer stands: what comes after a checkpoint.

    Args:
        data: whose batches.
    """

    def __init__(self, data: TaskDataModule) -> None:
        self.data = data

    def __iter__(self) -> Iterator[TrainingBatch]:
        trainer, length = self.data.trainer, self.data.batches_per_epoch
        if trainer is None:
            step, done, rank, ranks, device = 0, 0, 0, 1, CPU
        else:
            step, done = trainer.global_step, trainer.fit_loop.epoch_loop.batch_progress.current.ready
            rank, ranks, device = trainer.global_rank, trainer.world_size, trainer.strategy.root_device
            if length is not None and done >= length:
                # The epoch before has ended.
                done = 0
        part = None
        sent = 0
        while length is None or sent < length:
            parts = 1 if trainer is None else trainer.accumulate_grad_batches
            # Of an epoch that is resumed, some batches of a step may have been read.
            part = done % parts if part is None else part
            yield self.data.training_batch(step, part=part, parts=parts, rank=rank, ranks=ranks, device=device)
            sent, part = sent + 1, part + 1
            if part >= parts:
                step, part = step + 1, 0


class EpochLoader(TrainingLoader):
    """Loader of the same batches, so many of them an epoch."""

    def __len__(self) -> int:
        assert self.data.batches_per_epoch is not None
        return self.data.batches_per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Returns nothing: the trainer's step says where the loader stands."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Does nothing, for the same reason; Lightning takes a loader with these methods for one that resumes."""


class FixedLoader:
    """Loader of some fixed examples.

    Args:
        examples: all of them.
    """

    def __init__(self, examples: Batch) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return -(-len(self.examples.x) // EVALUATION_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.examples.x), EVALUATION_BATCH):
            yield self.examples[start : start + EVALUATION_BATCH]
