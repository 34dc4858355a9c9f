"""The recurrent highway network."""

from typing import Any

import torch
from torch import Tensor, nn

from architectures.initialisation import xavier_
from architectures.kernels.highway import highway_recurrence
from architectures.limits import check_layers
from architectures.recording import is_recording
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import RHNState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace


class RHN(RecurrentEncoder):
    """A recurrent network whose step is a highway of several layers, their carry gates coupled to the transform gates.

        a^l = tanh(W_a x_t [l = 1] + R_a^l s^{l-1} + b_a^l)      t^l = sigmoid(W_t x_t [l = 1] + R_t^l s^{l-1} + b_t^l)
        s^l = s^{l-1} + t^l (a^l - s^{l-1}) , l = 1 .. L         s^0 = y_{t-1}, y_t = s^L

    Source: Zilly et al. 2017, arXiv 1607.03474, section 4, equations 6 to 9, with c = 1 - t (section 5). Biases of the
    transform gates start at -2, so that a step carries most of what there is; the others at 0.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        recurrence_depth: L, the highway layers of a step.
        num_layers: recurrent layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether y_0 is learned, or 0.
        zoneout: rate at which units of y hold their value for a step (Krueger et al. 2017).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        recurrence_depth: int = 3,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        check_layers(recurrence_depth=recurrence_depth)
        layers = stack_layers(RHNLayer, input_size, hidden_size, num_layers, recurrence_depth, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)
        self.recurrence_depth = recurrence_depth

    def path_length(self, lag: int) -> int:
        """Returns one hop for every highway layer of the steps of the lag, and of the input's step in every layer.

        Each highway layer is a hop although some of s is carried past it, as each convolution of a TCN is one although
        a block's input is added behind it.
        """
        return self.recurrence_depth * super().path_length(lag)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the depth of a step, and the options of every recurrent encoder."""
        return {"recurrence_depth": {"low": 1, "high": 5}, **super().search_space(time)}


class RHNLayer(StepwiseLayer):
    """A layer of the RHN; its state is (y,). Weights are stored for [a | t], recurrent ones for each highway layer."""

    state_class = RHNState

    def __init__(self, input_size: int, hidden_size: int, depth: int, learn_initial_state: bool) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.depth = depth
        self.add_weights(2, 2 * depth, biases=2 * depth)
        with torch.no_grad():
            # Above the first, a highway layer has no input but s.
            xavier_(self.weight_h[2 * hidden_size :], hidden_size, hidden_size)
            self.bias.view(depth, 2, hidden_size)[:, 1] = -2

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns what the first highway layer gets of x, biases included."""
        return (nn.functional.linear(x, self.weight_x, self.bias[: 2 * self.hidden_size]),)

    def weights(self) -> Any:
        """Returns the recurrent weights of every highway layer, transposed, and the biases of those above the first."""
        rows = 2 * self.hidden_size
        weights = [weight.t() for weight in self.weight_h.split(rows)]
        return weights, self.bias.split(rows)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps; in training with a gradient of its own, except where PyTorch records or chooses types."""
        if not has_own_backward(x):
            return super().forward(x, state)
        matrices, biases = self.weights()
        (given,), (start,) = self.before_steps(x), state
        y = highway_recurrence(given, start, [matrix.t() for matrix in matrices], biases[1:])
        return y, RHNState(y[:, -1].clone())

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (y,), and a and t of every highway layer, a1, t1, a2 and so on."""
        (s,), (matrices, biases) = state, weights
        seen: dict[str, Tensor] = {}
        for index, weight in enumerate(matrices):
            a, t = torch.addmm(biases[index] if index else given[0], s, weight).split(self.hidden_size, dim=1)
            a, t = a.tanh(), t.sigmoid()
            s = torch.addcmul(s, t, a - s)
            seen[f"a{index + 1}"], seen[f"t{index + 1}"] = a, t
        return (s,), seen

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with retention prod (1 - t) and write 1 - retention.

        The content is the mean of the a that a step writes, each by its share; 0 where it writes nothing.
        """
        retention, write, written = torch.ones_like(y), torch.zeros_like(y), torch.zeros_like(y)
        for index in range(1, self.depth + 1):
            t = seen[f"t{index}"]
            # Not as 1 - retention, which is 0 long before the gates are.
            retention, write = (1 - t) * retention, (1 - t) * write + t
            written = (1 - t) * written + t * seen[f"a{index}"]
        content = torch.where(write > 0, written / write, torch.zeros_like(y))
        return Trace(y=y, retention=retention, write=write, content=content, gates=dict(seen))


def has_own_backward(x: Tensor) -> bool:
    """Returns whether the recurrence is to be computed by `highway_recurrence`, which keeps what its gradient needs."""
    return (
        torch.is_grad_enabled()
        and x.device.type in ("cpu", "cuda")
        and not torch.is_autocast_enabled(x.device.type)
        and x.dtype in (torch.float32, torch.float64)
        and not is_recording()
    )
