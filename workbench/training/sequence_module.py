"""One LightningModule for every architecture and every task."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer as TorchOptimizer
from torch.optim.lr_scheduler import LambdaLR

from architectures.state import State
from workbench.config import Clip, Experiment, Optimization, Optimizer, Precision, Schedule
from workbench.custom_parts import is_custom
from workbench.devices import to_floats
from workbench.errors import UserError
from workbench.free_running import PREFIX, run_free
from workbench.model import Model
from workbench.resolve import resolve_architecture, resolve_task
from workbench.seeding import seed_everything, seed_torch, seeded_apart
from workbench.seeds import derive_seed
from workbench.tasks import Batch
from workbench.training.batches import TrainingBatch, as_batch, as_inputs, check_target
from workbench.training.carried_states import CarriedStates
from workbench.training.data_module import EVALUATION_BATCH
from workbench.training.module_arguments import experiment_arguments, read_arguments
from workbench.training.optimizers import learning_rate_factor, make_optimizer, parameter_groups
from workbench.validation import check_choice, check_int


class SequenceModule(pl.LightningModule):
    """An architecture on a task, for any Trainer, and any loader of batches that fit the task.

    It logs train/loss, val/loss and test/loss, and the task's metrics in the same way. Every random number that is
    drawn in a training step is a function of (seed, step), so there is no generator to restore.

    Args:
        architecture: a name of the catalogue, or package.module:Class.
        task: a name of the catalogue, file:PATH, or package.module:Class; it has the loss, the metrics and the sizes.
        hidden_size: units, unless the architecture's own options say otherwise.
        architecture_options: the architecture's options, such as {"num_layers": 2}.
        task_options: the task's options, such as {"length": 200}.
        embedding_size: symbols become learned vectors of this size; `None`: one-hot vectors.
        optimizer: the rule.
        learning_rate: its step size, at its highest.
        weight_decay: decoupled for adamw, an L2 term for the others.
        momentum: for rmsprop and sgd.
        clip: gradients clipped element by element (value), by their common norm (norm), or not at all (none); the
            Trainer's `gradient_clip_val`, if there is one, takes its place.
        clip_at: where they are clipped.
        schedule: the learning rate after the warm-up: constant, or falling to 0 at the last step.
        warmup_steps: steps over which the learning rate rises linearly from 0.
        steps: of the schedule; `None`: those that the Trainer is going to make.
        precision: float32, or bf16: the model's products in bfloat16. The Trainer's `precision` does the same and more.
        seed: of the initial weights, and of dropout.

    Raises:
        UserError: if a name or an option is unknown, or a value is invalid.
    """

    def __init__(
        self,
        architecture: str,
        task: str,
        *,
        hidden_size: int = 64,
        architecture_options: dict[str, Any] | None = None,
        task_options: dict[str, Any] | None = None,
        embedding_size: int | None = None,
        optimizer: Optimizer = "adam",
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        clip: Clip = "value",
        clip_at: float = 1.0,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        steps: int | None = None,
        precision: Precision = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_int("hidden_size", hidden_size, least=1)
        check_int("seed", seed, least=0)
        if steps is not None:
            check_int("steps", steps, least=1)
        check_choice("precision", precision, Precision)
        optimization = Optimization(
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            momentum=momentum,
            clip=clip,
            clip_at=clip_at,
            schedule=schedule,
            warmup_steps=warmup_steps,
        )
        task_part, self.task = resolve_task(task, task_options or {})
        part = resolve_architecture(
            architecture,
            architecture_options or {},
            self.task,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
        )
        with seeded_apart("weights", seed):
            self.model = Model(self.task, part, embedding_size)
        self.seed, self.precision, self.steps = seed, precision, steps
        self._has_custom_parts = is_custom(architecture) or is_custom(task)
        self.carried_states = CarriedStates(type(self.task).__name__)
        self.logs_steps = True
        """False if training steps log nothing, as in runs of the bench, whose callbacks take what a step returns."""
        self.save_hyperparameters(
            {
                "architecture": part.name,
                "task": task_part.full_name,
                "hidden_size": part.options.get("hidden_size", hidden_size),
                "architecture_options": dict(part.options),
                "task_options": dict(task_part.options),
                "embedding_size": embedding_size,
                **asdict(optimization),
                "steps": steps,
                "precision": precision,
                "seed": seed,
            }
        )

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> Self:
        """Returns the module of an experiment, with the weights before its first step."""
        return cls(**experiment_arguments(experiment))

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Returns the module that a checkpoint holds, its weights and its arguments; nothing in the file is executed.

        A custom architecture or task is imported only if it is named here or was imported before.

        Args:
            checkpoint_path: the file, or a file-like object. A run's checkpoint of an earlier version has no arguments;
                those of the `config.yaml` beside it are taken.
            map_location: as in `torch.load`.
            hparams_file: a YAML file of arguments, in place of the checkpoint's.
            strict: whether the weights must match exactly.
            weights_only: may be left out, or true.
            kwargs: arguments that take the place of the checkpoint's.

        Raises:
            UserError: if code would have to be imported, or executed, that was not named.
        """
        if weights_only is False:
            raise UserError("a checkpoint is loaded with weights_only=True alone: nothing in it is executed")
        if hparams_file is None:
            kwargs = {**read_arguments(checkpoint_path, kwargs), **kwargs}
        return super().load_from_checkpoint(checkpoint_path, map_location, hparams_file, strict, True, **kwargs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the model's predictions; see `Model.forward`."""
        return self.predict(x, lengths)[0]

    def predict(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Returns what `Model.forward` does, computed in the module's precision; predictions are float32 again."""
        if self.precision == "float32":
            y, state = self.model(x, lengths, state)
        else:
            with torch.autocast(self.device.type, torch.bfloat16):
                y, state = self.model(x, lengths, state)
        return y.float() if y.dtype in (torch.bfloat16, torch.float16) else y, state

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Returns the loss and the metrics of a batch by name, and logs them.

        Args:
            batch: of a `TaskDataModule`, or whatever else `as_batch` takes. A foreign batch begins new sequences.
            batch_idx: its number in the epoch.
        """
        if isinstance(batch, TrainingBatch):
            examples: Batch = batch
            self.seed_step(batch)
            before = self.state_before(batch)
        else:
            examples, before = as_batch(batch, self.task), None
            seed_everything("step", self.seed, self.batches_before())
        scores, state = self.compute_scores(examples, before)
        if self.task.stateful and isinstance(batch, TrainingBatch):
            self.carried_states.keep(batch.part, state)
        if self.logs_steps:
            self.log_scores("train", scores, examples)
        return scores

    def state_before(self, batch: TrainingBatch) -> State:
        """Returns the encoder's state that a batch continues from; `None` if its sequences begin with it."""
        return None if batch.begins else self.carried_states.get(batch.part, self.device)

    def seed_step(self, batch: TrainingBatch) -> None:
        """Seeds the global generators, from which dropout is drawn, for a batch."""
        if self._has_custom_parts:
            seed_everything("step", self.seed, batch.number)
        else:
            # The bench's own parts draw from torch's generator alone.
            seed_torch(derive_seed("step", self.seed, batch.number))
        if batch.random_state is not None:
            batch.random_state.restore()

    def batches_before(self) -> int:
        """Returns a number for the present batch of a foreign loader, different for each rank and each batch."""
        trainer = self.trainer
        return trainer.fit_loop.total_batch_idx * trainer.world_size + trainer.global_rank

    def compute_scores(self, batch: Batch, state: State = None) -> tuple[dict[str, Tensor], State]:
        """Returns the loss and the task's metrics on a batch, and the encoder's state after it.

        Args:
            batch: some examples.
            state: the encoder's state after an earlier batch that this one continues.

        Returns:
            Scalar tensors by name, and the state.

        Raises:
            UserError: if the targets do not fit the predictions.
        """
        prediction, state = self.predict(batch.x, batch.lengths, state)
        return self.score(prediction, batch, self.model.encoder.penalty), state

    def score(self, prediction: Tensor, batch: Batch, penalty: Tensor | None) -> dict[str, Tensor]:
        """Returns the loss and the task's metrics of predictions.

        Args:
            prediction: as `predict` returns it.
            batch: the examples.
            penalty: what the encoder adds to the loss in training, if anything.

        Raises:
            UserError: if the targets do not fit the predictions.
        """
        check_target(prediction, batch.target, self.task)
        loss = self.task.loss(prediction, batch)
        if penalty is not None and self.training:
            # Its gradient alone: the loss of every architecture is that of the task.
            loss = loss + (penalty - penalty.detach())
        with torch.no_grad():
            return {"loss": loss, **self.task.metrics(prediction.detach(), batch)}

    def evaluation_scores(self, batch: Batch, state: State = None) -> tuple[dict[str, Tensor], State]:
        """Returns what `compute_scores` does, and the metrics of answers that were fed back, of a task with a prompt.

        Their names begin with `free_`.
        """
        scores, after = self.compute_scores(batch, state)
        if self.task.prompt is None:
            return scores, after

        def predict(x: Tensor, state: State) -> tuple[Tensor, State]:
            return self.predict(x, None, state)

        prediction = run_free(predict, self.task, batch, self.model.encoder.causal)
        metrics = self.task.metrics(prediction, batch)
        return {**scores, **{f"{PREFIX}{name}": value for name, value in metrics.items()}}, after

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Returns and logs val/loss and the task's metrics."""
        return self._evaluation_step("val", batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Returns and logs test/loss and the task's metrics."""
        return self._evaluation_step("test", batch)

    def _evaluation_step(self, prefix: str, batch: Any) -> dict[str, Tensor]:
        examples, state = as_batch(batch, self.task), None
        pieces = []
        for piece in self.split_into_pieces(examples):
            scores, state = self.evaluation_scores(piece, state)
            pieces.append(scores)
        means = {name: torch.stack([scores[name] for scores in pieces]).mean() for name in pieces[0]}
        self.log_scores(prefix, means, examples)
        return means

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Returns the predictions for a batch, (batch, output_size) or (batch, time, output_size).

        Args:
            batch: x alone, or a batch of any kind that `training_step` takes.
            batch_idx: its number.
            dataloader_idx: which loader it comes from.
        """
        prediction: Tensor = self(*as_inputs(batch, self.task))
        return prediction

    def log_scores(self, prefix: str, scores: Mapping[str, Tensor], batch: Batch) -> None:
        """Logs the scores of a batch under the bench's names, such as val/accuracy; on all ranks, their mean."""
        training = prefix == "train"
        for name, value in scores.items():
            self.log(
                f"{prefix}/{name}",
                value.detach(),
                batch_size=len(batch.x),
                prog_bar=name == "loss",
                on_step=training,
                on_epoch=not training,
                sync_dist=not training,
            )

    @torch.no_grad()
    def evaluate(self, examples: Batch) -> dict[str, float]:
        """Returns the mean loss and metrics over some examples, such as a fixed set, as plain numbers.

        Args:
            examples: on the module's device.
        """
        training = self.training
        self.eval()
        all_scores: list[dict[str, Tensor]] = []
        sizes: list[int] = []
        piece_count = 1
        for start in range(0, len(examples.x), EVALUATION_BATCH):
            batch, state = examples[start : start + EVALUATION_BATCH], None
            pieces = self.split_into_pieces(batch)
            piece_count = len(pieces)
            for piece in pieces:
                scores, state = self.evaluation_scores(piece, state)
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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves the carried states, without which a resumed run would continue from none."""
        self.carried_states.save(checkpoint, self._trainer.world_size if self._trainer is not None else 1)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the carried states.

        Raises:
            UserError: if they were carried on another number of ranks.
        """
        if self._trainer is None or not self.task.stateful:
            self.carried_states.load(checkpoint, None)
        else:
            self.carried_states.load(checkpoint, self._trainer.world_size, self._trainer.global_rank)

    @property
    def optimization(self) -> Optimization:
        """The optimiser and its settings, as the hyperparameters have them now."""
        return Optimization(**{item.name: self.hparams[item.name] for item in fields(Optimization)})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Returns the optimiser, and the schedule of its learning rate by steps.

        Parameters for which the architecture has rules are groups of their own.

        Raises:
            UserError: if the schedule falls to 0 at the last step, and there is no last step.
        """
        options, steps = self.optimization, self.schedule_steps()
        # A scaler of gradients, for float16, can only be combined with clipping if the optimiser leaves it alone.
        scaled = self._trainer is not None and getattr(self._trainer.precision_plugin, "scaler", None) is not None
        groups = parameter_groups(options, self, self.model.encoder)
        optimizer = make_optimizer(options, groups, fused=not scaled)
        schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(options, step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def schedule_steps(self) -> float:
        """Returns the optimiser steps of the schedule: those given, or those that the Trainer is going to make."""
        if self.steps is not None:
            return self.steps
        if self.hparams["schedule"] == "constant":
            return 1
        steps = self.trainer.estimated_stepping_batches if self._trainer is not None else float("inf")
        if steps == float("inf"):
            raise UserError(
                f"the schedule {self.hparams['schedule']} falls to 0 at the last step, and there is none; give the "
                "Trainer max_steps, or the module steps"
            )
        return steps

    def configure_gradient_clipping(
        self,
        optimizer: TorchOptimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips gradients as the Trainer says, or else as the module's arguments do."""
        if gradient_clip_val is None and self.hparams["clip"] != "none":
            gradient_clip_val, gradient_clip_algorithm = self.hparams["clip_at"], self.hparams["clip"]
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
