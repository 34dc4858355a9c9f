"""Mamba-2."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from architectures.base import state_dtype
from architectures.heads import NORM_EPSILON, choose_heads
from architectures.initialisation import make_linear, xavier_
from architectures.kernels.convolution import TAPS
from architectures.kernels.gated_linear import gated_linear_attention
from architectures.kernels.rms_norm import rms_norm
from architectures.limits import check_width
from architectures.parameter_rules import ParameterRule
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.short_convolution import ShortConvolution
from architectures.state import Mamba2State, State, StateSpec, TensorSpec

EXPAND = 2
"""Width of the values, in widths of the residual stream."""
LEAST_STEP, LARGEST_STEP = 0.001, 0.1
"""Bounds of the steps dt at the start, log-uniform."""
LARGEST_RATE = 16.0
"""Upper bound of the rates A at the start, uniform from 1."""


class Mamba2(ResidualEncoder):
    """Blocks of a state space whose step, input and output depend on the input.

        [z, u, B, C, d] = W x        [u, B, C] <- silu(conv([u, B, C]))        dt = softplus(d + b)
        S_t = e^{-A dt_t} S_{t-1} + dt_t B_t u_t^T        y_t = S_t^T C_t + D u_t        out = W_o norm(y * silu(z))

    with a rate A, a step dt and a D for each head, and B and C that all heads share. Values u are twice as wide as the
    stream. B is the key, C the query, and the step both writes and forgets.

    Source: Dao and Gu 2024, arXiv 2405.21060, section 7 and figure 6 (the parallel block), with equation 16. At the
    start A is uniform from 1 to 16, the steps are log-uniform from 0.001 to 0.1, and D is 1; weight decay leaves these
    as they are.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: heads; by default the largest divisor of `hidden_size` up to 4, for heads of at least two units.
        num_states: components of B and C; by default as many as `hidden_size` has for each head.
        feed: whether every block has a feed-forward network.
        dropout: rate behind the state space and the feed-forward network.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_heads: int | None = None,
        num_states: int | None = None,
        feed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if num_states is not None:
            check_width(num_states=num_states)

        def make_mixer() -> Mixer:
            heads = choose_heads(hidden_size, num_heads)
            return Mamba2Mixer(hidden_size, heads, num_states or hidden_size // heads)

        super().__init__(input_size, hidden_size, num_layers, dropout, feed, make_mixer)

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which a state is carried, and one for each block.

        The convolution of a block takes an input up to three steps onward within its hop.
        """
        self.check_lag(lag)
        return max(0, lag - (TAPS - 1) * len(self.blocks)) + len(self.blocks)


class Mamba2Mixer(Mixer):
    """The state space. Its state is S, and the last inputs of the convolution."""

    def __init__(self, size: int, heads: int, num_states: int) -> None:
        super().__init__()
        self.heads, self.num_states, self.inner = heads, num_states, EXPAND * size
        self.channels = self.inner + 2 * num_states
        self.project = nn.Linear(size, self.inner + self.channels + heads, bias=False)
        xavier_(self.project.weight, size, self.inner)
        self.convolution = ShortConvolution(self.channels)
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, LARGEST_RATE).log())
        self.step_bias = nn.Parameter(draw_step_bias(heads))
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm_weight = nn.Parameter(torch.ones(self.inner))
        self.out = make_linear(self.inner, size)
        # As in the authors' code: decay would drive rates and steps to those of other spans.
        self.parameter_rules = dict.fromkeys(("log_rate", "step_bias", "skip"), ParameterRule(decay=False))

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Runs the state space; `seen` gets e^{-A dt} and dt as retention and write, by head, and the rest as gates."""
        projected = self.project(x)
        S, past = state if isinstance(state, tuple) else (None, None)
        with full_precision(x):
            z, inputs, d = at_least_single(projected).split([self.inner, self.channels, self.heads], dim=2)
            convolved, past = self.convolution(inputs, past)
            u, B, C = convolved.split([self.inner, self.num_states, self.num_states], dim=2)
            u, B, C = u.unflatten(2, (self.heads, -1)), B.unsqueeze(2), C.unsqueeze(2)
            step = softplus(d + self.step_bias)
            log_kept = -self.log_rate.exp() * step
            start = S.to(u) if isinstance(S, Tensor) else None
            read = gated_linear_attention(C, B, u, log_kept, start, write=step)
            y = torch.addcmul(read.y, self.skip.unsqueeze(1), u).flatten(2)
            y = rms_norm(y * silu(z), self.norm_weight, NORM_EPSILON)
        if seen is not None:
            gates = {"u": u.flatten(2), "B": B.flatten(2), "C": C.flatten(2), "dt": step, "z": z}
            seen |= {"retention": log_kept.exp(), "write": step, "gates": gates}
        return self.out(y.to(projected.dtype)), Mamba2State(read.S, past.to(state_dtype(x) or past.dtype))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, heads, states, size of a value) in single precision at least, and (batch, 3, channels)."""
        S = TensorSpec(
            sizes=(x.shape[0], self.heads, self.num_states, self.inner // self.heads),
            dtype=sum_dtype(x),
            device=x.device,
        )
        inputs = TensorSpec(sizes=(x.shape[0], TAPS - 1, self.channels), dtype=state_dtype(x), device=x.device)
        return Mamba2State(S, inputs)

    def state_size(self, time: int) -> int:
        """Returns the size of S and of three inputs of the convolution."""
        return self.num_states * self.inner + (TAPS - 1) * self.channels


def draw_step_bias(heads: int) -> Tensor:
    """Returns biases (heads,) whose softplus is log-uniform between the bounds of a step."""
    step = torch.empty(heads).uniform_(math.log(LEAST_STEP), math.log(LARGEST_STEP)).exp()
    # The inverse of softplus.
    return step + (-(-step).expm1()).log()
