"""The gated DeltaNet."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from architectures.base import state_dtype
from architectures.heads import HeadNorm, choose_heads
from architectures.initialisation import make_linear
from architectures.kernels.convolution import TAPS
from architectures.kernels.delta_rule import gated_delta_rule
from architectures.limits import check_flag
from architectures.mamba2 import LARGEST_RATE, draw_step_bias
from architectures.parameter_rules import ParameterRule
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.short_convolution import ShortConvolution
from architectures.state import GatedDeltaNetState, State, StateSpec, TensorSpec

SHORTEST_SQUARE = 1e-6
"""Added to the square of a key's length, by whose root it is divided: at 0, which SiLU makes likely, the gradient of
the direction would else be as large as numbers get."""


class GatedDeltaNet(ResidualEncoder):
    """Blocks whose memory forgets by a gate, and erases what a key held before it writes the key's new value.

        S_t = a_t (S_{t-1} - b_t k_t (k_t^T S_{t-1})) + b_t k_t v_t^T        y_t = S_t^T q_t
        a = e^{-A softplus(w x + d)}        b = sigmoid(w_b x)        out = W_o (norm(y) * silu(W_g x))

    Queries, keys and values are linear maps behind a short convolution and SiLU; queries and keys then have unit
    length, and queries are divided by sqrt(D). With `negative` b is twice the sigmoid: what a key held may be written
    back with the other sign, which a recurrence needs to count modulo two.

    Source: Yang et al. 2024, arXiv 2412.06464, section 3, equation 10 and figure 1; `negative` is Grazzi et al. 2024,
    arXiv 2411.12537, section 4. At the start A and the steps are drawn as those of Mamba-2, without weight decay as
    there: A from U(1, 16), where the authors' code (NVlabs/GatedDeltaNet) has U(0, 16). Keys and values have the width
    of the stream; in that code, by default, 0.75 and 1.5 times its width.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: heads; by default the largest divisor of `hidden_size` up to 4, for heads of at least two units.
        negative: whether b reaches from 0 to 2, so that the state's eigenvalues may be negative.
        feed: whether every block has a feed-forward network.
        dropout: rate behind the delta rule and the feed-forward network.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_heads: int | None = None,
        negative: bool = False,
        feed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        check_flag(negative=negative)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: DeltaMixer(hidden_size, choose_heads(hidden_size, num_heads), negative),
        )

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which the memory is carried, and one for each block.

        The convolution of a block takes an input up to three steps onward within its hop.
        """
        self.check_lag(lag)
        return max(0, lag - (TAPS - 1) * len(self.blocks)) + len(self.blocks)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the sign of the eigenvalues, the number of blocks, and dropout."""
        return {"negative": [False, True], **super().search_space(time)}


class DeltaMixer(Mixer):
    """The gated delta rule. Its state is S, and the last inputs of the convolution."""

    def __init__(self, size: int, heads: int, negative: bool) -> None:
        super().__init__()
        self.size, self.heads, self.negative = size, heads, negative
        self.qkv, self.gate = make_linear(size, size, maps=3), make_linear(size, size)
        # The step by which a head forgets, and the share that it replaces.
        self.rates = make_linear(size, heads, maps=2)
        self.convolution = ShortConvolution(3 * size, bias=False)
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, LARGEST_RATE).log())
        self.step_bias = nn.Parameter(draw_step_bias(heads))
        self.norm, self.out = HeadNorm(size), make_linear(size, size)
        self.parameter_rules = dict.fromkeys(("log_rate", "step_bias"), ParameterRule(decay=False))

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Runs the delta rule; `seen` gets a and b as retention and write, by head, and q, k, v as gates.

        What is kept of the value of the step's own key is a (1 - b).
        """
        projected, rates = self.qkv(x), self.rates(x)
        S, past = state if isinstance(state, tuple) else (None, None)
        with full_precision(x):
            convolved, past = self.convolution(at_least_single(projected), past)
            q, k, v = convolved.unflatten(2, (3, self.heads, -1)).unbind(2)
            q, k = unit_length(q) / math.sqrt(self.size // self.heads), unit_length(k)
            d, replaced = at_least_single(rates).chunk(2, dim=2)
            log_kept = -self.log_rate.exp() * softplus(d + self.step_bias)
            b = (2.0 if self.negative else 1.0) * replaced.sigmoid()
            read = gated_delta_rule(q, k, v, log_kept, b, S.to(v) if isinstance(S, Tensor) else None)
            normed = self.norm(read.y)
        if seen is not None:
            gates = {name: part.flatten(2) for name, part in (("q", q), ("k", k), ("v", v))}
            seen |= {"retention": log_kept.exp(), "write": b, "gates": gates}
        y = self.out(silu(self.gate(x)) * normed.to(projected.dtype))
        return y, GatedDeltaNetState(read.S, past.to(state_dtype(x) or past.dtype))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, heads, size, size) in single precision at least, and (batch, 3, channels)."""
        size = self.size // self.heads
        S = TensorSpec(sizes=(x.shape[0], self.heads, size, size), dtype=sum_dtype(x), device=x.device)
        inputs = TensorSpec(sizes=(x.shape[0], TAPS - 1, 3 * self.size), dtype=state_dtype(x), device=x.device)
        return GatedDeltaNetState(S, inputs)

    def state_size(self, time: int) -> int:
        """Returns the size of S and of three inputs of the convolution."""
        return self.size * (self.size // self.heads) + (TAPS - 1) * 3 * self.size


def unit_length(x: Tensor) -> Tensor:
    """Returns vectors along the last dimension, divided by their lengths."""
    return x * (x.square().sum(-1, keepdim=True) + SHORTEST_SQUARE).rsqrt()
