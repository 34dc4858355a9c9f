"""The task `induction`: what came after this symbol the last time?"""

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
class Induction(QueryTask):
    """Induction heads: a trigger somewhere, with a symbol after it, and the trigger again at the end.

    Of V symbols, V - 1 is the trigger. The others fill all steps at random, the one after the trigger too, which is
    asked at the last step.

        trigger  at a step that is uniform in 0..T-3, and at step T - 1
        loss     = -ln p(symbol after the first trigger), at the last step
        trivial  = ln(V - 1)
        floors   : bag of values, who knows how often each symbol was there
        solved   : accuracy = 1

    Trained at T = 256, a model that has learned the rule answers at any length: published are 2^6 to 2^20.

    Source: Gu and Dao (2023, arXiv 2312.00752), section 4.1.2 and table 11, with V = 16 and T = 256; Olsson et al.
    (2022, arXiv 2209.11895).

    Args:
        length: T, the number of steps, at least 3.
        vocabulary: V, the number of symbols, at least 3.
    """

    length: int = 256
    vocabulary: int = 16

    def __post_init__(self) -> None:
        check_steps(3, length=self.length)
        check_width(3, vocabulary=self.vocabulary)

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """V."""
        return self.vocabulary

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """V."""
        return self.vocabulary

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """V - 1: all symbols but the trigger."""
        return self.vocabulary - 1

    @property
    def trivial_loss(self) -> float:
        """The entropy of a symbol, ln(V - 1)."""
        return math.log(self.output_size)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows how often each symbol was there."""
        if self.length == 3:
            return {}
        return {"bag of values": bag_floor(self.length - 2, (1 / self.output_size,) * self.output_size)}

    @property
    def solved(self) -> Criterion:
        """No error."""
        return Criterion(metric="accuracy", bound=1.0, above=True, or_equal=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws symbols, and the place of the first trigger."""
        device, shape = generator.device, (size, self.length)
        x = torch.randint(self.output_size, shape, generator=generator, device=device)
        trigger = torch.randint(self.length - 2, (size, 1), generator=generator, device=device)
        x.scatter_(1, trigger, self.output_size)
        x[:, -1] = self.output_size
        target = torch.zeros(shape, dtype=torch.int64, device=device)
        target[:, -1:] = x.gather(1, trigger + 1)
        recall = torch.zeros(shape, dtype=torch.bool, device=device)
        recall[:, -1] = True
        source = torch.full(shape, -1, device=device)
        source[:, -1:] = trigger + 1
        return Batch(x=x, target=target, recall=recall, source=source)
