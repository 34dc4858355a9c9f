"""The task `addition`: the sum of two marked numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from architectures.limits import check_steps
from workbench.tasks.base import Batch, Criterion, Floor, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition(Task):
    """Addition problem: of numbers uniform in [0, 1], two are marked; the answer at the last step is their sum.

        x_t     = (v_t, m_t), v_t ~ U(0, 1), m_t = 1 at two distinct steps, any pair as likely as any other, else 0
        target  = sum_t m_t v_t
        loss    = (answer - target)^2
        trivial = 2 Var U(0, 1) = 1/6, the loss of the answer 1
        floors  : present step, 1/6 - 1 / (6 T), of the best answer from the last step, where a mark may be
                  sum of the numbers, (1 - 2 / T) / 6, of the best linear answer from the sum of all
        solved  : loss < 0.001

    The trivial loss leaves out what the last step alone could gain, as the papers do.

    Source: Maginnis and Richemond (2017), section 6.3 and table 1; Bai, Kolter and Koltun (2018), section 4 and
    table 1; after Hochreiter and Schmidhuber (1997).

    Args:
        length: T, the number of steps, at least 2.
    """

    readout = "last"
    input_size = 2
    output_size = 1

    length: int = 100

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def trivial_loss(self) -> float:
        """1/6, whatever the length."""
        return 1 / 6

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the last step, or the sum of all numbers without the marks."""
        floors = {"present step": Floor(loss=(1 - 1 / self.length) / 6)}
        # Of two numbers, the sum is the answer.
        if self.length > 2:
            floors["sum of the numbers"] = Floor(loss=(1 - 2 / self.length) / 6)
        return floors

    @property
    def solved(self) -> Criterion:
        """A loss below 0.001."""
        return Criterion(metric="loss", bound=0.001, above=False)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws numbers, and a pair of steps to mark, for each example."""
        device = generator.device
        x = torch.zeros((size, self.length, 2), device=device)
        numbers, marks = x.unbind(2)
        numbers.uniform_(generator=generator)
        first = torch.randint(self.length, (size, 1), generator=generator, device=device)
        # 1 to T - 1 steps after the first, modulo T: distinct and uniform without drawing again.
        further = torch.randint(1, self.length, (size, 1), generator=generator, device=device)
        second = (first + further) % self.length
        marks.scatter_(1, first, 1).scatter_(1, second, 1)
        return Batch(x=x, target=numbers.gather(1, first) + numbers.gather(1, second))

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean squared error."""
        return functional.mse_loss(prediction, batch.target)
