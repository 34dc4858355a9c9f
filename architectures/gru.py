"""The gated recurrent unit."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from architectures.gru_reset_before import ResetBeforeLayer
from architectures.initialisation import chrono_, chrono_choices
from architectures.kernels import run_compiled_cell
from architectures.limits import quote
from architectures.recurrent import RecurrentEncoder, RecurrentLayer, TorchLayer, stack_layers
from architectures.state import GRUState
from architectures.trace import Trace

Reset = Literal["behind", "before"]


class GRU(RecurrentEncoder):
    """The gated recurrent unit h_t = z_t h_{t-1} + (1 - z_t) n_t.

        behind: n_t = tanh(W x_t + b + r_t (U h_{t-1} + c))        before: n_t = tanh(W x_t + b + U (r_t h_{t-1}))

    Source: Cho et al. 2014, arXiv 1406.1078v1, section 2.3, whose z this is; their reset gate stands before the
    recurrent product, cuDNN's, the default here, behind it.
    The biases of z, which retains, start at 1, as those of the LSTM's forget gate and of the RDA's discount do (RDA
    paper, section 6.1, which names no gate of the GRU); the other biases start at 0. The published GRU figures of that
    paper are likely those of TensorFlow 1, whose `GRUCell` has the reset gate before the recurrent product and starts
    the biases of both gates at 1.

    With `chrono` T, the biases of z, which retains, are drawn as log U(1, T - 1) (Tallec and Ollivier 2018, arXiv
    1804.11188); the write is 1 - z.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        reset: where the reset gate stands: behind the recurrent product, or before it. Only the first has kernels.
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
        chrono: int | None = None,
        reset: Reset = "behind",
        zoneout: float = 0.0,
    ) -> None:
        if reset not in get_args(Reset):
            raise ValueError(f"reset must be behind or before, not {quote(reset)}")
        kind: type[RecurrentLayer] = GRULayer if reset == "behind" else ResetBeforeLayer
        layers = stack_layers(kind, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class GRULayer(TorchLayer):
    """A layer of the GRU; its state is (h,)."""

    state_class = GRUState
    num_gates = 3

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(nn.GRU, input_size, hidden_size, learn_initial_state)
        # PyTorch keeps two biases that add up; the other one stays 0.
        _, z, _ = self.core.get_parameter("bias_ih_l0").detach().chunk(self.num_gates)
        if chrono is None:
            nn.init.ones_(z)
        else:
            chrono_(chrono, z)

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Runs the GRU's C++ kernel where it is to be used."""
        weight_x, weight_h, bias_x, bias_h = self.weights()
        (r, z, n), (b_r, b_z, b_n), (c_r, c_z, c_n) = (value.chunk(3) for value in (weight_x, bias_x, bias_h))
        # The kernel keeps the two products of n apart: W x + b comes first, and U h + c, without W x, is the last gate.
        columns = torch.cat([n, r, z, torch.zeros_like(n)]).t()
        bias = torch.cat([b_n, b_r + c_r, b_z + c_z, c_n])
        return run_compiled_cell("gru", x, columns, bias, weight_h.t(), torch.stack(state))

    def run_cell(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Runs PyTorch's cell."""
        return (torch.gru_cell(x, state[0], *self.weights()),)

    def step(self, from_x: Tensor, from_h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns h."""
        (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.chunk(self.num_gates, dim=1), from_h.chunk(self.num_gates, dim=1)
        n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
        return (torch.lerp(n, state[0], (x_z + h_z).sigmoid()),)

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace with the gates r and z; n is the content."""
        y, _ = self(x, state)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self.gate_products(x, y, state[0])
        r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        n = (x_n + r * h_n).tanh()
        return Trace(y=y, retention=z, write=1 - z, content=n, gates={"r": r, "z": z})
