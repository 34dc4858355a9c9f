"""The task `copy`: recall of symbols at a random step."""

from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.base import Batch, Criterion
from workbench.tasks.recall_task import RecallTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(RecallTask):
    """Copy task with recall at a random step.

    A sequence has S random symbols, then T blanks, one of which is replaced by the recall mark, then S blanks. The
    answers at the S steps right after the mark are the symbols again, in order; every other answer is blank.

        steps   = S + T + S, so that recall fits wherever the mark is
        mark    uniform over steps S..S+T-1, counted from 0
        trivial = S ln K / (2 S + T)
        solved  : accuracy > 0.999

    Source: Maginnis and Richemond (2017), section 6.3 and table 5. They leave S and K open; the layout is that of the
    code of Ostmeyer and Cowell (2017), who have S = 10, T = 100 or 1000, and K = 7, and the mark at one place fewer,
    S..S+T-2.

    Args:
        length: T, the number of steps at which the recall mark may be.
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
        """The other blanks, T - 1."""
        return self.length - 1

    @property
    def together(self) -> int:
        """The symbols of a sequence, S."""
        return self.items

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.999."""
        return Criterion(metric="accuracy", bound=0.999, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws symbols, and the step of the recall mark."""
        device = generator.device
        items = torch.randint(self.categories, (size, self.items), generator=generator, device=device)
        mark = torch.randint(self.items, self.items + self.length, (size, 1), generator=generator, device=device)
        x = torch.full((size, self.steps), self.blank, device=device)
        item = torch.arange(self.items, device=device).expand(size, -1)
        target = x.scatter(1, mark + 1 + item, items)
        source = torch.full_like(x, -1).scatter_(1, mark + 1 + item, item)
        x[:, : self.items] = items
        x.scatter_(1, mark, self.mark)
        return Batch(x=x, target=target, recall=target != self.blank, source=source)
