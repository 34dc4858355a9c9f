"""The multiplicative recurrent network."""

from typing import Any

from torch import Tensor, nn

from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import MRNNState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class MRNN(RecurrentEncoder):
    """A recurrent network whose recurrent matrix depends on the input, as a product of factors.

        m_t = (W_mx x_t) (W_mh h_{t-1})        h_t = tanh(W_hx x_t + W_hm m_t + b)

    Source: Sutskever, Martens and Hinton 2011, "Generating text with recurrent neural networks", section 3.2, with as
    many factors as units.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        layers = stack_layers(MRNNLayer, input_size, hidden_size, num_layers, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)


class MRNNLayer(StepwiseLayer):
    """A layer of the MRNN; its state is (h,). Weights are stored for [m | h]."""

    state_class = MRNNState

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.add_weights(2, 2, biases=1)

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns what m and h get of x; m has no bias."""
        m, h = nn.functional.linear(x, self.weight_x).split(self.hidden_size, dim=2)
        return m, h + self.bias

    def weights(self) -> Any:
        """Returns W_mh and W_hm, transposed."""
        return tuple(weight.t() for weight in self.weight_h.split(self.hidden_size))

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h,), m, and the argument of the tanh, a."""
        (h,), (of_m, of_h) = state, weights
        m = given[0] * (h @ of_m)
        a = given[1] + m @ of_h
        return (a.tanh(),), {"m": m, "a": a}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace without retention and write; `gates` holds m and the argument of the tanh, a."""
        return Trace(y=y, gates=dict(seen))
