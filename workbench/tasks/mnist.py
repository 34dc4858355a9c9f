"""The tasks `mnist` and `mnist-permuted`: images pixel by pixel, row by row or in a random order."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d

from architectures.limits import check_whole, check_width, quote
from workbench.data import mnist
from workbench.seeding import CPU, make_generator
from workbench.seeds import MAX_SEED
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.epochs import batch_indices

HELD_OUT = 5000
"""Training images, the last ones, that are used for validation: nothing is chosen by the published test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist(Task):
    """Handwritten digits, read one pixel a step, row by row; the answer at the last step is the digit.

        x_t     = pixel t / 255, in [0, 1]
        loss    = -ln p(target)
        trivial = -sum_k f_k ln f_k, f_k the share of digit k in the training split; a little under ln 10

    55,000 images to train, the last 5,000 of the published training set for validation, the published 10,000 to test.

    Source: Le, Jaitly and Hinton (2015), section 4.2; Maginnis and Richemond (2017), table 3; Bai, Kolter and Koltun
    (2018), table 1.

    Args:
        pool: means over pool x pool pixels replace the pixels, so that sequences have (28 / pool)^2 steps: 1 for the
            papers' 784, 2 for 196, 4 for 49.
    """

    readout = "last"
    input_size = 1
    output_size = mnist.CLASSES
    # The first images of a split were its fixed set.
    revision = 2
    pool: int = 1

    def __post_init__(self) -> None:
        check_width(pool=self.pool)
        if mnist.SIDE % self.pool:
            raise ValueError(
                f"pool must divide {mnist.SIDE}, the pixels of a side: 1, 2, 4, 7, 14 or 28, not {quote(self.pool)}"
            )

    @property
    def steps(self) -> int:
        """(28 / pool)^2."""
        return (mnist.SIDE // self.pool) ** 2

    @property
    def data(self) -> str | None:
        """A hash of the images, unless they are the published ones."""
        return mnist.load().digest

    @property
    def notes(self) -> tuple[str, ...]:
        """A line if some files are not as published."""
        if differing := mnist.load().differing:
            return (f"not byte for byte as published: {', '.join(differing)}; results are kept apart",)
        return ()

    @property
    def trivial_loss(self) -> float:
        """The entropy of the digit in the training split."""
        _, labels = load_split("train", CPU)
        share = labels.bincount(minlength=mnist.CLASSES).double() / len(labels)
        return -float(torch.special.xlogy(share, share).sum())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training split with replacement, on the generator's device."""
        pixels, _ = load_split("train", CPU)
        indices = torch.randint(len(pixels), (size,), generator=generator, device=generator.device)
        return self.make_batch("train", indices)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy."""
        return accuracy(prediction, batch)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, a function of (seed, step) alone, in epochs of the training split."""
        pixels, _ = load_split("train", CPU)
        return self.make_batch("train", batch_indices(len(pixels), step, size, seed, device))

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns `size` images of a split, a random choice that is the same for every run, or all if it has fewer."""
        count = len(load_split(split, CPU)[0])
        if size >= count:
            return self.make_batch(split, torch.arange(count, device=device))
        # Not the first ones: of the published test set, the first 5,000 are the cleaner and easier half (its authors).
        chosen = torch.randperm(count, generator=make_generator(CPU, "fixed", split), device=CPU)[:size]
        return self.make_batch(split, chosen.to(device))

    def make_batch(self, split: Split, indices: Tensor) -> Batch:
        """Returns images of a split as sequences, on the device of their indices."""
        pixels, labels = load_split(split, indices.device)
        images = pixels[indices].float() / 255
        if self.pool > 1:
            images = avg_pool2d(images.unsqueeze(1), self.pool).squeeze(1)
        return Batch(x=self.reorder(images.flatten(1)).unsqueeze(2), target=labels[indices])

    def reorder(self, pixels: Tensor) -> Tensor:
        """Returns the pixels of images, (images, steps), in the order in which they are read."""
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistPermuted(Mnist):
    """The task `mnist` with the pixels of every image in the same random order, which separates neighbours.

    Source: Le, Jaitly and Hinton (2015), section 4.2; Maginnis and Richemond (2017), table 4; Bai, Kolter and Koltun
    (2018), table 1.

    Args:
        pool: as for `mnist`.
        order: which random order, counted from 1; the papers do not say theirs.
    """

    order: int = 1

    def __post_init__(self) -> None:
        Mnist.__post_init__(self)
        check_whole("order", self.order, most=MAX_SEED, why="a seed has 63 bits")

    def reorder(self, pixels: Tensor) -> Tensor:
        """Returns the pixels of images, (images, steps), in the random order."""
        return pixels[:, pixel_order(self.steps, self.order, pixels.device)]


@cache
def pixel_order(steps: int, order: int, device: torch.device) -> Tensor:
    """Returns the order in which pixels are read, (steps,), the same on every device; not to be written to."""
    return torch.randperm(steps, generator=make_generator(CPU, "pixels", order), device=CPU).to(device)


@cache
def load_split(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the pixels (images, 28, 28), uint8, and the labels (images,) of a split; not to be written to."""
    files = mnist.load()
    part = files.test if split == "test" else files.train
    cut = slice(None) if split == "test" else slice(-HELD_OUT) if split == "train" else slice(-HELD_OUT, None)
    pixels = torch.tensor(part.pixels[cut], device=device)
    return pixels, torch.tensor(part.labels[cut], dtype=torch.int64, device=device)
