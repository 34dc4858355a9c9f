"""The task `mqar`: multi-query associative recall, of the value that was shown with a key."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_flag, check_steps, check_width
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.key_values import check_power, draw_distinct, draw_gaps
from workbench.tasks.query_task import QueryTask

NOISE_SYMBOLS = 16
"""Symbols that noise is drawn from, which stand for nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqar(QueryTask):
    """Multi-query associative recall: pairs of a key and a value, then the keys again; at each, its value is asked.

    Of V symbols, 0 is the blank, 1 .. V/2 - 1 are keys and V/2 .. V - 1 values. A sequence begins with K pairs of
    distinct keys and distinct values, with N symbols of noise anywhere between the pairs. Of the steps that are left
    every second one may be a query, and the i-th of these places is one with a weight of i^(a - 1), so that most keys
    come again soon and some late; each key once. All other steps are blank, or any of the V symbols.

        loss    = mean of -ln p(value) over the queries
        trivial = ln(V / 2)
        floors  : bag of values, who knows the K values but not their keys: ln K, accuracy 1 / K
        solved  : accuracy > 0.99

    Source: Arora et al. (2024, arXiv 2312.04927), figure 2 (V = 8,192; lengths and pairs 64 and 4, 128
    and 8, 256 and 16, 512 and 64), whose code (HazyResearch/zoology) this follows, but for the default of
    `random_non_queries`, which is true there; noise as in the noisy recall of Poli et al. (2024, arXiv
    2403.17844), with 16 symbols of its own.

    Args:
        length: T, the number of steps, at least 4 K + N.
        pairs: K, the number of pairs.
        vocabulary: V, the number of symbols without those of noise, at least 2 K + 2.
        power: a, above 0 and at most 1; 1 makes all places of queries equally likely.
        random_non_queries: whether the steps between queries hold any symbol instead of the blank.
        noise: N, the number of symbols of noise among the pairs.
    """

    length: int = 64
    pairs: int = 8
    vocabulary: int = 64
    power: float = 0.01
    random_non_queries: bool = False
    noise: int = 0

    def __post_init__(self) -> None:
        check_steps(pairs=self.pairs)
        check_steps(0, noise=self.noise)
        check_steps(4 * self.pairs + self.noise, length=self.length)
        check_width(2 * self.pairs + 2, vocabulary=self.vocabulary)
        check_power(self.power)
        check_flag(random_non_queries=self.random_non_queries)

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """V, and the symbols of noise if there is any."""
        return self.vocabulary + (NOISE_SYMBOLS if self.noise else 0)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of symbols."""
        return self.symbols

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
        """What one reaches who knows the values that were shown."""
        if self.pairs == 1:
            return {}
        return {"bag of values": Floor(loss=math.log(self.pairs), accuracy=1 / self.pairs)}

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws pairs, and where their keys come again."""
        device, half, pairs = generator.device, self.vocabulary // 2, self.pairs
        keys = 1 + draw_distinct(size, pairs, half - 1, generator)
        values = draw_distinct(size, pairs, self.vocabulary - half, generator)
        context = 2 * pairs + self.noise
        shape = (size, self.length)
        x = torch.zeros(shape, dtype=torch.int64, device=device)
        if self.random_non_queries:
            x = torch.randint(self.vocabulary, shape, generator=generator, device=device)
        shown = torch.arange(pairs, device=device).expand(size, -1)
        if self.noise:
            noise = torch.randint(NOISE_SYMBOLS, (size, context), generator=generator, device=device)
            x[:, :context] = self.vocabulary + noise
            # A pair takes one of K + N places, and one step more than noise does.
            shown = draw_distinct(size, pairs, pairs + self.noise, generator).sort(1).values
        shown = shown + torch.arange(pairs, device=device)
        x.scatter_(1, shown, keys).scatter_(1, shown + 1, half + values)
        gaps = draw_gaps(size, pairs, (self.length - context) // 2, self.power, generator)
        query = context + 2 * gaps
        x.scatter_(1, query, keys)
        target = torch.zeros(shape, dtype=torch.int64, device=device)
        recall = torch.zeros(shape, dtype=torch.bool, device=device)
        source = torch.full(shape, -1, device=device)
        return Batch(
            x=x,
            target=target.scatter_(1, query, values),
            recall=recall.scatter_(1, query, True),
            source=source.scatter_(1, query, shown + 1),
        )
