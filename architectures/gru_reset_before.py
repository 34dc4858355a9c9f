"""The layer of the GRU whose reset gate stands before the recurrent product."""

from typing import Any

from torch import Tensor, nn

from architectures.initialisation import chrono_
from architectures.state import GRUState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class ResetBeforeLayer(StepwiseLayer):
    """A layer of the GRU with n = tanh(W x + U (r h_{t-1}) + b); its state is (h,).

    Source: Cho et al. 2014, arXiv 1406.1078, equations 5 to 8. U has to wait for r, so that the recurrent products of a
    step are two. Weights are stored for [r | z | n].
    """

    state_class = GRUState

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.add_weights(3, 3)
        _, z, _ = self.bias.detach().chunk(3)
        if chrono is None:
            nn.init.ones_(z)
        else:
            chrono_(chrono, z)

    def weights(self) -> Any:
        """Returns the recurrent weights of [r | z] and of n, transposed."""
        weight = self.weight_h.t()
        return weight[:, : 2 * self.hidden_size], weight[:, 2 * self.hidden_size :]

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h,), and r, z and n."""
        (h,), (of_gates, of_n) = state, weights
        h_r, h_z = (h @ of_gates).split(self.hidden_size, dim=1)
        r, z = (given[0] + h_r).sigmoid(), (given[1] + h_z).sigmoid()
        n = (given[2] + (r * h) @ of_n).tanh()
        return (n + z * (h - n),), {"r": r, "z": z, "n": n}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with the gates r and z; n is the content."""
        z = seen["z"]
        return Trace(y=y, retention=z, write=1 - z, content=seen["n"], gates={"r": seen["r"], "z": z})
