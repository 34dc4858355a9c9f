"""The grid LSTM over time and depth."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.initialisation import xavier_
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import GridState, State
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class GridLSTM(RecurrentEncoder):
    """Layers with a memory along time and another along depth, each kept by an LSTM of its own.

        H = [h_time, h_depth]
        (h_time', m_time') = LSTM_time(H, m_time)        (h_depth', m_depth') = LSTM_depth(H, m_depth)

    where each LSTM has weights and biases of its own for

        i, f, o = sigmoid(W_i H + b_i), sigmoid(W_f H + b_f), sigmoid(W_o H + b_o)        g = tanh(W_g H + b_g)
        m' = f m + i g        h' = tanh(o m')

    Unlike in the other LSTMs here, the output gate is inside the tanh. h_time and m_time go to the next step of the
    layer, h_depth and m_depth to the layer above at the same step; below the first, both are products of the input. The
    output is the last layer's h_depth. Source: Kalchbrenner, Danihelka and Graves 2016, arXiv 1507.01526, sections 2
    (the LSTM) and 3 (the grid), in two dimensions, with weights of their own for every layer. Forget biases start at 1,
    the other biases at 0.

    Args:
        input_size: features a step.
        hidden_size: units of each of the two, of a layer.
        num_layers: layers.
        dropout: rate between layers, of h_depth alone.
        learn_initial_state: whether h_time and m_time are learned at the start, or 0.
        zoneout: rate at which units of h_time hold their value for a step (Krueger et al. 2017).
        zoneout_cell: the same of m_time.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
    ) -> None:
        layers = stack_layers(GridLayer, input_size, hidden_size, num_layers, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout, zoneout_cell)
        self.enter = nn.Linear(input_size, 2 * hidden_size)
        xavier_(self.enter.weight, input_size, hidden_size)
        nn.init.zeros_(self.enter.bias)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the layers one upon another, each with h and m of the one below."""
        new_states, both = [], self.enter(x)
        for index, (layer, layer_state) in enumerate(self._layers_and_states(x, state)):
            both, new_state = self.run_layer(layer, both, layer_state)
            new_states.append(new_state)
            if index + 1 < len(self.layers):
                h, m = both.split(self.output_size, dim=2)
                both = torch.cat([dropout(h, self.dropout, self.training), m], dim=2)
        return both[..., : self.output_size], tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns the trace of the last layer, with those of all layers in `layers`."""
        x = self.prepare(x, lengths, state)
        traces: list[Trace] = []
        both = self.enter(x)
        for layer, layer_state in self._layers_and_states(x, state):
            trace = self.trace_layer(layer, both, layer_state)
            both = trace.y
            traces.append(replace(trace, y=both[..., : self.output_size]))
        return replace(traces[-1], layers=tuple(traces))

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, with up to three layers."""
        return {**super().search_space(time), "num_layers": {"low": 1, "high": 3}}


class GridLayer(StepwiseLayer):
    """A layer of the grid: maps [h_depth | m_depth] of all steps to those above; its state is (h, m) along time.

    Weights are stored for [i | f | g | o] along time, then along depth; those of x are those of h_depth.
    """

    state_class = GridState

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool) -> None:
        # Whatever the encoder's input is, a layer's has as many units as the layer.
        super().__init__(hidden_size, hidden_size, learn_initial_state)
        self.add_weights(8, 8)
        nn.init.ones_(self.bias.detach().view(2, 4, hidden_size)[:, 1])

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the products of h_depth, of all gates together, and m_depth."""
        h, m = x.split(self.hidden_size, dim=2)
        return nn.functional.linear(h, self.weight_x, self.bias), m

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, m) along time, then (h, m) along depth, and all gates."""
        (sums, below), (h, m) = given, state
        parts = torch.addmm(sums, h, weights).split(self.hidden_size, dim=1)
        seen: dict[str, Tensor] = {}
        after: list[Tensor] = []
        for axis, memory, (i, f, g, o) in (("", m, parts[:4]), ("_depth", below, parts[4:])):
            i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            memory = f * memory + i * g
            after += [(o * memory).tanh(), memory]
            seen |= {f"i{axis}": i, f"f{axis}": f, f"g{axis}": g, f"o{axis}": o, f"m{axis}": memory}
        return tuple(after), seen

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns y: what goes up is not held."""
        return y

    def make_output(self, states: list[tuple[Tensor, ...]]) -> Tensor:
        """Returns [h_depth | m_depth] of all steps."""
        return torch.cat([torch.stack(parts, dim=1) for parts in tuple(zip(*states, strict=True))[2:]], dim=2)

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace of the memory along time, m; g is the content. `gates` has those along depth, too."""
        gates = {name: value for name, value in seen.items() if name != "g"}
        return Trace(y=y, retention=seen["f"], write=seen["i"], content=seen["g"], gates=gates)
