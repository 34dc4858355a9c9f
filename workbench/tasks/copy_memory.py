"""The task `copy-memory`: recall of symbols at the end."""

from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.base import Batch, Criterion
from workbench.tasks.recall_task import RecallTask


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMemory(RecallTask):
    """Copying memory task, with recall at the end.

    A sequence has S random symbols, then T - 1 blanks, then the mark in each of the last S + 1 steps. The answers at
    the last S steps are the symbols again, in order; every other answer is blank.

        steps   = T + 2 S
        mark    from step S + T - 1, counted from 0
        trivial = S ln K / (T + 2 S)
        solved  : loss < trivial / 10

    Source: Bai, Kolter and Koltun (2018), section 4 and table 1, with S = 10, K = 8, T = 1000. Their code feeds the
    number of a symbol as one feature; here it is one of `symbols`.

    Args:
        length: T, the number of steps from the last symbol to the first mark.
        items: S, the number of symbols to remember.
        categories: K, the number of different symbols, at least 2.
    """

    length: int = 100
    items: int = 10
    categories: int = 8

    def __post_init__(self) -> None:
        check_steps(length=self.length, items=self.items)
        check_width(2, categories=self.categories)
        check_steps(steps=self.steps)

    @property
    def steps(self) -> int:
        """The number of steps, T + 2 S."""
        return self.length + 2 * self.items

    @property
    def recalled(self) -> int:
        """The number of symbols to recall, S."""
        return self.items

    @property
    def look_alikes(self) -> int:
        """The first mark."""
        return 1

    @property
    def together(self) -> int:
        """The symbols of a sequence, S."""
        return self.items

    @property
    def solved(self) -> Criterion:
        """A loss below a tenth of the trivial one."""
        return Criterion(metric="loss", bound=self.trivial_loss / 10, above=False)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws symbols."""
        device = generator.device
        items = torch.randint(self.categories, (size, self.items), generator=generator, device=device)
        x = torch.full((size, self.steps), self.blank, device=device)
        target = x.clone()
        x[:, : self.items] = items
        x[:, -self.items - 1 :] = self.mark
        target[:, -self.items :] = items
        source = torch.full_like(x, -1)
        source[:, -self.items :] = torch.arange(self.items, device=device)
        return Batch(x=x, target=target, recall=target != self.blank, source=source)
