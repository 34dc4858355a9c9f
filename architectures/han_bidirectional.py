"""The hierarchical attention encoder from both ends."""

from typing import Any

import torch
from torch import Tensor, nn

from architectures.base import Encoder
from architectures.han import HAN
from architectures.initialisation import xavier_
from architectures.state import State
from architectures.trace import Trace


class BidirectionalHAN(Encoder):
    """Two hierarchical attention encoders side by side, the second reading each sequence from its last valid step
    backwards; their outputs are joined and projected (Culurciello 2018, note 1).

    Not causal, so it can neither stream nor go on from a state.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors at every level, in each direction and put out.
        window: outputs of the level below that a module looks at, k; by default the fewest that cover `reach`.
        num_layers: levels L; by default 2, or as many as it takes to cover `reach` with windows of at most 100.
        reach: steps to cover each way where `window` and `num_layers` do not say.
        num_heads: attention heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at
            least the two components that a rotary position turns.
        dropout: rate behind attention and feed-forward network.
    """

    causal = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        window: int | None = None,
        num_layers: int | None = None,
        reach: int = 1000,
        num_heads: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size)
        options = (hidden_size, window, num_layers, reach, num_heads, dropout)
        self.onward, self.backward = HAN(input_size, *options), HAN(input_size, *options)
        self.project = nn.Linear(2 * hidden_size, hidden_size)
        xavier_(self.project.weight, 2 * hidden_size, hidden_size)
        nn.init.zeros_(self.project.bias)
        self.output_size = hidden_size

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        self.refuse(state)
        order = reversal(x, lengths)
        onward, _ = self.onward(x)
        backward, _ = self.backward(reverse(x, order))
        return self.project(torch.cat([onward, reverse(backward, order)], dim=2)), None

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """The levels and maps of the onward encoder, then those of the backward one, both by the input's steps."""
        self.check(x, lengths)
        self.refuse(state)
        order = reversal(x, lengths)
        onward, backward = self.onward.trace(x), self.backward.trace(reverse(x, order))
        by_step = order.view(order.shape[0], 1, -1, 1)
        maps = tuple(torch.take_along_dim(weights, by_step, dim=2) for weights in backward.maps or ())
        levels = tuple(reverse(level, order) for level in backward.levels or ())
        return Trace(
            y=self.project(torch.cat([onward.y, reverse(backward.y, order)], dim=2)),
            maps=(*(onward.maps or ()), *maps),
            levels=(*(onward.levels or ()), *levels),
        )

    @property
    def receptive_field(self) -> int:
        return self.onward.receptive_field

    def path_length(self, lag: int) -> int:
        """One hop a level and one through the projection, from either side."""
        return self.onward.path_length(lag) + 1

    def state_size(self, time: int) -> int:
        """The whole sequence: its last step may change what is said of its first."""
        return time * self.input_size

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """As one direction's: each has to cover the sequence by itself."""
        return HAN.search_space(time)

    def refuse(self, state: State) -> None:
        """It cannot go on: what comes later changes what was said before."""
        if state is not None:
            raise ValueError("a bidirectional encoder cannot go on from a state: give it the whole sequence at once")


def reversal(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(batch, time) indices that turn each sequence round within its length and leave its padding where it is."""
    step = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
    if lengths is None:
        return step.flip(1)
    last = lengths.to(x.device).unsqueeze(1) - 1
    return torch.where(step <= last, last - step, step)


def reverse(x: Tensor, order: Tensor) -> Tensor:
    """x (batch, time, features) with its steps in another order; twice is the identity for a reversal."""
    return torch.take_along_dim(x, order.unsqueeze(2), dim=1)
