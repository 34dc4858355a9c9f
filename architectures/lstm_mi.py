"""The LSTM with multiplicative integration."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from architectures.initialisation import chrono_, chrono_choices
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import LSTMState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class MultiplicativeLSTM(RecurrentEncoder):
    """The LSTM whose gates multiply what they get of x and of h.

        [i | f | g | o] = alpha (W x_t) (U h_{t-1}) + beta_1 (U h_{t-1}) + beta_2 (W x_t) + b

    and the rest as in the LSTM. Source: Wu et al. 2016, arXiv 1606.06630, section 2 (MI-LSTM). alpha starts at 1,
    beta_1 and beta_2 at 0.5, forget biases at 1, the other biases at 0.

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
        layers = stack_layers(MultiplicativeLSTMLayer, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout, zoneout_cell)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class MultiplicativeLSTMLayer(StepwiseLayer):
    """A layer of the LSTM with multiplicative integration; its state is (h, c). Weights are of [i | f | g | o]."""

    state_class = LSTMState

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.add_weights(4, 4)
        i, f, _, _ = self.bias.detach().chunk(4)
        if chrono is None:
            nn.init.ones_(f)
        else:
            chrono_(chrono, f, i)
        self.alpha = nn.Parameter(torch.ones(4 * hidden_size))
        self.beta_1 = nn.Parameter(torch.full((4 * hidden_size,), 0.5))
        self.beta_2 = nn.Parameter(torch.full((4 * hidden_size,), 0.5))

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the factor of U h, alpha W x + beta_1, and what is added to it, beta_2 W x + b, of all gates."""
        product = linear(x, self.weight_x)
        return self.alpha * product + self.beta_1, self.beta_2 * product + self.bias

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c), and i, f, g and o."""
        (h, c), (factor, added) = state, given
        i, f, g, o = torch.addcmul(added, factor, h @ weights).split(self.hidden_size, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        return (o * c.tanh(), c), {"i": i, "f": f, "g": g, "o": o}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with the gates i, f and o; g is the content."""
        gates = {name: seen[name] for name in ("i", "f", "o")}
        return Trace(y=y, retention=seen["f"], write=seen["i"], content=seen["g"], gates=gates)
