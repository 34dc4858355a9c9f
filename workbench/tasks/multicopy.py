"""The task `multicopy`: many copies in one sequence, so that a model has to forget to remember again."""

from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.base import Batch, Criterion
from workbench.tasks.recall_task import RecallTask


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiCopy(RecallTask):
    """Many copies, one after another, in one sequence.

    A sequence has N units, each S random symbols, G blanks, the recall mark, and S blanks. The answers at the S steps
    right after a mark are the unit's symbols again, in order; every other answer is blank.

        steps   = N (2 S + G + 1)
        trivial = S ln K / (2 S + G + 1)
        solved  : accuracy > 0.99

    Source: Maginnis and Richemond (2017), section 6.4 and table 6: 50 copies in 1,000 steps, the mark "a couple of
    steps" after the symbols. They leave S, G and K open; the defaults fill the 20 steps of a copy.

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
        check_steps(copies=self.copies, items=self.items, gap=self.gap)
        check_width(2, categories=self.categories)
        check_steps(steps=self.steps)

    @property
    def unit(self) -> int:
        """The number of steps of one unit."""
        return 2 * self.items + self.gap + 1

    @property
    def steps(self) -> int:
        """The number of steps, N (2 S + G + 1)."""
        return self.copies * self.unit

    @property
    def recalled(self) -> int:
        """The number of symbols to recall, N S."""
        return self.copies * self.items

    @property
    def look_alikes(self) -> int:
        """The blanks before the marks, N G."""
        return self.copies * self.gap

    @property
    def together(self) -> int:
        """The symbols of a unit, S."""
        return self.items

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws symbols for every unit."""
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
