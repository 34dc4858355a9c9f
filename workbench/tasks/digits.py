"""The task `digits`: small images pixel by pixel, real data that needs no download."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Generator, Tensor

from workbench.seeding import CPU
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.epochs import batch_indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits(Task):
    """Handwritten digits of 8 x 8 pixels, read one pixel a step, row by row; the answer at the last step is the digit.

    The set is that of scikit-learn, 1,797 images.

        x_t     = pixel t / 16, in [0, 1]
        loss    = -ln p(target)
        trivial = -sum_k f_k ln f_k, f_k the share of digit k in the training split; a little under ln 10

    The set is split once and for all, stratified by digit: 60 % to train, 20 % each for validation and test.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; the test part. Pixel by pixel as
    Le, Jaitly and Hinton (2015) read MNIST. There is no published figure to compare with.
    """

    readout = "last"
    input_size = 1
    output_size = 10

    @property
    def steps(self) -> int:
        """64 pixels."""
        return 64

    @property
    def trivial_loss(self) -> float:
        """The entropy of the digit in the training split."""
        _, target = load_split("train", CPU)
        share = target.bincount().double() / len(target)
        return -float(share @ share.log())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training split with replacement, on the generator's device."""
        device = generator.device
        x, target = load_split("train", device)
        indices = torch.randint(len(x), (size,), generator=generator, device=device)
        return Batch(x=x[indices], target=target[indices])

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean cross-entropy."""
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy."""
        return accuracy(prediction, batch)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, a function of (seed, step) alone, in epochs of the training split."""
        x, target = load_split("train", device)
        indices = batch_indices(len(x), step, size, seed, device)
        return Batch(x=x[indices], target=target[indices])

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns the first `size` examples of a split, or all if it has fewer."""
        x, target = load_split(split, device)
        return Batch(x=x[:size].clone(), target=target[:size].clone())


@cache
def load_split(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns x (examples, 64, 1) and target (examples,) of a split; not to be written to."""
    x, target = load_splits()[split]
    return x.to(device), target.to(device)


@cache
def load_splits() -> dict[Split, tuple[Tensor, Tensor]]:
    """Returns the three splits, on the CPU."""
    # Imported here, as it takes a second and the other tasks do not need it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16, dtype=torch.float32, device=CPU).unsqueeze(2)
    target = torch.tensor(labels, device=CPU)
    # A constant seed: the seed of a run must not move an example from the test split to the training split.
    train, rest = train_test_split(range(len(labels)), test_size=0.4, stratify=labels, random_state=0)
    validation, test = train_test_split(rest, test_size=0.5, stratify=labels[rest], random_state=0)
    return {
        "train": (x[train], target[train]),
        "validation": (x[validation], target[validation]),
        "test": (x[test], target[test]),
    }
