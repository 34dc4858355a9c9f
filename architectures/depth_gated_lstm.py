"""The depth-gated LSTM."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.initialisation import chrono_choices
from architectures.limits import check_layers, check_width
from architectures.lstm_parts import LSTMParts
from architectures.lstm_variants import LSTMVariantLayer
from architectures.recurrent import RecurrentEncoder, RecurrentLayer
from architectures.state import DepthGatedState, State
from architectures.stepwise import Seen
from architectures.trace import Trace


class DepthGatedLSTM(RecurrentEncoder):
    """A stack of LSTMs in which a gate d lets the cell of the layer below into that of the layer above.

        d_t = sigmoid(W_d x^l_t + w_c c^l_{t-1} + w_l c^{l-1}_t + b_d)
        c^l_t = d_t c^{l-1}_t + f_t c^l_{t-1} + i_t g_t

    The input x^l of a layer above the first is h^{l-1}; the first layer is an LSTM without d. Source: Yao et al. 2015,
    arXiv 1508.03790, section 3. Forget biases start at 1, the other biases, and what gates see of cells, at 0.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, 2 or more.
        dropout: rate between layers, of h alone.
        learn_initial_state: whether h_0 and c_0 are learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start; forget biases are then drawn as
            log U(1, T - 1), and input biases are their negatives.
        peepholes: whether i and f see c_{t-1}, and o sees c_t, as the paper has it.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
        zoneout_cell: the same of c.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        peepholes: bool = True,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
    ) -> None:
        check_width(input_size=input_size, hidden_size=hidden_size)
        check_layers(num_layers=num_layers)
        if num_layers < 2:
            raise ValueError(f"num_layers must be at least 2, not {num_layers}: the depth gate is between layers")
        parts = LSTMParts(peepholes=peepholes)
        options = (parts, learn_initial_state, chrono)
        layers: list[RecurrentLayer] = [FirstLayer(input_size, hidden_size, *options)]
        layers += [DepthGatedLayer(hidden_size, hidden_size, *options) for _ in range(1, num_layers)]
        super().__init__(input_size, layers, hidden_size, dropout, zoneout, zoneout_cell)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the layers one upon another, each with the cells of the one below."""
        new_states, given = [], x
        for index, (layer, layer_state) in enumerate(self._layers_and_states(x, state)):
            both, new_state = self.run_layer(layer, given, layer_state)
            new_states.append(new_state)
            y, c = both.split(self.output_size, dim=2)
            given = (
                torch.cat([dropout(y, self.dropout, self.training), c], dim=2) if index + 1 < len(self.layers) else y
            )
        return given, tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns the trace of the last layer, with those of all layers in `layers`."""
        x = self.prepare(x, lengths, state)
        traces: list[Trace] = []
        for layer, layer_state in self._layers_and_states(x, state):
            trace = self.trace_layer(layer, x, layer_state)
            x = trace.y
            traces.append(replace(trace, y=x[..., : self.output_size]))
        return replace(traces[-1], layers=tuple(traces))

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, with two layers or three, and chrono biases."""
        space = {**super().search_space(time), **chrono_choices(time)}
        return {**space, "num_layers": {"low": 2, "high": 3}, "dropout": {"low": 0.0, "high": 0.5}}


class FirstLayer(LSTMVariantLayer):
    """The LSTM below, which gives its cells beside its outputs: (batch, time, 2 hidden_size)."""

    state_class = DepthGatedState

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Returns `None`: the kernel gives no cells."""
        return None

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns that of the LSTM, with d, and what it lets in, among the gates."""
        trace = super().make_trace(y, seen)
        return replace(
            trace, gates={**(trace.gates or {}), **{name: seen[name] for name in ("d", "entering") if name in seen}}
        )

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns [h | c], (batch, 1, 2 hidden_size)."""
        return torch.cat(state, dim=1).unsqueeze(1)

    def make_output(self, states: list[tuple[Tensor, ...]]) -> Tensor:
        """Returns [h | c] of all steps."""
        return torch.cat([torch.stack(parts, dim=1) for parts in zip(*states, strict=True)], dim=2)


class DepthGatedLayer(FirstLayer):
    """A layer above: its input is [h | c] of the layer below; its state is (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        parts: LSTMParts,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, parts, learn_initial_state, chrono)
        self.weight_d = nn.Parameter(torch.empty(hidden_size, input_size))
        nn.init.xavier_uniform_(self.weight_d)
        self.bias_d = nn.Parameter(torch.zeros(hidden_size))
        self.cell_before = nn.Parameter(torch.zeros(hidden_size))
        self.cell_below = nn.Parameter(torch.zeros(hidden_size))

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the products of the gates, that of d with the cell of the layer below, and this cell."""
        h, c = x.split(self.hidden_size, dim=2)
        d = nn.functional.linear(h, self.weight_d, self.bias_d) + self.cell_below * c
        return (*super().before_steps(h), d, c)

    def weights(self) -> Any:
        """Returns those of the LSTM, and what d sees of the cell before."""
        return *super().weights(), self.cell_before

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c), and i, f, g, o and d."""
        *products, d, below = given
        weight_h, peepholes, cell_before = weights
        h, c = state
        sums = self.add_products(products, h, weight_h)
        d = torch.addcmul(d, cell_before, c).sigmoid()
        entering = d * below
        state, seen = self.finish_step(sums, c, peepholes, entering)
        return state, {**seen, "d": d, "entering": entering}
