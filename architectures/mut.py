"""The three best units of a search over ten thousand: MUT1, MUT2 and MUT3."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import linear

from architectures.initialisation import chrono_, chrono_choices
from architectures.limits import quote
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import MUTState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace

Variant = Literal[1, 2, 3]


class MUT(RecurrentEncoder):
    """A gated unit h_t = z_t n_t + (1 - z_t) h_{t-1}: unlike the GRU's, its z is the share that is written.

        1: z = sigmoid(W_z x + b_z)                  r = sigmoid(W_r x + U_r h + b_r)  n = tanh(U (r h) + tanh(x') + b)
        2: z = sigmoid(W_z x + U_z h + b_z)          r = sigmoid(x' + U_r h + b_r)     n = tanh(U (r h) + W x + b)
        3: z = sigmoid(W_z x + U_z tanh(h) + b_z)    r = sigmoid(W_r x + U_r h + b_r)  n = tanh(U (r h) + W x + b)

    with h = h_{t-1}, and x' = x where a layer has as many units as inputs, else a product W' x. Source: Jozefowicz,
    Zaremba and Sutskever 2015, "An empirical exploration of recurrent network architectures", section 3.5. The biases
    of z start at -1, so that a unit retains as much as a GRU does at its start; the others at 0.

    With `chrono` T, the biases of z are drawn as -log U(1, T - 1) (Tallec and Ollivier 2018, arXiv 1804.11188).

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        variant: 1, 2 or 3.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        variant: Variant = 1,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        zoneout: float = 0.0,
    ) -> None:
        if variant not in get_args(Variant):
            raise ValueError(f"variant must be 1, 2 or 3, not {quote(variant)}")
        layers = stack_layers(MUTLayer, input_size, hidden_size, num_layers, variant, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class MUTLayer(StepwiseLayer):
    """A layer of MUT1, MUT2 or MUT3; its state is (h,).

    Weights are stored for [z | r | n], without those that the variant does not have.
    """

    state_class = MUTState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        variant: Variant,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.variant = variant
        direct = {1: "n", 2: "r"}.get(variant, "") if input_size == hidden_size else ""
        self.maps = tuple(gate for gate in ("z", "r", "n") if gate != direct)
        """The gates that have a product of x."""
        self.add_weights(len(self.maps), 2 if variant == 1 else 3, biases=3)
        z = self.bias.detach()[:hidden_size]
        if chrono is None:
            z.fill_(-1)
        else:
            chrono_(chrono, torch.empty_like(z), z)

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns what z, r and n get of x, biases included."""
        units = self.hidden_size
        of_x = dict(zip(self.maps, linear(x, self.weight_x).split(units, dim=2), strict=True))
        z, r, n = (of_x.get(gate, x) for gate in ("z", "r", "n"))
        b_z, b_r, b_n = self.bias.split(units)
        return z + b_z, r + b_r, (n.tanh() if self.variant == 1 else n) + b_n

    def weights(self) -> Any:
        """Returns the recurrent weights of z (empty in MUT1), r and n, transposed."""
        units, weight = self.hidden_size, self.weight_h.t()
        return weight[:, : -2 * units], weight[:, -2 * units : -units], weight[:, -units:]

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h,), and z, r and n."""
        (h,), (of_z, of_r, of_n) = state, weights
        if self.variant == 1:
            z = given[0].sigmoid()
        else:
            z = (given[0] + (h.tanh() if self.variant == 3 else h) @ of_z).sigmoid()
        r = (given[1] + h @ of_r).sigmoid()
        n = (given[2] + (r * h) @ of_n).tanh()
        return (h + z * (n - h),), {"z": z, "r": r, "n": n}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with the gates z, which writes, and r; n is the content."""
        z = seen["z"]
        return Trace(y=y, retention=1 - z, write=z, content=seen["n"], gates={"z": z, "r": seen["r"]})
