"""The next character of a text, with the state carried from one stretch of it to the next."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from workbench.data import text
from workbench.seeding import CPU, seeded
from workbench.tasks.base import Batch, Split, Task, at_least
from workbench.tasks.classification import cross_entropy

STREAMS = 20
"""Parallel streams that a validation or test text is read in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCharacter(Task):
    """Which byte comes next, at every step of a text.

        x_t     = byte t, as one of the symbols of the training part
        target  = x_{t+1}
        loss    = mean of -ln p(target), in nats; bits_per_character = loss / ln 2
        trivial = H(x_{t+1} | x_t) of the training part: the best answer from the present byte alone

    Backpropagation is truncated: the text is cut into as many streams as a batch has sequences, and each training step
    reads the next `length` bytes of every stream, with the state that the last one left, detached. An epoch begins
    anew, somewhere in the first `length` bytes, by the seed. Validation and test are read in the same way.

    The text is cut once and for all: its last 5 % to test, the 5 % before to validate, for enwik8 the usual five
    million bytes each.

    Args:
        file: enwik8 or tinyshakespeare.txt, downloaded unless --data-dir has it, or the path of any file, as it stands
            or below --data-dir.
        length: steps of truncated backpropagation.

    Source: RDA paper, table 7 (enwik8, truncated at 250 steps, state carried over); Hutter (2006), the Hutter prize.
    """

    readout = "every"
    stateful: ClassVar[bool] = True
    file: str = "enwik8"
    length: int = 250

    def __post_init__(self) -> None:
        at_least(1, length=self.length)
        if not isinstance(self.file, str) or not self.file:
            raise TypeError(f"file must be the path of a text, not {self.file!r}")

    @property
    def text(self) -> text.TextFile:
        """The text."""
        return text.load(self.file)

    @property
    def data(self) -> str | None:
        digest = self.text.digest
        known = text.KNOWN.get(self.file)
        return None if known is not None and digest == known.md5[:12] else digest

    @property
    def symbols(self) -> int:  # type: ignore[override]
        return len(self.text.alphabet)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        return self.symbols

    @property
    def steps(self) -> int:
        return self.length

    @property
    def trivial_loss(self) -> float:
        row, kinds = self.text.train, self.symbols
        pairs = np.bincount(row[:-1].astype(np.int64) * kinds + row[1:], minlength=kinds * kinds).reshape(kinds, kinds)
        seen = pairs.sum(1, keepdims=True)
        share = np.divide(pairs, seen, out=np.ones(pairs.shape), where=pairs > 0)
        return -float((pairs * np.log(share)).sum() / pairs.sum())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws stretches of the training part, each from anywhere in it, on the generator's device."""
        device = generator.device
        row = part_of(self.text, "train", device)
        self._refuse_short(len(row), 1)
        first = torch.randint(len(row) - self.length, (size, 1), generator=generator, device=device)
        return batch(row[first + count_steps(self.length + 1, device)])

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        return {"bits_per_character": cross_entropy(prediction, batch) / math.log(2)}

    def begins(self, step: int, size: int) -> bool:
        return step % self.stretches(size) == 0

    def stretches(self, size: int) -> int:
        """Training steps of an epoch.

        Raises:
            ValueError: if the text is too short for one.
        """
        known = len(self.text.train)
        self._refuse_short(known, size)
        # Wherever in the first stretch an epoch begins, it has as many.
        return (known - self.length) // size // self.length

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """The training batch of a step: the next stretch of every stream, a function of (seed, step) alone."""
        epoch, place = divmod(step, self.stretches(size))
        row = part_of(self.text, "train", device)
        apart = (len(row) - self.length) // size
        first = (
            split_start(self.length, seed, epoch) + apart * count_steps(size, device).unsqueeze(1) + self.length * place
        )
        return batch(row[first + count_steps(self.length + 1, device)])

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """At most `size` stretches from the beginning of a part, those of one stream behind each other."""
        row = part_of(self.text, split, device)
        whole = min(size, (len(row) - 1) // self.length)
        if whole < 1:
            raise ValueError(f"the {split} part of {self.file} has {len(row):,} bytes, and length is {self.length}")
        streams = min(STREAMS, whole)
        steps = whole // streams * self.length
        first = steps * count_steps(streams, device).unsqueeze(1)
        return batch(row[first + count_steps(steps + 1, device)])

    def _refuse_short(self, known: int, size: int) -> None:
        if known - self.length < size * self.length:
            raise ValueError(
                f"the training part of {self.file} has {known:,} bytes, too few for {size} streams of {self.length} "
                "steps; a smaller batch_size or length would do"
            )


@lru_cache(maxsize=6)
def part_of(known: text.TextFile, part: Split, device: torch.device) -> Tensor:
    """(symbols,) a part of a text, uint8; not to be written to."""
    return torch.from_numpy(getattr(known, part)).to(device)


@lru_cache(maxsize=4)
def split_start(length: int, seed: int, epoch: int) -> int:
    """Where in its first stretch of `length` steps an epoch begins. Kept, since all batches of an epoch ask for it."""
    return int(torch.randint(length, (), generator=seeded(CPU, "epoch", seed, epoch), device=CPU))


def count_steps(stop: int, device: torch.device) -> Tensor:
    """0, 1, ... below a number."""
    return torch.arange(stop, device=device)


def batch(rows: Tensor) -> Batch:
    """Stretches with one byte more than they have steps, (streams, steps + 1): what is read, and what comes next."""
    numbers = rows.long()
    return Batch(x=numbers[:, :-1], target=numbers[:, 1:])
