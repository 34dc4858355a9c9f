"""Two recurrent encoders, one from each end."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from architectures.base import Encoder
from architectures.han_bidirectional import reorder_steps, reversal_indices
from architectures.nesting import build_base
from architectures.state import State
from architectures.trace import Trace


class Bidirectional(Encoder):
    """Two encoders of the catalogue, of which the second reads each sequence from its last valid step backwards.

        y_t = [onward_t, backward_t]

    The outputs stand side by side. The encoder is not causal, so it cannot stream or resume from a state. Source:
    Schuster and Paliwal 1997, section III; the encoder of Bahdanau et al. 2015, arXiv 1409.0473, section 3.2. With
    several layers, each direction is a stack of its own.

    Args:
        input_size: features a step.
        hidden_size: units of each direction; the output has twice as many.
        base: name of the encoder of either direction, a causal one of the catalogue.
        num_layers: layers of each direction; by default as many as the encoder has itself.
        dropout: rate in each direction.
        reach: steps that each direction is to cover, if its reach is finite.
        base_options: other options of the encoder, by name.
    """

    causal = False
    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        base: str = "lstm",
        num_layers: int | None = None,
        dropout: float = 0.0,
        reach: int = 1000,
        base_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(input_size)
        options = (base, input_size, hidden_size, num_layers, dropout, reach, base_options)
        self.onward, self.backward = build_base(*options), build_base(*options)
        self.output_size = 2 * self.onward.output_size

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs both directions; there is no state to return."""
        self.reject_state(state)
        order = reversal_indices(x, lengths)
        onward, _ = self.onward(x)
        backward, _ = self.backward(reorder_steps(x, order))
        return torch.cat([onward, reorder_steps(backward, order)], dim=2), None

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with the gates of both directions, as in `f_onward` and `f_backward`, in the order of x.

        There is no retention and no write: influence runs in two directions.
        """
        x = self.prepare(x, lengths, state)
        self.reject_state(state)
        order = reversal_indices(x, lengths)
        onward, backward = self.onward.trace(x), self.backward.trace(reorder_steps(x, order))
        gates = {f"{name}_onward": gate for name, gate in (onward.gates or {}).items()}
        gates |= {f"{name}_backward": reorder_steps(gate, order) for name, gate in (backward.gates or {}).items()}
        return Trace(y=torch.cat([onward.y, reorder_steps(backward.y, order)], dim=2), gates=gates or None)

    @property
    def receptive_field(self) -> int | None:
        """The steps that one direction sees."""
        return self.onward.receptive_field

    def path_length(self, lag: int) -> int:
        """Returns the hops of one direction, from either side."""
        return self.onward.path_length(lag)

    def average_path_length(self, lag: int) -> int | None:
        """Returns the same through the average of one direction, if it carries one."""
        return self.onward.average_path_length(lag)

    def state_size(self, time: int) -> int:
        """Returns the size of the whole sequence: its last step may change the output of its first."""
        return time * self.input_size

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of layers of each direction: as many as the encoder has itself, or two."""
        return {"num_layers": [None, 2]}

    def reject_state(self, state: State) -> None:
        """Raises an error for a state other than the start: later steps would change earlier outputs."""
        if state is not None:
            raise ValueError("a bidirectional encoder cannot resume from a state: pass the whole sequence at once")
