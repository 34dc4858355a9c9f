"""Long short-term memory."""

import torch
from torch import Tensor, nn

from architectures.recurrent import Recurrent, TorchLayer, stacked
from architectures.trace import Trace


class LSTM(Recurrent):
    """c_t = f_t c_{t-1} + i_t g_t, h_t = o_t tanh(c_t) (Hochreiter and Schmidhuber 1997; forget gate: Gers,
    Schmidhuber and Cummins 2000). Forget biases start at 1, the other biases at 0 (RDA paper, section 6.1).

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 and c_0 are learned, or 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
    ) -> None:
        layers = stacked(LSTMLayer, input_size, hidden_size, num_layers, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout)


class LSTMLayer(TorchLayer):
    """One layer; it carries h and c."""

    carried = 2
    blocks = 4

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool) -> None:
        super().__init__(nn.LSTM, input_size, hidden_size, learn_initial_state)
        with torch.no_grad():
            # PyTorch keeps two biases that add up; one of them holds the forget gate's 1.
            self.core.get_parameter("bias_ih_l0")[hidden_size : 2 * hidden_size] = 1.0

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """The gates i, f, o; g is the content."""
        y, _ = self(x, state)
        fed, back = self.products(x, y, state[0])
        i, f, g, o = (a + b for a, b in zip(fed, back, strict=True))
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        return Trace(y=y, retention=f, write=i, content=g, gates={"i": i, "f": f, "o": o})
