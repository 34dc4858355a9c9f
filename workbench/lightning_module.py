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
from workbench.seeding import CPU, seed_everything
from workbench.tasks import Batch

EVALUATION_BATCH = 100
"""Sequences of a validation or test set that go through the model together."""


class SequenceModule(pl.LightningModule):
    """Trains an experiment's model on its task.

    The training batch of a step, and every random number drawn in that step, are functions of (seed, step) alone, so
    there is nothing to load and nothing to restore: a resumed run goes on with the bits it would have had.

    Args:
        experiment: what to train; the weights are initialised from its seed.
    """

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment
        self.task, self.model = seeded_model(experiment)
        self._fixed: dict[tuple[str, torch.device], Batch] = {}
        self.carried: State = None
        """Where the last training batch stopped, for a task whose next one goes on from there."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The model's answers; see `Model.forward`."""
        return self.answers(x, lengths)[0]

    def answers(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """What `Model.forward` returns, computed in the experiment's precision; the answers are float32 again."""
        if self.experiment.numerics.precision == "float32":
            return self.model(x, lengths, state)  # type: ignore[no-any-return]
        with torch.autocast(self.device.type, torch.bfloat16):
            y, state = self.model(x, lengths, state)
        return y.float(), state

    def training_batch(self, step: int) -> Batch:
        """The training batch of a step, counted from 0."""
        where = self.device if self.experiment.numerics.draw == "device" else CPU
        batch = self.task.train(step, self.experiment.budget.batch_size, self.experiment.seed, where)
        return batch.to(self.device) if isinstance(batch, Batch) else batch

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """The loss (for Lightning) and the metrics (for whoever records them) of this step's batch."""
        step = self.global_step
        seed_everything("step", self.experiment.seed, step)
        begins = self.task.begins(step, self.experiment.budget.batch_size)
        before = None if begins else map_state(lambda part: part.to(self.device), self.carried)
        scores, state = self.scores(self.training_batch(step), before)
        self.carried = detach(state) if self.task.stateful else None
        return scores

    def scores(self, batch: Batch, state: State = None) -> tuple[dict[str, Tensor], State]:
        """The loss and the task's metrics on a batch, scalar tensors by name; and where the encoder stopped.

        Args:
            batch: some examples.
            state: where an earlier batch stopped that they go on from.
        """
        prediction, state = self.answers(batch.x, batch.lengths, state)
        loss = self.task.loss(prediction, batch)
        with torch.no_grad():
            return {"loss": loss, **self.task.metrics(prediction.detach(), batch)}, state

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what is carried over, without which a resumed run would go on from nothing."""
        checkpoint["carried"] = self.carried

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up what was carried over; checkpoints of runs that carry nothing may not have it."""
        self.carried = checkpoint.get("carried")

    @torch.no_grad()
    def evaluate(self, split: Literal["validation", "test"]) -> dict[str, float]:
        """The mean loss and metrics over a fixed set, as plain numbers."""
        training = self.training
        self.eval()
        whole = self.fixed(split)
        found: list[dict[str, Tensor]] = []
        shares: list[int] = []
        pieces = 1
        for start in range(0, len(whole.x), EVALUATION_BATCH):
            part, state = whole[start : start + EVALUATION_BATCH], None
            cut = self.pieces(part)
            pieces = len(cut)
            for piece in cut:
                scores, state = self.scores(piece, state)
                found.append(scores)
                shares.append(len(part.x))
        self.train(training)
        total: dict[str, float] = {}
        for each, share in zip(to_floats(found), shares, strict=True):
            for name, value in each.items():
                total[name] = total.get(name, 0.0) + value * share
        return {name: value / len(whole.x) / pieces for name, value in total.items()}

    def pieces(self, batch: Batch) -> list[Batch]:
        """A batch, cut into the pieces that are read one after another with the state carried over."""
        if not self.task.stateful:
            return [batch]
        length = self.task.steps
        return [batch.steps(slice(start, start + length)) for start in range(0, batch.x.shape[1], length)]

    def fixed(self, split: Literal["validation", "test"]) -> Batch:
        """A fixed set, made once on the device that the model is on."""
        key = (split, self.device)
        if key not in self._fixed:
            whole = self.task.fixed(split, self.experiment.budget.evaluation_size, CPU)
            self._fixed[key] = whole.to(self.device) if isinstance(whole, Batch) else whole
        return self._fixed[key]

    def train_dataloader(self) -> "StepLoader":
        return StepLoader()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        options = self.experiment.optimization
        optimizer = make_optimizer(options, self.parameters())
        schedule = LambdaLR(optimizer, lambda step: share_of_learning_rate(options, step, self.experiment.budget.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StepLoader:
    """What Lightning iterates over: an endless supply of turns. The data of each is made in `training_step`."""

    def __iter__(self) -> Iterator[int]:
        return count()


def make_optimizer(options: Optimization, parameters: Any) -> torch.optim.Optimizer:
    """The optimiser that the options name, in PyTorch's fused version where it has one: for small models the many small
    operations of the others take as long as a gradient."""
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


def share_of_learning_rate(options: Optimization, step: int, steps: int) -> float:
    """The factor on the learning rate at a step, counted from 0: a linear rise over the warm-up, then the schedule,
    which reaches 0 behind the last step."""
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    done = min(1.0, (step - options.warmup_steps) / max(1, steps - options.warmup_steps))
    match options.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - done
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
