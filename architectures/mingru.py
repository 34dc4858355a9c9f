"""The minimal gated recurrent unit."""

from typing import Any

import torch
from torch import Tensor

from architectures.initialisation import chrono_, chrono_choices
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.scanned import Content, ScannedLayer
from architectures.state import MinGRUState


class MinGRU(RecurrentEncoder):
    """The GRU without its reset gate, without a tanh, and without h in its gate, so that all steps are one scan.

        z_t = sigmoid(W_z x_t + b_z)      n_t = W_n x_t + b_n      h_t = (1 - z_t) h_{t-1} + z_t n_t

    Source: Feng et al. 2024, "Were RNNs all we needed?", arXiv 2410.01201, section 3.1. With `content` positive, n_t is
    g(W_n x_t + b_n), g(v) = v + 1/2 from 0 on and sigmoid(v) below, as in their appendix B, which scans in logarithms
    for it; here both are scanned in the same way. The biases of z, which writes, start at -1, so that a unit retains as
    much as a GRU does at its start; the others at 0.

    With `chrono` T, the biases of z are drawn as -log U(1, T - 1) (Tallec and Ollivier 2018, arXiv 1804.11188).

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
            MinGRULayer, input_size, hidden_size, num_layers, content, learn_initial_state, chrono=chrono
        )
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the content, the options of every recurrent encoder, and chrono biases for spans of up to `time`."""
        return {"content": ["linear", "positive"], **super().search_space(time), **chrono_choices(time)}


class MinGRULayer(ScannedLayer):
    """A layer of the minGRU; its state is (h,)."""

    state_class = MinGRUState
    gates = ("z",)

    def __init__(
        self, input_size: int, hidden_size: int, content: Content, learn_initial_state: bool, chrono: int | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, content, learn_initial_state)
        z = self.biases()["z"]
        if chrono is None:
            z.fill_(-1)
        else:
            chrono_(chrono, torch.empty_like(z), z)

    def shares(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Returns 1 - z and z."""
        z = sums[0].sigmoid()
        return 1 - z, z
