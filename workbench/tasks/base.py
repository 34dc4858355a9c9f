"""The interface of all tasks, `Task`, and the batches and criteria that tasks are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from workbench.seeding import make_generator
from workbench.tasks.floors import Floor

__all__ = ["Batch", "Criterion", "Floor", "Split", "Task", "to_device"]

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some examples of a task."""

    x: Tensor
    """(batch, time, input_size) features, or (batch, time) symbols as whole numbers below `symbols`."""
    target: Tensor
    """The right answers: one for each example if the task reads the last step, else one for each step."""
    lengths: Tensor | None = None
    """(batch,) the valid steps of right-padded sequences; `None` if all steps are valid."""
    recall: Tensor | None = None
    """(batch, time) true at the steps at which something has to be recalled; accuracy is counted only there.
    `None` if every target counts."""
    source: Tensor | None = None
    """(batch, time) the step at which the symbol that is recalled here was shown, so that its lag is known; -1 at steps
    that recall nothing. `None` if the task has no such step."""

    def __getitem__(self, part: slice) -> "Batch":
        """Returns some of the examples."""
        lengths = None if self.lengths is None else self.lengths[part]
        recall = None if self.recall is None else self.recall[part]
        source = None if self.source is None else self.source[part]
        return Batch(x=self.x[part], target=self.target[part], lengths=lengths, recall=recall, source=source)

    def steps(self, part: slice) -> "Batch":
        """Returns some steps of every example, of a task that has an answer for each step."""
        recall = None if self.recall is None else self.recall[:, part]
        source = None if self.source is None else self.source[:, part]
        return Batch(x=self.x[:, part], target=self.target[:, part], recall=recall, source=source)

    def to(self, device: torch.device) -> "Batch":
        """Returns the same examples on another device, without waiting for a GPU."""
        lengths = None if self.lengths is None else to_device(self.lengths, device)
        recall = None if self.recall is None else to_device(self.recall, device)
        source = None if self.source is None else to_device(self.source, device)
        x, target = to_device(self.x, device), to_device(self.target, device)
        return Batch(x=x, target=target, lengths=lengths, recall=recall, source=source)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Returns a tensor on another device, without waiting for a GPU."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        # From pinned memory the copy is queued like everything else on a GPU; from other memory it waits for the queue.
        # A tensor with gaps would be gathered into memory that is not pinned, and waited for.
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """Condition under which a task counts as solved: a bound on a metric of one fresh training batch."""

    metric: str
    """`loss`, or a name among the task's metrics."""
    bound: float
    above: bool
    """True if the metric has to lie above the bound, false if below it."""
    or_equal: bool = False
    """True if the bound itself is enough."""

    def met(self, value: float) -> bool:
        """Returns whether the value solves the task; NaN never does."""
        if self.or_equal and value == self.bound:
            return True
        return value > self.bound if self.above else value < self.bound

    def __str__(self) -> str:
        sign = (">" if self.above else "<") + ("=" if self.or_equal else "")
        return f"{self.metric} {sign} {self.bound:.6g}"


class Task(ABC):
    """Sequences with something to remember in them, and the answers that are wanted.

    A task is a frozen, keyword-only dataclass; its fields are its options, each with a type and a default, described
    under `Args:` in its docstring. The class says what kind of answer is wanted; `sample` draws examples. A task
    whose examples are a finite set overrides `train` and `fixed` too.
    """

    readout: ClassVar[Literal["last", "every"]]
    """Steps at which the answer is read: the last valid one, or every one."""
    stateful: ClassVar[bool] = False
    """True if a training batch continues the sequences of the last one, with the state that it left, detached; fixed
    examples, of a multiple of `steps` steps, are then read in pieces of `steps` in the same way."""
    directions: ClassVar[Mapping[str, Literal["minimize", "maximize"]]] = {}
    """By metric, whether less or more of it is better, for a sweep that is judged by one whose name does not say so."""
    revision: ClassVar[int] = 1
    """Raised whenever the same options come to mean other numbers, so that old results are not taken for new ones."""
    symbols: int | None = None
    """The size of the alphabet if x holds symbols; `None` if x holds features."""
    input_size: int
    """The number of features of a step; for symbols, the size of the alphabet."""
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
    def floors(self) -> Mapping[str, Floor]:
        """What cheap strategies reach, by their names, such as `bag of values`; empty if none is known.

        They know less than a solution needs: the present step and the time, which values were shown but not where, or
        the value that was seen last. The strategy of `trivial_loss` is not among them.
        """
        return {}

    @property
    def source_steps(self) -> int | None:
        """The steps of the source, before the first answer is asked; `None` if they differ, or it ends nowhere.

        An architecture of encoder and decoder takes them for its encoder's.
        """
        return None

    @property
    def prompt(self) -> int | None:
        """The first steps whose inputs are given; each later input is the right answer of the step before.

        In evaluation the model's own answers stand there as well (`feed`), and their metrics begin with `free_`.
        `None`, the default, if inputs are no answers.
        """
        return None

    def feed(self, answers: Tensor) -> Tensor:
        """Returns the inputs that answers become at the next step, for a task with a `prompt`.

        Args:
            answers: classes, (batch,).

        Returns:
            (batch,) symbols, or (batch, input_size) features.
        """
        raise NotImplementedError

    @property
    def data(self) -> str | None:
        """A hash of the files that the examples are read from, as part of the identity of an experiment.

        `None` if there are no files, or they are the published ones.

        Raises:
            UserError: if a file is missing or damaged.
        """
        return None

    @property
    def summary(self) -> str | None:
        """What the data was taken for, in a line for the user before anything is trained; `None` if it is clear."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that a user should know about the data."""
        return ()

    @property
    def solved(self) -> Criterion | None:
        """The criterion of a solved task; `None` if the field has no such bound."""
        return None

    @abstractmethod
    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` fresh examples, on the generator's device."""

    @abstractmethod
    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean loss of a prediction as a scalar tensor.

        Args:
            prediction: (batch, output_size) or (batch, time, output_size).
            batch: the examples that it is for.
        """

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns further measures of a prediction: scalar tensors by name, each a mean over the batch."""
        return {}

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, which depends on (seed, step) alone.

        So every architecture sees the same batches in the same order, and a resumed run those that it would have seen.
        """
        return self.sample(size, make_generator(device, "train", seed, step))

    def begins(self, step: int, size: int) -> bool:
        """Returns whether the training batch of a step, of `size` examples, begins new sequences.

        If not, it continues those of the last batch.
        """
        return not self.stateful or step == 0

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns at most `size` examples that are the same for every run, whatever its seed, and never trained on."""
        return self.sample(size, make_generator(device, split))
