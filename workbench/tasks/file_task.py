"""Base class of tasks whose examples are sequences that were read from files."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from workbench.data.own.dataset import OwnDataset
from workbench.seeding import CPU, make_generator
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.epochs import batch_indices

MAX_NAMED_ERRORS = 5
"""With more numbers to answer, only the error over all of them is a metric."""


class FileTask(Task):
    """Sequences that were read from files, with a class or numbers at the end of each, or at every step.

    loss     = -ln p(target), or the squared error of the scaled numbers, every sequence counting the same
    accuracy = share of right classes; for numbers the mean absolute error of each, in the data's own units
    trivial  = the loss on the test part of the best answer without memory, as fitted on the training part
    """

    @property
    @abstractmethod
    def loaded(self) -> OwnDataset:
        """The data, which is read again if a file has changed."""

    @property
    def summary(self) -> str:
        """What the data was taken for, in one line."""
        return self.loaded.summary

    @property
    def readout(self) -> Literal["last", "every"]:  # type: ignore[override]
        """The last step of a sequence, or every one."""
        return "last" if self.loaded.answers.at == "end" else "every"

    @property
    def symbols(self) -> int | None:  # type: ignore[override]
        """The size of the alphabet, if x is symbols."""
        return self.loaded.symbols

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of features, or the size of the alphabet."""
        return self.loaded.symbols or len(self.loaded.features)

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The number of classes, or of numbers to answer."""
        answers = self.loaded.answers
        return len(answers.classes) or len(answers.names)

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence, or of a window."""
        return self.loaded.steps

    @property
    def trivial_loss(self) -> float:
        """The loss on the test part of the best answer without memory, as fitted on the training part."""
        return self.loaded.trivial_loss

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training part with replacement, on the generator's device."""
        count = len(self.loaded.parts["train"])
        # On the CPU, where the lengths of the examples are.
        indices = torch.randint(count, (size,), generator=generator, device=generator.device).cpu().numpy()
        return self.make_batch("train", indices, generator.device)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, a function of (seed, step) alone, in epochs of the training part."""
        indices = batch_indices(len(self.loaded.parts["train"]), step, size, seed)
        return self.make_batch("train", indices.numpy(), device)

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns `size` examples of a part, a random choice that is the same for every run, or all if it has fewer."""
        count = len(self.loaded.parts[split])
        indices = torch.arange(count, device=CPU)
        if size < count:
            indices = torch.randperm(count, generator=make_generator(CPU, "fixed", split), device=CPU)[:size].sort()[0]
        return self.make_batch(split, indices.numpy(), device)

    def make_batch(self, split: Split, indices: np.ndarray, device: torch.device) -> Batch:
        """Returns some examples of a part, padded to the longest of all."""
        data = self.loaded
        examples, flat = data.parts[split][indices], data.on(device)
        step = np.arange(data.steps)
        valid = step < examples.lengths[:, None]
        rows = torch.from_numpy(examples.starts[:, None] + np.where(valid, step, 0)).to(device)
        x = flat.x[rows]
        lengths = None
        if not valid.all():
            behind = torch.from_numpy(~valid).to(device)
            x = x.masked_fill(behind if x.ndim == 2 else behind.unsqueeze(2), 0)
            lengths = torch.from_numpy(examples.lengths).to(device)
        if data.answers.at == "end":
            last = examples.starts + examples.lengths - 1 if data.horizon else examples.sequences
            return Batch(x=x, target=flat.target[torch.from_numpy(last).to(device)], lengths=lengths)
        target, scored = flat.target[rows], None
        if lengths is not None or flat.known is not None:
            scored = torch.from_numpy(valid).to(device)
            if flat.known is not None:
                scored = scored & flat.known[rows]
        return Batch(x=x, target=target, lengths=lengths, recall=scored)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean over the sequences of the mean over their steps: cross-entropy, or squared error."""
        if self.loaded.answers.kind == "class":
            answers = functional.cross_entropy(prediction.flatten(0, -2), batch.target.flatten(), reduction="none")
            return mean_over_steps(answers.view(batch.target.shape), batch)
        return mean_over_steps((prediction - batch.target).square().mean(-1), batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy, or the mean absolute error of each number in the data's own units."""
        if self.loaded.answers.kind == "class":
            return {"accuracy": mean_over_steps((prediction.argmax(-1) == batch.target).float(), batch)}
        data = self.loaded
        assert data.target_scaling is not None
        names, factors = data.answers.names, data.target_scaling.factor.tolist()
        errors = (prediction - batch.target).abs()
        if len(names) > MAX_NAMED_ERRORS:
            return {"absolute_error": mean_over_steps(errors.mean(-1), batch)}
        return {
            name: mean_over_steps(errors[..., column], batch) * factors[column]
            for column, name in enumerate(metric_names(names))
        }


def metric_names(names: list[str]) -> list[str]:
    """Returns the names of the errors of some numbers: `absolute_error`, or, of several, `absolute_error_NAME`."""
    if len(names) == 1:
        return ["absolute_error"]
    words = ["".join(char if char.isalnum() else "_" for char in name) for name in names]
    unique = [word if words.count(word) == 1 else f"{word}_{index}" for index, word in enumerate(words)]
    return [f"absolute_error_{word}" for word in unique]


def mean_over_steps(values: Tensor, batch: Batch) -> Tensor:
    """Returns the mean over sequences of the mean over their scored steps.

    Args:
        values: (batch,) or (batch, time).
        batch: its `recall` says which steps are scored; all if it is `None`.
    """
    if batch.recall is None:
        return values.mean()
    return ((values * batch.recall).sum(1) / batch.recall.sum(1)).mean()
