"""The minimal long short-term memory."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from architectures.initialisation import chrono_, chrono_choices
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.scanned import Content, ScannedLayer
from architectures.state import MinLSTMState


class MinLSTM(RecurrentEncoder):
    """The LSTM without its output gate and tanh, and without h in its gates, which share 1 between them.

        f_t, i_t = sigmoid(W x_t + b)      n_t = W_n x_t + b_n      h_t = (f_t h_{t-1} + i_t n_t) / (f_t + i_t)

    Source: Feng et al. 2024, "Were RNNs all we needed?", arXiv 2410.01201, section 3.2. With `content` positive, n_t is
    g(W_n x_t + b_n), g(v) = v + 1/2 from 0 on and sigmoid(v) below, as in their appendix B. The biases of f start at 1,
    the others at 0.

    With `chrono` T, the biases of f are drawn as log U(1, T - 1), and those of i are their negatives (Tallec and
    Ollivier 2018, arXiv 1804.11188), so that f / (f + i) forgets over as many steps as a gate of the LSTM's does.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        content: what is written: a linear map of the input, or a positive function of it.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        content: Content = "linear",
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        zoneout: float = 0.0,
    ) -> None:
        layers = stack_layers(
            MinLSTMLayer, input_size, hidden_size, num_layers, content, learn_initial_state, chrono=chrono
        )
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the content, the options of every recurrent encoder, and chrono biases for spans of up to `time`."""
        return {"content": ["linear", "positive"], **super().search_space(time), **chrono_choices(time)}


class MinLSTMLayer(ScannedLayer):
    """A layer of the minLSTM; its state is (h,)."""

    state_class = MinLSTMState
    gates = ("f", "i")

    def __init__(
        self, input_size: int, hidden_size: int, content: Content, learn_initial_state: bool, chrono: int | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, content, learn_initial_state)
        biases = self.biases()
        if chrono is None:
            nn.init.ones_(biases["f"])
        else:
            chrono_(chrono, biases["f"], biases["i"])

    def shares(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Returns f / (f + i) and i / (f + i), which stay finite where both gates are shut."""
        f, i = sums
        write = (logsigmoid(i) - logsigmoid(f)).sigmoid()
        return 1 - write, write
