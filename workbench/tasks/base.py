"""What a task owes the bench."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from architectures.base import positive
from workbench.seeding import seeded

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some examples of a task."""

    x: Tensor
    """(batch, time, input_size) features, or (batch, time) symbols as whole numbers below `symbols`."""
    target: Tensor
    """What the read-out should say: a row an example where it reads the last step, else one for every step."""
    lengths: Tensor | None = None
    """(batch,) the valid steps of right-padded sequences; `None` where all are valid."""
    recall: Tensor | None = None
    """(batch, time) true where there is something to recall; accuracy is counted there and nowhere else.
    `None` where every target counts."""
    source: Tensor | None = None
    """(batch, time) the step at which what is to be recalled at this one was shown, so that its lag is known; -1 where
    nothing is to be recalled. `None` where there is no one such step."""

    def __getitem__(self, part: slice) -> "Batch":
        """Some of the examples."""
        lengths = None if self.lengths is None else self.lengths[part]
        recall = None if self.recall is None else self.recall[part]
        source = None if self.source is None else self.source[part]
        return Batch(x=self.x[part], target=self.target[part], lengths=lengths, recall=recall, source=source)

    def steps(self, part: slice) -> "Batch":
        """Some steps of every example, where each has an answer of its own."""
        recall = None if self.recall is None else self.recall[:, part]
        source = None if self.source is None else self.source[:, part]
        return Batch(x=self.x[:, part], target=self.target[:, part], recall=recall, source=source)

    def to(self, device: torch.device) -> "Batch":
        """The same examples on another device; one that is a GPU is not waited for."""
        lengths = None if self.lengths is None else to_device(self.lengths, device)
        recall = None if self.recall is None else to_device(self.recall, device)
        source = None if self.source is None else to_device(self.source, device)
        x, target = to_device(self.x, device), to_device(self.target, device)
        return Batch(x=x, target=target, lengths=lengths, recall=recall, source=source)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on another device."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        # From pinned memory the copy is queued like all else that a GPU does; from any other it waits for the queue.
        # What has gaps would be gathered into memory that is not pinned, and waited for.
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What counts as solved: a bound on a metric of one fresh training batch."""

    metric: str
    """`loss`, or a name among the task's metrics."""
    bound: float
    above: bool
    """Whether the metric has to lie above the bound, or below it."""
    or_equal: bool = False
    """Whether the bound itself will do."""

    def met(self, value: float) -> bool:
        """Whether the value solves the task; NaN never does."""
        if self.or_equal and value == self.bound:
            return True
        return value > self.bound if self.above else value < self.bound

    def __str__(self) -> str:
        sign = (">" if self.above else "<") + ("=" if self.or_equal else "")
        return f"{self.metric} {sign} {self.bound:.6g}"


class Task(ABC):
    """Sequences with something to remember in them.

    A task is a frozen, keyword-only dataclass; its fields are its options, each with a type and a default, described
    under `Args:` in its docstring. The class says what kind of answer is wanted; `sample` draws examples. A task
    whose examples are a finite set overrides `train` and `fixed` too.
    """

    readout: ClassVar[Literal["last", "every"]]
    """Whether the answer is read at the last valid step or at every step."""
    stateful: ClassVar[bool] = False
    """Whether a training batch goes on where the last one stopped, with the state that it left, detached; and whether
    fixed examples, of a multiple of `steps` steps, are read in pieces of `steps` in the same way."""
    symbols: int | None = None
    """The size of the alphabet where x holds symbols; `None` where x holds features."""
    input_size: int
    """The number of features a step; for symbols, the size of the alphabet."""
    output_size: int
    """The number of numbers in an answer: 1 for a value, the number of classes for a class."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """The number of steps of the longest sequence."""

    @property
    @abstractmethod
    def trivial_loss(self) -> float:
        """The expected loss of the best answer that remembers nothing, in closed form."""

    @property
    def data(self) -> str | None:
        """A hash of the files that the examples are read from, as part of what an experiment is; `None` where there are
        none, or they are those that everybody has.

        Raises:
            UserError: if a file is missing, or is not what it should be.
        """
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data, in a line each."""
        return ()

    @property
    def solved(self) -> Criterion | None:
        """What counts as solved; `None` where the field has no such bound."""
        return None

    @abstractmethod
    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` fresh examples, on the generator's device."""

    @abstractmethod
    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """The mean loss of a prediction, (batch, output_size) or (batch, time, output_size), as a scalar tensor."""

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """What else is worth knowing of a prediction: scalar tensors by name, each a mean over the batch."""
        return {}

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """The training batch of a step: a function of (seed, step) alone, so that every architecture sees the same
        ones in the same order, and a resumed run the ones it would have seen."""
        return self.sample(size, seeded(device, "train", seed, step))

    def begins(self, step: int, size: int) -> bool:
        """Whether the training batch of a step, of so many examples, does not go on where the last one stopped."""
        return not self.stateful or step == 0

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """At most `size` examples that are the same for every run, whatever its seed, and never trained on."""
        return self.sample(size, seeded(device, split))


__all__ = ["Batch", "Criterion", "Split", "Task", "seeded"]


def at_least(least: int, **counts: int) -> None:
    """Refuses a size or count that is no whole number of at least `least`."""
    for name, value in counts.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    positive(**counts)
