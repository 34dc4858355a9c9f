"""Copy when told to: recall at any moment."""

from dataclasses import dataclass

import torch
from torch import Generator

from architectures.base import positive
from workbench.tasks.base import Batch, Criterion, at_least
from workbench.tasks.recall_task import RecallTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(RecallTask):
    """S random symbols, then T blanks of which one, any, is the recall mark, then S blanks. The S steps right after
    the mark say the symbols again, in order; every other answer is blank.

        steps   = S + T + S, so that recall fits wherever the mark stands
        mark    uniform over steps S..S+T-1, counted from 0
        trivial = S ln K / (2 S + T)
        solved  : accuracy > 0.999

    Source: Maginnis and Richemond (2017), section 6.3 and table 5. They leave S and K open; the layout is that of the
    code of Ostmeyer and Cowell (2017), who have S = 10, T = 100 or 1000, and K = 7.

    Args:
        length: T, the number of steps in which the recall mark may stand.
        items: S, the number of symbols to remember.
        categories: K, the number of different symbols, at least 2.
    """

    length: int = 100
    items: int = 10
    categories: int = 8

    def __post_init__(self) -> None:
        positive(length=self.length, items=self.items)
        at_least(2, categories=self.categories)

    @property
    def steps(self) -> int:
        return self.length + 2 * self.items

    @property
    def recalled(self) -> int:
        return self.items

    @property
    def solved(self) -> Criterion:
        return Criterion(metric="accuracy", bound=0.999, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        device = generator.device
        items = torch.randint(self.categories, (size, self.items), generator=generator, device=device)
        mark = torch.randint(self.items, self.items + self.length, (size, 1), generator=generator, device=device)
        x = torch.full((size, self.steps), self.blank, device=device)
        places = torch.arange(self.items, device=device).expand(size, -1)
        target = x.scatter(1, mark + 1 + places, items)
        source = torch.full_like(x, -1).scatter_(1, mark + 1 + places, places)
        x[:, : self.items] = items
        x.scatter_(1, mark, self.mark)
        return Batch(x=x, target=target, recall=target != self.blank, source=source)
