"""A module that runs an average by the loop of its definition, and its benchmark case."""

from typing import cast

from torch import Tensor, nn

import architectures
from analysis.profile.cases import BenchmarkCase
from architectures import Encoder
from architectures.kernels.naive import naive_discounted_average
from architectures.rda import AveragingLayer


class NaiveAverage(nn.Module):
    """An RWA or RDA of one layer, with the weights of its encoder."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.layer = cast(AveragingLayer, encoder.get_submodule("layers.0"))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Returns (batch, time, units) for x: (batch, time, input_size)."""
        layer = self.layer
        h = naive_discounted_average(
            x,
            layer.weight_x.t(),
            layer.bias,
            layer.weight_h.t(),
            layer.initial_state(x)[0],
            attention=layer.attention,
            hidden_tanh=layer.hidden_tanh,
        )
        h = h.tanh() if layer.hidden_tanh else h
        return h.tanh() if layer.output_tanh else h, None


class NaiveCase(BenchmarkCase):
    """A benchmark case that runs the loop in place of the encoder."""

    def build(self) -> nn.Module:
        encoder = super().build()
        assert isinstance(encoder, architectures.Encoder)
        return NaiveAverage(encoder).train()
