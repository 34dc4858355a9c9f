"""Long short-term memory, and its variants."""

from typing import Any

import torch
from torch import Tensor, nn

from architectures.initialisation import chrono_, chrono_choices
from architectures.kernels import run_compiled_cell
from architectures.kernels.native import LSTM_GATES
from architectures.lstm_parts import LSTMParts
from architectures.lstm_variants import FullGateRecurrenceLayer, LSTMVariantLayer
from architectures.recurrent import RecurrentEncoder, RecurrentLayer, TorchLayer, stack_layers
from architectures.state import LSTMState
from architectures.trace import Trace


class LSTM(RecurrentEncoder):
    """Long short-term memory with a forget gate, and the variants that add a part or leave one out.

        i_t, f_t = sigmoid(W [x_t, h_{t-1}] + p c_{t-1} + b)      g_t = tanh(W_g [x_t, h_{t-1}] + b_g)
        c_t = f_t c_{t-1} + i_t g_t      o_t = sigmoid(W_o [x_t, h_{t-1}] + p_o c_t + b_o)      h_t = o_t tanh(c_t)

    Source: Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000; peepholes p: Gers,
    Schraudolph and Schmidhuber 2002, JMLR 3, section 3; the eight variants: Greff et al. 2015, arXiv 1503.04069,
    sections III and IV. Forget biases start at 1, the other biases at 0 (RDA paper, section 6.1); peepholes, which are
    off by default, at 0.

    With `chrono` T, forget biases are drawn as log U(1, T - 1), and input biases are their negatives (Tallec and
    Ollivier 2018, arXiv 1804.11188).

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 and c_0 are learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        peepholes: whether i and f see c_{t-1}, and o sees c_t.
        coupled: whether i is 1 - f, which has no weights of its own then.
        input_gate: false makes i 1.
        forget_gate: false makes f 1.
        output_gate: false makes o 1.
        input_activation: false leaves the tanh of g out.
        output_activation: false leaves the tanh of c out; without a forget gate, outputs then grow with time.
        full_gate_recurrence: whether the gates see i, f and o of the step before, too; they are 0 at the start.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
        zoneout_cell: the same of c.
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
        peepholes: bool = False,
        coupled: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        input_activation: bool = True,
        output_activation: bool = True,
        full_gate_recurrence: bool = False,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
    ) -> None:
        self.parts = LSTMParts(
            peepholes=peepholes,
            coupled=coupled,
            input_gate=input_gate,
            forget_gate=forget_gate,
            output_gate=output_gate,
            input_activation=input_activation,
            output_activation=output_activation,
            full_gate_recurrence=full_gate_recurrence,
        )
        layers: list[RecurrentLayer]
        if self.parts == LSTMParts():
            layers = stack_layers(LSTMLayer, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        else:
            kind = FullGateRecurrenceLayer if full_gate_recurrence else LSTMVariantLayer
            layers = stack_layers(kind, input_size, hidden_size, num_layers, self.parts, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout, zoneout_cell)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class LSTMLayer(TorchLayer):
    """A layer of the LSTM with all its gates and without peepholes; its state is (h, c)."""

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

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Runs the LSTM's C++ kernel where it is to be used."""
        weight_x, weight_h, bias_x, bias_h = self.weights()
        return run_compiled_cell(
            "lstm", x, weight_x.t(), bias_x + bias_h, weight_h.t(), torch.stack(state), (LSTM_GATES, True, True)
        )

    def run_cell(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Runs PyTorch's cell."""
        h, c = torch.lstm_cell(x, state, *self.weights())
        return h, c

    def step(self, from_x: Tensor, from_h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns h and c."""
        i, f, g, o = (from_x + from_h).chunk(self.num_gates, dim=1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace with the gates i, f and o; g is the content."""
        y, _ = self(x, state)
        from_x, from_h = self.gate_products(x, y, state[0])
        i, f, g, o = (a + b for a, b in zip(from_x, from_h, strict=True))
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        return Trace(y=y, retention=f, write=i, content=g, gates={"i": i, "f": f, "o": o})
