"""The task `alternation`: a sign that changes at every step, which an average over all steps cannot follow."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from architectures.limits import check_steps, quote
from workbench.tasks.base import Batch, Criterion, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternation(Task):
    """Constant input; the answer changes sign at every step.

        x_t      = 1
        target_t = c (-1)^t for t = 1..T
        loss     = mean over t of (answer_t - target_t)^2
        trivial  = c^2 (1 - (T mod 2) / T^2), the loss of the best constant answer, the mean of the targets
        solved   : loss < 0.001

    All examples are the same. A recurrent weighted average can only solve it while its attention grows geometrically.

    Source: Maginnis and Richemond (2017), lemma 1 and corollary 2.

    Args:
        length: T, the number of steps, at least 2.
        amplitude: c, between 0 and 1, both excluded.
    """

    readout = "every"
    input_size = 1
    output_size = 1

    length: int = 100
    amplitude: float = 0.5

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        if isinstance(self.amplitude, bool) or not isinstance(self.amplitude, int | float):
            raise TypeError(f"amplitude must be a number, not {quote(self.amplitude)}")
        if not 0 < self.amplitude < 1:
            raise ValueError(f"amplitude must lie between 0 and 1, both excluded, not {quote(self.amplitude)}")

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def trivial_loss(self) -> float:
        """The variance of the targets."""
        return self.amplitude**2 * (1 - self.length % 2 / self.length**2)

    @property
    def solved(self) -> Criterion:
        """A loss below 0.001."""
        return Criterion(metric="loss", bound=0.001, above=False)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Returns `size` copies of the one example."""
        x = torch.ones((size, self.length, 1), device=generator.device)
        target = x * self.amplitude
        target[:, ::2] *= -1  # t counts from 1, so the first of every two is the odd one
        return Batch(x=x, target=target)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean squared error."""
        return functional.mse_loss(prediction, batch.target)
