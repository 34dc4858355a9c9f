"""The task `one-to-many`: a picture at one step, and the letters of its name at the next ones."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor

from workbench.seeding import CPU
from workbench.tasks.base import Batch, Criterion, Floor, Split
from workbench.tasks.digits import load_split
from workbench.tasks.epochs import batch_indices
from workbench.tasks.guessing import best_accuracy, conditional_entropy
from workbench.tasks.query_task import QueryTask

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
END = "."
LETTERS = END + "".join(sorted({*"".join(NAMES)}))
"""The end of a name, and the letters in it."""
PIXELS = 64
LONGEST = 1 + max(map(len, NAMES))
"""Letters of the longest name, its end included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneToMany(QueryTask):
    """A handwritten digit as a whole at the first step; then its name is asked letter by letter, with an end.

    Each input behind the picture is the letter that was right at the step before (teacher forcing), at first a mark. In
    evaluation there is also an accuracy of answers that are fed back (free running). Pictures, and their split, are
    those of `digits`.

        x_1      = 64 pixels / 16
        x_t      = the letter before, one-hot, behind 64 zeros
        loss     = mean of -ln p(letter) over the letters that are asked
        trivial  = H(digit) / mean length of a name: the best answer from the letters so far, without the picture
        floors   : knows the time, H(letter | its place); present step, H(letter | the one before)
        solved   : accuracy > 0.95

    with the shares of the digits in the training split.

    Source: Karpathy (2015), "The Unreasonable Effectiveness of Recurrent Neural Networks", whose picture of "one to
    many" is a caption for an image.
    """

    input_size = PIXELS + len(LETTERS) + 1
    output_size = len(LETTERS)

    @property
    def steps(self) -> int:
        """The picture, and the letters of the longest name with its end."""
        return 1 + LONGEST

    @property
    def source_steps(self) -> int:
        """The picture's step."""
        return 1

    @property
    def prompt(self) -> int:
        """The picture and the mark."""
        return 2

    @property
    def trivial_loss(self) -> float:
        """The entropy of the digit, spread over the letters of a name."""
        shares = digit_shares()
        lengths = [len(name) + 1 for name in NAMES]
        return -sum(p * math.log(p) for p in shares) / sum(p * n for p, n in zip(shares, lengths, strict=True))

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows a letter's place alone, or the letter before alone."""
        places: dict[tuple[object, str], float] = {}
        letters: dict[tuple[object, str], float] = {}
        for share, name in zip(digit_shares(), NAMES, strict=True):
            for place, (before, letter) in enumerate(zip(END + name, name + END, strict=True)):
                places[place, letter] = places.get((place, letter), 0.0) + share
                # The mark before the first letter is told from the end.
                known = before if place else ""
                letters[known, letter] = letters.get((known, letter), 0.0) + share
        return {"knows the time": law_floor(places), "present step": law_floor(letters)}

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.95."""
        return Criterion(metric="accuracy", bound=0.95, above=True)

    def feed(self, answers: Tensor) -> Tensor:
        """Returns the letters of answers, (batch,) or (batch, time), as inputs of the next step; -1 is no letter."""
        # PyTorch's `one_hot` looks at the numbers first.
        letters = (answers.unsqueeze(-1) == torch.arange(len(LETTERS) + 1, device=answers.device)).float()
        return torch.cat([letters.new_zeros(*answers.shape, PIXELS), letters], dim=-1)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training split with replacement, on the generator's device."""
        pixels, digits = load_split("train", generator.device)
        indices = torch.randint(len(pixels), (size,), generator=generator, device=generator.device)
        return self.spell(pixels[indices], digits[indices])

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, a function of (seed, step) alone, in epochs of the training split."""
        pixels, digits = load_split("train", device)
        indices = batch_indices(len(pixels), step, size, seed, device)
        return self.spell(pixels[indices], digits[indices])

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns the first `size` examples of a split, or all if it has fewer."""
        pixels, digits = load_split(split, device)
        return self.spell(pixels[:size], digits[:size])

    def spell(self, pixels: Tensor, digits: Tensor) -> Batch:
        """Returns the examples of pictures, (batch, 64, 1), and their digits, (batch,)."""
        table = spellings(digits.device)
        names, size = table[digits], len(digits)
        x = torch.zeros((size, self.steps, self.input_size), device=digits.device)
        x[:, 0, :PIXELS] = pixels.squeeze(2)
        x[:, 1, -1] = 1
        x[:, 2:] = self.feed(names[:, :-1])
        asked = torch.cat([torch.zeros_like(names[:, :1], dtype=torch.bool), names >= 0], dim=1)
        target = torch.cat([torch.zeros_like(names[:, :1]), names.clamp(min=0)], dim=1)
        return Batch(x=x, target=target, recall=asked, source=torch.where(asked, 0, -1))


@cache
def digit_shares() -> tuple[float, ...]:
    """Returns the share of each digit in the training split."""
    split: Split = "train"
    _, digits = load_split(split, CPU)
    return tuple((digits.bincount(minlength=len(NAMES)).double() / len(digits)).tolist())


@cache
def spellings(device: torch.device) -> Tensor:
    """Returns the letters of each name with its end, (10, LONGEST), -1 behind it; not to be written to."""
    rows: Iterable[str] = (name + END for name in NAMES)
    table = [[LETTERS.index(letter) for letter in row] + [-1] * (LONGEST - len(row)) for row in rows]
    return torch.tensor(table, device=CPU).to(device)


def law_floor(law: Mapping[tuple[object, str], float]) -> Floor:
    """Returns what one reaches who knows the first of two quantities, of whose values' law the second is asked.

    Args:
        law: a number in proportion to the probability of each pair.
    """
    known = sorted({key for key, _ in law}, key=str)
    joint = np.zeros((len(known), len(LETTERS)))
    for (key, letter), share in law.items():
        joint[known.index(key), LETTERS.index(letter)] = share
    joint /= joint.sum()
    return Floor(loss=conditional_entropy(joint), accuracy=best_accuracy(joint))
