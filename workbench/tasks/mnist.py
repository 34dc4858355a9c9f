"""MNIST, pixel by pixel, in the order of reading or in one that has no neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d

from workbench.data import mnist
from workbench.seeding import CPU, seeded
from workbench.tasks.base import Batch, Split, Task, at_least
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.epochs import indices

HELD_OUT = 5000
"""Training images, the last ones, that are kept for validation: nothing is chosen by the published test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist(Task):
    """Handwritten digits, read one pixel a step, row by row; the answer at the last step is which digit it was.

        x_t     = pixel t / 255, in [0, 1]
        loss    = -ln p(target)
        trivial = -sum_k f_k ln f_k, f_k the share of digit k in the training split; a little under ln 10

    55,000 images to train, the last 5,000 of the published training set for validation, the published 10,000 to test.

    Args:
        pool: means over pool x pool pixels take the place of pixels, so that sequences have (28 / pool)^2 steps: 1 for
            the papers' 784, 2 for 196, 4 for 49.

    Source: Le, Jaitly and Hinton (2015), section 4.2; RDA paper, table 3; Bai, Kolter and Koltun (2018), table 1.
    """

    readout = "last"
    input_size = 1
    output_size = mnist.CLASSES
    pool: int = 1

    def __post_init__(self) -> None:
        at_least(1, pool=self.pool)
        if mnist.SIDE % self.pool:
            raise ValueError(
                f"pool must divide {mnist.SIDE}, the pixels of a side: 1, 2, 4, 7, 14 or 28, not {self.pool}"
            )

    @property
    def steps(self) -> int:
        return (mnist.SIDE // self.pool) ** 2

    @property
    def data(self) -> str | None:
        return mnist.load().digest

    @property
    def notes(self) -> tuple[str, ...]:
        if differing := mnist.load().differing:
            return (f"not byte for byte as published: {', '.join(differing)}; results are kept apart",)
        return ()

    @property
    def trivial_loss(self) -> float:
        _, labels = split_of("train", CPU)
        share = labels.bincount(minlength=mnist.CLASSES).double() / len(labels)
        return -float(torch.special.xlogy(share, share).sum())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training split with replacement, on the generator's device."""
        pixels, _ = split_of("train", CPU)
        return self.batch("train", torch.randint(len(pixels), (size,), generator=generator, device=generator.device))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        return accuracy(prediction, batch)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """The training batch of a step: a function of (seed, step) alone, epoch by epoch through the training split."""
        pixels, _ = split_of("train", CPU)
        return self.batch("train", indices(len(pixels), step, size, seed, device))

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """The first `size` images of a split, or all where it has fewer."""
        pixels, _ = split_of(split, CPU)
        return self.batch(split, torch.arange(min(size, len(pixels)), device=device))

    def batch(self, split: Split, chosen: Tensor) -> Batch:
        """Some images of a split, as sequences, where their numbers are."""
        pixels, labels = split_of(split, chosen.device)
        images = pixels[chosen].float() / 255
        if self.pool > 1:
            images = avg_pool2d(images.unsqueeze(1), self.pool).squeeze(1)
        return Batch(x=self.ordered(images.flatten(1)).unsqueeze(2), target=labels[chosen])

    def ordered(self, pixels: Tensor) -> Tensor:
        """The pixels of images, (images, steps), in the order in which they are read."""
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistPermuted(Mnist):
    """The same, with the pixels of every image in one and the same random order: no two neighbours stay together.

    Args:
        pool: as for `mnist`.
        order: which random order, counted from 1; the papers do not say theirs.

    Source: Le, Jaitly and Hinton (2015), section 4.2; RDA paper, table 4; Bai, Kolter and Koltun (2018), table 1.
    """

    order: int = 1

    def __post_init__(self) -> None:
        Mnist.__post_init__(self)
        at_least(1, order=self.order)

    def ordered(self, pixels: Tensor) -> Tensor:
        return pixels[:, permutation(self.steps, self.order, pixels.device)]


@cache
def permutation(steps: int, order: int, device: torch.device) -> Tensor:
    """(steps,) the order in which pixels are read, the same on every device; not to be written to."""
    return torch.randperm(steps, generator=seeded(CPU, "pixels", order), device=CPU).to(device)


@cache
def split_of(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels (images, 28, 28) as uint8 and labels (images,) of a split; not to be written to."""
    known = mnist.load()
    part = known.test if split == "test" else known.train
    cut = slice(None) if split == "test" else slice(-HELD_OUT) if split == "train" else slice(-HELD_OUT, None)
    pixels = torch.tensor(part.pixels[cut], device=device)
    return pixels, torch.tensor(part.labels[cut], dtype=torch.int64, device=device)
