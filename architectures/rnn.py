"""The plain recurrent network."""

import torch
from torch import Tensor, nn

from architectures.kernels import run_compiled_cell
from architectures.recurrent import RecurrentEncoder, TorchLayer, stack_layers
from architectures.state import RNNState
from architectures.trace import Trace


class RNN(RecurrentEncoder):
    """The recurrent network h_t = tanh(W x_t + U h_{t-1} + b) (Elman 1990, "Finding structure in time").

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        layers = stack_layers(RNNLayer, input_size, hidden_size, num_layers, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)


class RNNLayer(TorchLayer):
    """A layer of the RNN; its state is (h,)."""

    state_class = RNNState
    num_gates = 1

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool) -> None:
        super().__init__(nn.RNN, input_size, hidden_size, learn_initial_state)

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Runs the RNN's C++ kernel where it is to be used."""
        weight_x, weight_h, bias_x, bias_h = self.weights()
        return run_compiled_cell("rnn", x, weight_x.t(), bias_x + bias_h, weight_h.t(), torch.stack(state))

    def run_cell(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Runs PyTorch's cell."""
        return (torch.rnn_tanh_cell(x, state[0], *self.weights()),)

    def step(self, from_x: Tensor, from_h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns h."""
        return ((from_x + from_h).tanh(),)

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace without retention and write; `gates` holds the argument of the tanh, as `a`."""
        y, _ = self(x, state)
        (from_x,), (from_h,) = self.gate_products(x, y, state[0])
        return Trace(y=y, gates={"a": from_x + from_h})
