"""The averages as a module that runs the loop of their definition."""

from typing import cast

from torch import Tensor, nn

import architectures
from analysis.profile.cases import BenchmarkCase
from architectures import Encoder
from architectures.kernels.naive import naive_discounted_average
from architectures.rda import AveragingLayer


class Naive(nn.Module):
    """An RWA or RDA of one layer, with the weights of its encoder."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.layer = cast(AveragingLayer, encoder.get_submodule("layers.0"))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """(batch, time, input_size) -> (batch, time, units)."""
        layer = self.layer
        h = naive_discounted_average(
            x,
            layer.weight_x.t(),
            layer.bias,
            layer.weight_h.t(),
            layer.start(x)[0],
            attention=layer.attention,
            hidden_tanh=layer.hidden_tanh,
        )
        h = h.tanh() if layer.hidden_tanh else h
        return h.tanh() if layer.output_tanh else h, None


class NaiveSubject(BenchmarkCase):
    """Times the loop in its encoder's place."""

    def build(self) -> nn.Module:
        encoder = super().build()
        assert isinstance(encoder, architectures.Encoder)
        return Naive(encoder).train()
