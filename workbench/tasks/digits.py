"""Handwritten digits, pixel by pixel: real data that needs no download."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Generator, Tensor

from workbench.seeding import CPU
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.classification import accuracy, cross_entropy
from workbench.tasks.epochs import indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits(Task):
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn, read one pixel a step, row by row; the answer at
    the last step is which digit it was.

        x_t     = pixel t / 16, in [0, 1]
        loss    = -ln p(target)
        trivial = -sum_k f_k ln f_k, f_k the share of digit k in the training split; a little under ln 10

    The set is cut once and for all, digit by digit in proportion: 60 % to train, 20 % each for validation and test.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; the test part. Pixel by pixel as
    Le, Jaitly and Hinton (2015) read MNIST. No published figure stands beside it.
    """

    readout = "last"
    input_size = 1
    output_size = 10

    @property
    def steps(self) -> int:
        return 64

    @property
    def trivial_loss(self) -> float:
        _, target = examples("train", torch.device("cpu"))
        share = target.bincount().double() / len(target)
        return -float(share @ share.log())

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training split with replacement, on the generator's device."""
        device = generator.device
        x, target = examples("train", device)
        drawn = torch.randint(len(x), (size,), generator=generator, device=device)
        return Batch(x=x[drawn], target=target[drawn])

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(prediction, batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        return accuracy(prediction, batch)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """The training batch of a step: a function of (seed, step) alone, epoch by epoch through the training split."""
        x, target = examples("train", device)
        chosen = indices(len(x), step, size, seed, device)
        return Batch(x=x[chosen], target=target[chosen])

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """The first `size` examples of a split, or all where it has fewer."""
        x, target = examples(split, device)
        return Batch(x=x[:size].clone(), target=target[:size].clone())


@cache
def examples(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """The x (examples, 64, 1) and the target (examples,) of a split; not to be written to."""
    x, target = splits()[split]
    return x.to(device), target.to(device)


@cache
def splits() -> dict[Split, tuple[Tensor, Tensor]]:
    """The three splits, on the CPU."""
    # Here, not above: they take a second to import, and the other tasks have no use for them.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16, dtype=torch.float32, device=CPU).unsqueeze(2)
    target = torch.tensor(labels, device=CPU)
    # The seed is the split's own: no run's seed may move an example from the test split to the training split.
    train, rest = train_test_split(range(len(labels)), test_size=0.4, stratify=labels, random_state=0)
    validation, test = train_test_split(rest, test_size=0.5, stratify=labels[rest], random_state=0)
    return {
        "train": (x[train], target[train]),
        "validation": (x[validation], target[validation]),
        "test": (x[test], target[test]),
    }
