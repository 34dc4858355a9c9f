"""The task `selective-copy`: symbols at random places among blanks, to recall in their order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.guessing import bag_floor
from workbench.tasks.query_task import QueryTask


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectiveCopy(QueryTask):
    """Selective copying: S symbols at random places among T steps, then S marks, at which they are asked in order.

    Of the symbols, 0 .. K - 1 are to remember, K is the blank and K + 1 the mark.

        steps   = T + S
        loss    = mean of -ln p(symbol) over the marks
        trivial = ln K
        floors  : bag of values, who knows how often each symbol was there, but no place
        solved  : accuracy > 0.99

    As the places change, a fixed delay does not help, as it does in copy-memory.

    Source: Gu and Dao (2023, arXiv 2312.00752), section 4.1.1 and table 1, with T = 4,096, S = 16 and 16 symbols, two
    of them the blank and the mark; Poli et al. (2024, arXiv 2403.17844), with T = 256.

    Args:
        length: T, the number of steps among which the symbols are, at least S.
        items: S, the number of symbols to remember.
        categories: K, the number of different symbols, at least 2.
    """

    length: int = 256
    items: int = 16
    categories: int = 14

    def __post_init__(self) -> None:
        check_steps(items=self.items)
        check_steps(self.items, length=self.length)
        check_width(2, categories=self.categories)
        check_steps(steps=self.steps)

    @property
    def steps(self) -> int:
        """The number of steps, T + S."""
        return self.length + self.items

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """K + 2: the symbols to remember, the blank and the mark."""
        return self.categories + 2

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of symbols."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """K."""
        return self.categories

    @property
    def trivial_loss(self) -> float:
        """The entropy of a symbol, ln K."""
        return math.log(self.categories)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows how often each symbol was there."""
        if self.items == 1:
            return {}
        return {"bag of values": bag_floor(self.items, (1 / self.categories,) * self.categories)}

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws symbols and their places."""
        device, shape = generator.device, (size, self.steps)
        items = torch.randint(self.categories, (size, self.items), generator=generator, device=device)
        scores = torch.rand((size, self.length), generator=generator, device=device)
        places = scores.topk(self.items, dim=1).indices.sort(1).values
        x = torch.full(shape, self.categories, device=device)
        x.scatter_(1, places, items)
        x[:, self.length :] = self.categories + 1
        target = torch.zeros(shape, dtype=torch.int64, device=device)
        target[:, self.length :] = items
        recall = torch.zeros(shape, dtype=torch.bool, device=device)
        recall[:, self.length :] = True
        source = torch.full(shape, -1, device=device)
        source[:, self.length :] = places
        return Batch(x=x, target=target, recall=recall, source=source)
