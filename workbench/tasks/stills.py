"""The task `stills`: a film whose frames hardly change, and the question which came j-th."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator

from architectures.limits import check_steps, check_width, quote
from workbench.tasks.base import Batch, Floor
from workbench.tasks.vector_recall import VectorRecall

MAX_NOISE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills(VectorRecall):
    """Frames that stay for many steps, with a little noise; the answer at the last step is the frame that came j-th.

        frames  K vectors f_k of D numbers from N(0, 1), one after the other, each for at least T / (2 K) steps;
                where the others end is uniform
        x_t     = (frame that stays at step t + sigma N(0, 1), 0); then (0, one-hot j), j uniform in 1..K
        target  = f_j, without noise
        loss    = mean squared error; r2 = 1 - loss
        trivial = 1
        floors  : last seen, who knows the last step of the film, (K - 1 + sigma^2 / (1 + sigma^2)) / K
                  bag of values, who knows the frames but not their order, 1 - 1 / K
        solved  : r2 > 0.95

    There are only K vectors to remember in T steps, so to store every step is to waste memory; how few of them
    a model keeps shows in its write weights.

    Source: Culurciello (2018), "The fall of RNN / LSTM", on the vector of a video that hardly changes from frame to
    frame.

    Args:
        length: T, the number of steps of the film, at least K.
        frames: K, the number of frames, at least 2.
        features: D, the number of numbers in a frame.
        noise: sigma, from 0 to 1,000.
    """

    length: int = 320
    frames: int = 8
    features: int = 16
    noise: float = 0.1

    def __post_init__(self) -> None:
        check_width(2, frames=self.frames)
        check_width(features=self.features)
        check_steps(self.frames, length=self.length)
        if isinstance(self.noise, bool) or not isinstance(self.noise, int | float):
            raise TypeError(f"noise must be a number, not {quote(self.noise)}")
        if not 0 <= self.noise <= MAX_NOISE:
            raise ValueError(f"noise must lie between 0 and {MAX_NOISE:,}, not {quote(self.noise)}")

    @property
    def steps(self) -> int:
        """The number of steps, T + 1."""
        return self.length + 1

    @property
    def source_steps(self) -> int:
        """The film; the question is what is decoded."""
        return self.length

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """D numbers of a frame and K of the question."""
        return self.features + self.frames

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """D."""
        return self.features

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the last frame, or all but not their order."""
        blurred = self.noise**2 / (1 + self.noise**2)
        return {
            "last seen": Floor(loss=(self.frames - 1 + blurred) / self.frames),
            "bag of values": Floor(loss=1 - 1 / self.frames),
        }

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws frames, how long each stays, noise and the question."""
        device, count = generator.device, self.frames
        frames = torch.randn((size, count, self.features), generator=generator, device=device)
        least = max(1, self.length // (2 * count))
        cuts = torch.randint(self.length - least * count + 1, (size, count - 1), generator=generator, device=device)
        starts = cuts.sort(1).values + least * torch.arange(1, count, device=device)
        film_steps = torch.arange(self.length, device=device).expand(size, -1).contiguous()
        shown = torch.searchsorted(starts, film_steps, right=True)
        example = torch.arange(size, device=device)
        x = torch.empty((size, self.steps, self.input_size), device=device)
        x[:, :-1, self.features :] = 0
        x[:, -1] = 0
        film = x[:, :-1, : self.features]
        noise = torch.randn(film.shape, generator=generator, device=device)
        torch.add(frames[example.unsqueeze(1), shown], noise, alpha=self.noise, out=film)
        asked = torch.randint(count, (size,), generator=generator, device=device)
        x[example, -1, self.features + asked] = 1
        ends = torch.cat([starts, torch.full((size, 1), self.length, device=device)], dim=1) - 1
        source = torch.full((size, self.steps), -1, device=device)
        source[:, -1] = ends[example, asked]
        return Batch(x=x, target=frames[example, asked], source=source)
