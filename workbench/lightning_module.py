"""One LightningModule for every architecture and every task."""

import math
from collections.abc import Iterator
from itertools import count
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from architectures.state import State, detach, map_state
from workbench.config import Experiment, Optimization
from workbench.devices import to_floats
from workbench.model import seeded_model
from workbench.seeding import CPU, seed_everything, seeded_apart
from workbench.tasks import Batch

EVALUATION_BATCH = 100
"""Sequences of a validation or test set that pass through the model together."""


class SequenceModule(pl.LightningModule):
    """Trains an experiment's model on its task.

    The training batch of a step, and every random number drawn in that step, are functions of (seed, step) alone, so
    there is nothing to load and nothing to restore: a resumed run yields the same bits as an uninterrupted one.

    Args:
        experiment: what to train; the weights are initialised from its seed.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment
        self.task, self.model = seeded_model(experiment)
        self._fixed_sets: dict[tuple[str, torch.device], Batch] = {}
        self.carried_state: State = None
        """The encoder's state after the last training batch, for a task whose next batch continues from it."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the model's predictions; see `Model.forward`."""
        return self.predict(x, lengths)[0]

    def predict(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Returns what `Model.forward` does, computed in the experiment's precision; predictions are float32 again."""
        if self.experiment.numerics.precision == "float32":
            return self.model(x, lengths, state)  # type: ignore[no-any-return]
        with torch.autocast(self.device.type, torch.bfloat16):
            y, state = self.model(x, lengths, state)
        return y.float(), state

    def training_batch(self, step: int) -> Batch:
        """Returns the training batch of a step, counted from 0, on the module's device."""
        device = self.device if self.experiment.numerics.draw == "device" else CPU
        batch = self.task.train(step, self.experiment.budget.batch_size, self.experiment.seed, device)
        return batch.to(self.device) if isinstance(batch, Batch) else batch

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Returns the loss, for Lightning, and the metrics, for the recorder, of this step's batch."""
        step = self.global_step
        seed_everything("step", self.experiment.seed, step)
        begins = self.task.begins(step, self.experiment.budget.batch_size)
        before = None if begins else map_state(lambda part: part.to(self.device), self.carried_state)
        scores, state = self.compute_scores(self.training_batch(step), before)
        self.carried_state = detach(state) if self.task.stateful else None
        return scores

    def compute_scores(self, batch: Batch, state: State = None) -> tuple[dict[str, Tensor], State]:
        """Returns the loss and the task's metrics on a batch, and the encoder's state after it.

        Args:
            batch: some examples.
            state: the encoder's state after an earlier batch that this one continues.

        Returns:
            Scalar tensors by name, and the state.
        """
        prediction, state = self.predict(batch.x, batch.lengths, state)
        loss = self.task.loss(prediction, batch)
        with torch.no_grad():
            return {"loss": loss, **self.task.metrics(prediction.detach(), batch)}, state

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves the carried state, without which a resumed run would continue from none."""
        checkpoint["carried"] = self.carried_state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the carried state; checkpoints of runs without one may lack it."""
        self.carried_state = checkpoint.get("carried")

    @torch.no_grad()
    def evaluate(self, split: Literal["validation", "test"]) -> dict[str, float]:
        """Returns the mean loss and metrics over a fixed set, as plain numbers."""
        training = self.training
        self.eval()
        examples = self.fixed_set(split)
        all_scores: list[dict[str, Tensor]] = []
        sizes: list[int] = []
        piece_count = 1
        for start in range(0, len(examples.x), EVALUATION_BATCH):
            batch, state = examples[start : start + EVALUATION_BATCH], None
            pieces = self.split_into_pieces(batch)
            piece_count = len(pieces)
            for piece in pieces:
                scores, state = self.compute_scores(piece, state)
                all_scores.append(scores)
                sizes.append(len(batch.x))
        self.train(training)
        total: dict[str, float] = {}
        for means, size in zip(to_floats(all_scores), sizes, strict=True):
            for name, value in means.items():
                total[name] = total.get(name, 0.0) + value * size
        return {name: value / len(examples.x) / piece_count for name, value in total.items()}

    def split_into_pieces(self, batch: Batch) -> list[Batch]:
        """Returns the pieces of a batch that are read one after another with the state carried over.

        For a task that is not stateful, the batch itself is the only piece.
        """
        if not self.task.stateful:
            return [batch]
        length = self.task.steps
        return [batch.steps(slice(start, start + length)) for start in range(0, batch.x.shape[1], length)]

    def fixed_set(self, split: Literal["validation", "test"]) -> Batch:
        """Returns a fixed set, created once on the module's device."""
        key = (split, self.device)
        if key not in self._fixed_sets:
            with seeded_apart("fixed", split):
                examples = self.task.fixed(split, self.experiment.budget.evaluation_size, CPU)
            self._fixed_sets[key] = examples.to(self.device) if isinstance(examples, Batch) else examples
        return self._fixed_sets[key]

    def train_dataloader(self) -> "StepLoader":
        """Returns an endless loader, as `training_step` creates the data."""
        return StepLoader()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Returns the optimiser, and the schedule of its learning rate by steps."""
        options = self.experiment.optimization
        optimizer = make_optimizer(options, self.parameters())
        schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(options, step, self.experiment.budget.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StepLoader:
    """Endless data loader of step numbers for Lightning. The data of each step is created in `training_step`."""

    def __iter__(self) -> Iterator[int]:
        return count()


def make_optimizer(options: Optimization, parameters: Any) -> torch.optim.Optimizer:
    """Returns the optimiser that the options name, in PyTorch's fused version if it has one.

    For small models, the many small operations of the other versions take as long as a gradient.
    """
    rate, decay, momentum = options.learning_rate, options.weight_decay, options.momentum
    match options.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay, momentum=momentum)
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=momentum, fused=True)


def learning_rate_factor(options: Optimization, step: int, steps: int) -> float:
    """Returns the factor on the learning rate at a step, counted from 0.

    It rises linearly over the warm-up, then follows the schedule, which reaches 0 after the last step.
    """
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = min(1.0, (step - options.warmup_steps) / max(1, steps - options.warmup_steps))
    match options.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
