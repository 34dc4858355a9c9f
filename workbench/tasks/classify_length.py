"""The task `classify-length`: is a sequence longer than half the longest?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor
from torch.nn import functional

from architectures.limits import check_steps, quote
from workbench.tasks.base import Batch, Criterion, Task

Elements = Literal["uniform", "normal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyLength(Task):
    """Noise of random length; the answer at the last step is whether it is longer than half the longest sequence.

        length  ~ uniform over 1..T
        x_t     ~ U(0, 1) or N(0, 1) up to the length, 0 after it
        target  = 1 if length > T / 2 else 0
        loss    = -target ln sigma(answer) - (1 - target) ln sigma(-answer)
        trivial = -p ln p - (1 - p) ln(1 - p), p = P(length > T / 2) = ceil(T / 2) / T; ln 2 if T is even
        solved  : accuracy = 1

    Source: Ostmeyer and Cowell (2017), whose code has uniform elements; Maginnis and Richemond (2017), section 6.3 and
    table 2, who do not say what theirs are.

    Args:
        length: T, the number of steps of the longest sequence, at least 2.
        elements: distribution of the elements, "uniform" in [0, 1) or "normal" with mean 0 and variance 1.
    """

    readout = "last"
    input_size = 1
    output_size = 1

    length: int = 100
    elements: Elements = "uniform"

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        if self.elements not in get_args(Elements):
            raise ValueError(f"elements must be one of {', '.join(get_args(Elements))}, not {quote(self.elements)}")

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence, T."""
        return self.length

    @property
    def trivial_loss(self) -> float:
        """The entropy of the answer."""
        p = math.ceil(self.length / 2) / self.length
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    @property
    def solved(self) -> Criterion:
        """An accuracy of 1."""
        return Criterion(metric="accuracy", bound=1.0, above=True, or_equal=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws lengths, and noise up to them."""
        device = generator.device
        lengths = torch.randint(1, self.length + 1, (size,), generator=generator, device=device)
        draw = torch.rand if self.elements == "uniform" else torch.randn
        x = draw((size, self.length, 1), generator=generator, device=device)
        padding = torch.arange(self.length, device=device) >= lengths.unsqueeze(1)
        return Batch(
            x=x.masked_fill_(padding.unsqueeze(2), 0),
            target=(2 * lengths > self.length).float().unsqueeze(1),
            lengths=lengths,
        )

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean binary cross-entropy."""
        return functional.binary_cross_entropy_with_logits(prediction, batch.target)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy."""
        return {"accuracy": ((prediction > 0) == (batch.target > 0)).float().mean()}
