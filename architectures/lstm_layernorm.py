"""The LSTM with layer normalisation."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from architectures.initialisation import chrono_, chrono_choices
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import LSTMState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class LayerNormLSTM(RecurrentEncoder):
    """The LSTM with its products, and its cell before the output, normalised over their entries.

        [i | f | g | o] = LN(W x_t) + LN(U h_{t-1}) + b      c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(LN(c_t))

    Source: Ba, Kiros and Hinton 2016, arXiv 1607.06450, equations 20 to 22 (appendix). Each norm of a product is over
    all four gates together and has gains; b is the sum of their offsets. Gains start at 1, forget biases at 1, the
    other biases at 0.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 and c_0 are learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start; forget biases are then drawn as
            log U(1, T - 1), and input biases are their negatives.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
        zoneout_cell: the same of c.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        zoneout: float = 0.0,
        zoneout_cell: float = 0.0,
    ) -> None:
        layers = stack_layers(LayerNormLSTMLayer, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout, zoneout_cell)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class LayerNormLSTMLayer(StepwiseLayer):
    """A layer of the LSTM with layer normalisation; its state is (h, c). Weights are stored for [i | f | g | o]."""

    state_class = LSTMState

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.add_weights(4, 4)
        i, f, _, _ = self.bias.detach().chunk(4)
        if chrono is None:
            nn.init.ones_(f)
        else:
            chrono_(chrono, f, i)
        self.gain_x = nn.Parameter(torch.ones(4 * hidden_size))
        self.gain_h = nn.Parameter(torch.ones(4 * hidden_size))
        self.gain_c = nn.Parameter(torch.ones(hidden_size))
        self.offset_c = nn.Parameter(torch.zeros(hidden_size))

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the normalised product of x with the biases, of all gates together."""
        return (layer_norm(linear(x, self.weight_x), self.gain_x.shape, self.gain_x, self.bias),)

    def weights(self) -> Any:
        """Returns the recurrent weights, transposed, and gains and offsets."""
        return self.weight_h.t(), self.gain_h, self.gain_c, self.offset_c

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c), i, f, g and o, and the normalised cell, n."""
        (h, c), (weight_h, gain_h, gain_c, offset_c) = state, weights
        sums = given[0] + layer_norm(h @ weight_h, gain_h.shape, gain_h)
        i, f, g, o = sums.split(self.hidden_size, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        n = layer_norm(c, gain_c.shape, gain_c, offset_c)
        return (o * n.tanh(), c), {"i": i, "f": f, "g": g, "o": o, "n": n}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with the gates i, f and o and the normalised cell, n; g is the content."""
        gates = {name: seen[name] for name in ("i", "f", "o", "n")}
        return Trace(y=y, retention=seen["f"], write=seen["i"], content=seen["g"], gates=gates)
