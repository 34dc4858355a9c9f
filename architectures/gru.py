"""The gated recurrent unit."""

from typing import Any

import torch
from torch import Tensor, nn

from architectures.initialisation import chrono_, chrono_choices
from architectures.kernels import run
from architectures.recurrent import Recurrent, TorchLayer, stacked
from architectures.trace import Trace


class GRU(Recurrent):
    """h_t = z_t h_{t-1} + (1 - z_t) n_t, with the reset gate behind the recurrent product, as cuDNN has it
    (Cho et al. 2014, arXiv 1406.1078v1, section 2.3, whose z this is). Biases start at 0.

    With `chrono` T, those of z, which retains, are drawn as log U(1, T - 1) (Tallec and Ollivier 2018, arXiv
    1804.11188); the write 1 - z follows of itself.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
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
    ) -> None:
        layers = stacked(GRULayer, input_size, hidden_size, num_layers, learn_initial_state, chrono)
        super().__init__(input_size, layers, hidden_size, dropout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """As every recurrent encoder, and chrono biases for spans up to the sequence's."""
        return {**super().search_space(time), **chrono_choices(time)}


class GRULayer(TorchLayer):
    """One layer; it carries h."""

    carried = 1
    blocks = 3

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool, chrono: int | None = None) -> None:
        super().__init__(nn.GRU, input_size, hidden_size, learn_initial_state)
        if chrono is not None:
            # PyTorch keeps two biases that add up; the other one stays 0.
            _, z, _ = self.core.get_parameter("bias_ih_l0").detach().chunk(self.blocks)
            chrono_(chrono, z)

    def compiled(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor] | None:
        weight_x, weight_h, bias_x, bias_h = self.core.parameters()
        (r, z, n), (b_r, b_z, b_n), (c_r, c_z, c_n) = (value.chunk(3) for value in (weight_x, bias_x, bias_h))
        # The kernel has n's two products apart: what depends on x first, and, among the gates, U h + c without it.
        columns = torch.cat([n, r, z, torch.zeros_like(n)]).t()
        found = run("gru", x, columns, torch.cat([b_n, b_r + c_r, b_z + c_z, c_n]), weight_h.t(), h.unsqueeze(0))
        return None if found is None else (found[0], found[1][0])

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """The gates r and z; n is the content."""
        y, _ = self(x, state)
        (fed_r, fed_z, fed_n), (back_r, back_z, back_n) = self.products(x, y, state[0])
        r, z = (fed_r + back_r).sigmoid(), (fed_z + back_z).sigmoid()
        n = (fed_n + r * back_n).tanh()
        return Trace(y=y, retention=z, write=1 - z, content=n, gates={"r": r, "z": z})
