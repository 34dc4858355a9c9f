"""The bidirectional hierarchical attention encoder."""

from typing import Any

import torch
from torch import Tensor, nn

from architectures.base import Encoder
from architectures.han import HAN
from architectures.initialisation import xavier_
from architectures.state import State
from architectures.trace import Trace


class BidirectionalHAN(Encoder):
    """Two hierarchical attention encoders whose outputs are concatenated and projected (Culurciello 2018, note 1).

    The second one reads each sequence from its last valid step backwards. The encoder is not causal, so it cannot
    stream or resume from a state.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors at every level of each direction, and of the output.
        window: outputs of the level below that a module looks at, k; by default the fewest that cover `reach`.
        num_layers: levels L; by default 2, or as many as it takes to cover `reach` with windows of at most 100.
        reach: steps to cover each way, unless both `window` and `num_layers` are given.
        num_heads: attention heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at
            least the two components that a rotary position turns.
        dropout: rate behind attention and feed-forward network.
    """

    causal = False
    needs_dtype_of_weights = True

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
        """Runs both directions and projects their outputs; there is no state to return."""
        self.reject_state(state)
        order = reversal_indices(x, lengths)
        onward, _ = self.onward(x)
        backward, _ = self.backward(reorder_steps(x, order))
        return self.project(torch.cat([onward, reorder_steps(backward, order)], dim=2)), None

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with the levels and maps of the onward, then of the backward encoder.

        Those of the backward encoder are in the order of the input's steps, too.
        """
        x = self.prepare(x, lengths, state)
        self.reject_state(state)
        order = reversal_indices(x, lengths)
        onward, backward = self.onward.trace(x), self.backward.trace(reorder_steps(x, order))
        maps = tuple(reorder_steps(weights, order, dim=2) for weights in backward.maps or ())
        levels = tuple(reorder_steps(level, order) for level in backward.levels or ())
        return Trace(
            y=self.project(torch.cat([onward.y, reorder_steps(backward.y, order)], dim=2)),
            maps=(*(onward.maps or ()), *maps),
            levels=(*(onward.levels or ()), *levels),
        )

    @property
    def receptive_field(self) -> int:
        """The steps that one direction sees."""
        return self.onward.receptive_field

    def path_length(self, lag: int) -> int:
        """Returns one hop a level and one through the projection, from either side."""
        return self.onward.path_length(lag) + 1

    def state_size(self, time: int) -> int:
        """Returns the size of the whole sequence: its last step may change the output of its first."""
        return time * self.input_size

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the search space of one direction: each has to cover the sequence."""
        return HAN.search_space(time)

    def reject_state(self, state: State) -> None:
        """Raises an error for a state other than the start: later steps would change earlier outputs."""
        if state is not None:
            raise ValueError("a bidirectional encoder cannot resume from a state: pass the whole sequence at once")


def reversal_indices(x: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Returns (batch, time) indices that reverse each sequence within its length and leave its padding in place.

    `None` without lengths: all steps are reversed, for which no indices are needed.
    """
    if lengths is None:
        return None
    step = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
    last = lengths.to(x.device, torch.long).unsqueeze(1) - 1
    return torch.where(step <= last, last - step, step)


def reorder_steps(x: Tensor, order: Tensor | None, dim: int = 1) -> Tensor:
    """Returns x with its steps in another order, as `reversal_indices` returned it; twice is the identity.

    Args:
        x: (batch, ...), with time in dimension `dim`.
        order: (batch, time), or `None` for a reversal of all steps.
        dim: which dimension is time.
    """
    if order is None:
        return x.flip(dim)
    shape = [1] * x.ndim
    shape[0], shape[dim] = order.shape
    return torch.take_along_dim(x, order.view(shape), dim=dim)
