"""The task `needle`: one marked vector in noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width, quote
from workbench.tasks.base import Batch, Floor
from workbench.tasks.vector_recall import VectorRecall


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle(VectorRecall):
    """Needle in a haystack: vectors of noise, one of which is marked; the answer at the last step is that one.

        x_t     = (v_t, m_t), D numbers v_t ~ N(0, 1), m_t = 1 at the needle and 0 elsewhere
        needle  at step round(d (T - 2)) for a depth d, or uniform in 0..T-2
        loss    = mean squared error; r2 = 1 - loss
        trivial = 1
        floors  : mean of the inputs, (T - 1) / T
        solved  : r2 > 0.95

    The mean of all inputs holds the needle with weight 1 / T; (T - 1) / T is the loss of the best answer from it. A
    grid of depths and lengths shows where in its input a model finds anything.

    Source: the needle in a haystack of Kamradt (2023) for language models, as a regression; its grid as in Lin et al.
    (2025, arXiv 2503.02130).

    Args:
        length: T, the number of steps, at least 2.
        features: D, the number of numbers in a vector.
        depth: where the needle is, from 0 at the first step to 1 before the last one; by default anywhere.
    """

    length: int = 100
    features: int = 8
    depth: float | None = None

    def __post_init__(self) -> None:
        check_steps(2, length=self.length)
        check_width(features=self.features)
        if self.depth is not None:
            if isinstance(self.depth, bool) or not isinstance(self.depth, int | float):
                raise TypeError(f"depth must be a number, not {quote(self.depth)}")
            if not 0 <= self.depth <= 1:
                raise ValueError(f"depth must lie between 0 and 1, not {quote(self.depth)}")

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """D numbers and the mark."""
        return self.features + 1

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """D."""
        return self.features

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the mean of all inputs."""
        return {"mean of the inputs": Floor(loss=(self.length - 1) / self.length)}

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws vectors, and the place of the needle."""
        device = generator.device
        x = torch.empty((size, self.length, self.features + 1), device=device)
        x[:, :, :-1] = torch.randn((size, self.length, self.features), generator=generator, device=device)
        x[:, :, -1] = 0
        if self.depth is None:
            place = torch.randint(self.length - 1, (size,), generator=generator, device=device)
        else:
            place = torch.full((size,), round(self.depth * (self.length - 2)), device=device)
        example = torch.arange(size, device=device)
        x[example, place, -1] = 1
        source = torch.full((size, self.length), -1, device=device)
        source[:, -1] = place
        return Batch(x=x, target=x[example, place, :-1].clone(), source=source)
