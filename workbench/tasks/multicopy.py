"""Many copies in one sequence: to remember again and again, one has to forget."""

from dataclasses import dataclass

import torch
from torch import Generator

from architectures.base import positive
from workbench.tasks.base import Batch, Criterion, at_least
from workbench.tasks.recall_task import RecallTask


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiCopy(RecallTask):
    """N units one after another, each S random symbols, G blanks, the recall mark, and S blanks. The S steps right
    after a mark say the unit's symbols again, in order; every other answer is blank.

        steps   = N (2 S + G + 1)
        trivial = S ln K / (2 S + G + 1)
        solved  : accuracy > 0.99

    Source: Maginnis and Richemond (2017), section 6.4 and table 6: 50 copies in 1,000 steps, the mark "a couple of
    steps" after the symbols. They leave S, G and K open; the defaults fill the 20 steps that a copy has.

    Args:
        copies: N, the number of units.
        items: S, the number of symbols to remember in a unit.
        gap: G, the number of blanks between the symbols and the mark.
        categories: K, the number of different symbols, at least 2.
    """

    copies: int = 50
    items: int = 8
    gap: int = 3
    categories: int = 8

    def __post_init__(self) -> None:
        positive(copies=self.copies, items=self.items, gap=self.gap)
        at_least(2, categories=self.categories)

    @property
    def unit(self) -> int:
        """The number of steps of one unit."""
        return 2 * self.items + self.gap + 1

    @property
    def steps(self) -> int:
        return self.copies * self.unit

    @property
    def recalled(self) -> int:
        return self.copies * self.items

    @property
    def solved(self) -> Criterion:
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        device = generator.device
        items = torch.randint(self.categories, (size, self.copies, self.items), generator=generator, device=device)
        x = torch.full((size, self.copies, self.unit), self.blank, device=device)
        target = x.clone()
        x[:, :, : self.items] = items
        x[:, :, self.items + self.gap] = self.mark
        target[:, :, -self.items :] = items
        source = torch.full_like(x, -1)
        starts = self.unit * torch.arange(self.copies, device=device).unsqueeze(1)
        source[:, :, -self.items :] = starts + torch.arange(self.items, device=device)
        x, target, source = x.flatten(1), target.flatten(1), source.flatten(1)
        return Batch(x=x, target=target, recall=target != self.blank, source=source)
