"""The task `forgetting-recall`: associative recall of keys whose values are replaced."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.key_values import check_power, draw_distinct, draw_gaps
from workbench.tasks.query_task import QueryTask


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingRecall(QueryTask):
    """Associative recall with replacement: each of K keys is written R times; its newest value is asked.

    Of V symbols, 0 is the blank, 1 .. V/2 - 1 are keys and V/2 .. V - 1 values. A sequence begins with K R pairs of a
    key and a value, in random order, each key in R of them, all values distinct; then the keys come again as in `mqar`.

        loss    = mean of -ln p(newest value) over the queries
        trivial = ln(V / 2)
        floors  : bag of values, who knows which were shown: ln(K R), accuracy 1 / (K R)
                  values of the key, who knows those of the key but not their order: ln R, accuracy 1 / R
        solved  : accuracy > 0.99

    An average over all that was written with a key, as an outer-product memory without decay has it, is at the second
    floor at best; to replace a value is what the delta rule is for. To give the oldest value is always wrong.

    Source: Arora et al. (2024, arXiv 2312.04927; MQAR), after the idea, not the layout, of the variant forgetting_mqar
    of their repository (HazyResearch/zoology): there, every key is written once, then some of them get one new value
    each in a block behind, and values may occur twice; here, the writes of all keys are mixed. Schlag, Irie and
    Schmidhuber (2021, arXiv 2102.11174), on updates of associations.

    Args:
        length: T, the number of steps, at least 2 K (R + 1).
        keys: K, the number of keys.
        writes: R, how often each is written, at least 2.
        vocabulary: V, the number of symbols, at least 2 K R + 2.
        power: a, above 0 and at most 1; 1 makes all places of queries equally likely.
    """

    length: int = 64
    keys: int = 4
    writes: int = 2
    vocabulary: int = 64
    power: float = 0.01

    def __post_init__(self) -> None:
        check_steps(keys=self.keys)
        check_steps(2, writes=self.writes)
        check_steps(2 * self.keys * (self.writes + 1), length=self.length)
        check_width(2 * self.keys * self.writes + 2, vocabulary=self.vocabulary)
        check_power(self.power)

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
        """The number of values, V / 2."""
        return self.vocabulary - self.vocabulary // 2

    @property
    def trivial_loss(self) -> float:
        """The entropy of a value, ln(V / 2)."""
        return math.log(self.output_size)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows which values were shown, or those of each key."""
        floors = {"values of the key": Floor(loss=math.log(self.writes), accuracy=1 / self.writes)}
        if self.keys > 1:
            shown = self.keys * self.writes
            floors["bag of values"] = Floor(loss=math.log(shown), accuracy=1 / shown)
        return floors

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws pairs, their order, and where the keys come again."""
        device, half, count = generator.device, self.vocabulary // 2, self.keys * self.writes
        keys = 1 + draw_distinct(size, self.keys, half - 1, generator)
        values = draw_distinct(size, count, self.vocabulary - half, generator)
        # Pair p is of key p mod K; its place among the pairs:
        places = draw_distinct(size, count, count, generator)
        newest, writes = places.view(size, self.writes, self.keys).max(1)
        shape = (size, self.length)
        x = torch.zeros(shape, dtype=torch.int64, device=device)
        x.scatter_(1, 2 * places, keys.repeat(1, self.writes)).scatter_(1, 2 * places + 1, half + values)
        gaps = draw_gaps(size, self.keys, (self.length - 2 * count) // 2, self.power, generator)
        query = 2 * count + 2 * gaps
        x.scatter_(1, query, keys)
        answers = values.gather(1, writes * self.keys + torch.arange(self.keys, device=device))
        target = torch.zeros(shape, dtype=torch.int64, device=device)
        recall = torch.zeros(shape, dtype=torch.bool, device=device)
        source = torch.full(shape, -1, device=device)
        return Batch(
            x=x,
            target=target.scatter_(1, query, answers),
            recall=recall.scatter_(1, query, True),
            source=source.scatter_(1, query, 2 * newest + 1),
        )
