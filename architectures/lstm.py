"""Long short-term memory."""

from typing import Any

from torch import Tensor, nn

from architectures.initialisation import chrono_, chrono_choices
from architectures.recurrent import RecurrentEncoder, TorchLayer, stack_layers
from architectures.state import LSTMState
from architectures.trace import Trace


class LSTM(RecurrentEncoder):
    """Long short-term memory with a forget gate.

        c_t = f_t c_{t-1} + i_t g_t        h_t = o_t tanh(c_t)

    Source: Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000. Forget biases start at 1,
    the other biases at 0 (RDA paper, section 6.1).

    With `chrono` T, forget biases are drawn as log U(1, T - 1), and input biases are their negatives (Tallec and
    Ollivier 2018, arXiv 1804.11188).

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 and c_0 are learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
    ) -> None:
        layers = stack_layers(LSTMLayer, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class LSTMLayer(TorchLayer):
    """A layer of the LSTM; its state is (h, c)."""

    state_class = LSTMState
    num_gates = 4

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(nn.LSTM, input_size, hidden_size, learn_initial_state)
        # PyTorch keeps two biases that add up; the other one stays 0.
        i, f, _, _ = self.core.get_parameter("bias_ih_l0").detach().chunk(self.num_gates)
        if chrono is None:
            nn.init.ones_(f)
        else:
            chrono_(chrono, f, i)

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace with the gates i, f and o; g is the content."""
        y, _ = self(x, state)
        from_x, from_h = self.gate_products(x, y, state[0])
        i, f, g, o = (a + b for a, b in zip(from_x, from_h, strict=True))
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        return Trace(y=y, retention=f, write=i, content=g, gates={"i": i, "f": f, "o": o})
