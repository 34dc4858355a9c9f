"""The task `text`: the next character of a text, with the state carried from one stretch to the next."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from architectures.limits import check_steps, quote
from workbench.data import text
from workbench.seeding import CPU, make_generator
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.classification import cross_entropy

STREAMS = 20
"""Parallel streams in which a validation or test text is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCharacter(Task):
    """Prediction of the next byte at every step of a text.

        x_t     = byte t, as one of the symbols of the training part
        target  = x_{t+1}
        loss    = mean of -ln p(target), in nats; bits_per_character = loss / ln 2
        trivial = H(x_{t+1} | x_t) of the training part: the best answer from the present byte alone

    Backpropagation is truncated: the text is cut into as many streams as a batch has sequences, and each training step
    reads the next `length` bytes of every stream, with the state that the last one left, detached. Each epoch begins
    at an offset within the first `length` bytes that depends on the seed. Validation and test are read in the same way.

    The text is split once and for all: its last 5 % to test, the 5 % before to validate, for enwik8 the usual five
    million bytes each.

    Source: Maginnis and Richemond (2017), table 7 (enwik8, truncated at 250 steps, state carried over); Hutter (2006),
    the Hutter prize.

    Args:
        file: enwik8 or tinyshakespeare.txt, downloaded unless --data-dir has it, or the path of any file, as it stands
            or below --data-dir.
        length: steps of truncated backpropagation.
    """

    readout = "every"
    stateful: ClassVar[bool] = True
    file: str = "enwik8"
    length: int = 250

    def __post_init__(self) -> None:
        check_steps(length=self.length)
        if not isinstance(self.file, str) or not self.file:
            raise TypeError(f"file must be the path of a text, not {quote(self.file)}")

    @property
    def text(self) -> text.TextFile:
        """The text."""
        return text.load(self.file)

    @property
    def data(self) -> str | None:
        """A hash of the text, unless it is the published one of that name."""
        digest = self.text.digest
        published = text.PUBLISHED_TEXTS.get(self.file)
        return None if published is not None and digest == published.md5[:12] else digest

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """The number of different bytes in the training part."""
        return len(self.text.alphabet)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The size of the alphabet."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The size of the alphabet."""
        return self.symbols

    @property
    def steps(self) -> int:
        """The number of steps of a stretch."""
        return self.length

    @property
    def trivial_loss(self) -> float:
        """The entropy of a byte given the one before it, in the training part."""
        train, size = self.text.train, self.symbols
        pairs = np.bincount(train[:-1].astype(np.int64) * size + train[1:], minlength=size * size).reshape(size, size)
        totals = pairs.sum(1, keepdims=True)
        shares = np.divide(pairs, totals, out=np.ones(pairs.shape), where=pairs > 0)
        return -float((pairs * np.log(shares)).sum() / pairs.sum())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws stretches from anywhere in the training part, on the generator's device."""
        device = generator.device
        train = load_part(self.text, "train", device)
        self._check_length(len(train), 1)
        first = torch.randint(len(train) - self.length, (size, 1), generator=generator, device=device)
        return next_byte_batch(train[first + torch.arange(self.length + 1, device=device)])

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy, in nats."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the mean cross-entropy in bits."""
        return {"bits_per_character": cross_entropy(prediction, batch) / math.log(2)}

    def begins(self, step: int, size: int) -> bool:
        """Returns whether the training batch of a step is the first of an epoch."""
        return step % self.steps_per_epoch(size) == 0

    def steps_per_epoch(self, size: int) -> int:
        """Returns the number of training steps of an epoch, for batches of `size` streams.

        Raises:
            ValueError: if the text is too short for one.
        """
        count = len(self.text.train)
        self._check_length(count, size)
        # The same for every offset at which an epoch may begin.
        return (count - self.length) // size // self.length

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step: the next stretch of every stream, a function of (seed, step) alone."""
        epoch, position = divmod(step, self.steps_per_epoch(size))
        train = load_part(self.text, "train", device)
        stream_length = (len(train) - self.length) // size
        streams = stream_length * torch.arange(size, device=device).unsqueeze(1)
        first = epoch_start(self.length, seed, epoch) + streams + self.length * position
        return next_byte_batch(train[first + torch.arange(self.length + 1, device=device)])

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns at most `size` stretches from the beginning of a part; those of a stream are one long example."""
        part = load_part(self.text, split, device)
        stretches = min(size, (len(part) - 1) // self.length)
        if stretches < 1:
            raise ValueError(f"the {split} part of {self.file} has {len(part):,} bytes, and length is {self.length}")
        streams = min(STREAMS, stretches)
        steps = stretches // streams * self.length
        first = steps * torch.arange(streams, device=device).unsqueeze(1)
        return next_byte_batch(part[first + torch.arange(steps + 1, device=device)])

    def _check_length(self, count: int, size: int) -> None:
        if count - self.length < size * self.length:
            raise ValueError(
                f"the training part of {self.file} has {count:,} bytes, too few for {size} streams of {self.length} "
                "steps; a smaller batch_size or length would do"
            )


@lru_cache(maxsize=6)
def load_part(file: text.TextFile, part: Split, device: torch.device) -> Tensor:
    """Returns a part of a text, (symbols,), uint8; not to be written to."""
    return torch.from_numpy(getattr(file, part)).to(device)


@lru_cache(maxsize=4)
def epoch_start(length: int, seed: int, epoch: int) -> int:
    """Returns the offset below `length` at which an epoch begins; cached, as all batches of an epoch need it."""
    return int(torch.randint(length, (), generator=make_generator(CPU, "epoch", seed, epoch), device=CPU))


def next_byte_batch(stretches: Tensor) -> Batch:
    """Returns stretches as a batch whose target at each step is the next symbol.

    Args:
        stretches: (streams, steps + 1) symbols.
    """
    symbols = stretches.long()
    return Batch(x=symbols[:, :-1], target=symbols[:, 1:])
