"""The retentive network, RetNet."""

import torch
from torch import Tensor
from torch.nn.functional import silu

from architectures.heads import HeadNorm, choose_heads
from architectures.initialisation import make_linear
from architectures.kernels.gated_linear import gated_linear_attention
from architectures.kernels.sliding_attention import apply_rotary
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.state import RetNetState, State, StateSpec, TensorSpec


class RetNet(ResidualEncoder):
    """Blocks of retention: linear attention with positions, and a discount that is constant, another for each head.

        S_t = gamma S_{t-1} + k_t v_t^T        y_t = S_t^T q_t        gamma_n = 1 - 2^{-5-n}, n = 0 .. heads - 1

    with queries and keys turned by angles proportional to their positions, keys divided by sqrt(D), and behind it the
    norm of every head and a gate: out = W_o (swish(W_g x) * norm(y)).

    Source: Sun et al. 2023, arXiv 2307.08621, section 2.1, equations 5 to 7, and 2.2, equation 8. The norm of a head is
    its root mean square, as in the authors' code; values have the width of keys.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at least the two
            components that a rotary position turns.
        feed: whether every block has a feed-forward network.
        dropout: rate behind retention and feed-forward network.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_heads: int | None = None,
        feed: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: RetentionMixer(hidden_size, choose_heads(hidden_size, num_heads)),
        )

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which the state is carried, and one for each block."""
        self.check_lag(lag)
        return lag + len(self.blocks)


class RetentionMixer(Mixer):
    """Retention. Its state is S, with keys turned by their distance to the next step, so that it needs no clock."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.qkv, self.gate = make_linear(size, size, maps=3), make_linear(size, size)
        self.norm, self.out = HeadNorm(size), make_linear(size, size)

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Computes retention; `seen` gets gamma as retention, a write of 1, and q, k, v as gates, not turned."""
        projected, time = self.qkv(x), x.shape[1]
        with full_precision(x):
            q, k, v = at_least_single(projected).unflatten(2, (3, self.heads, -1)).unbind(2)
            k = k * (self.size // self.heads) ** -0.5
            exponent = -5.0 - torch.arange(self.heads, dtype=v.dtype, device=v.device)
            log_gamma = torch.log1p(-exponent.exp2())
            # Counted from the first step: only differences matter.
            steps = torch.arange(time, device=x.device)
            start = state[0].to(v) if isinstance(state, tuple) and isinstance(state[0], Tensor) else None
            read = gated_linear_attention(apply_rotary(q, steps), apply_rotary(k, steps), v, log_gamma, start)
            S = self._turn_back(read.S, time)
            normed = self.norm(read.y)
        if seen is not None:
            retention = log_gamma.exp().expand(*v.shape[:3])
            gates = {name: part.flatten(2) for name, part in (("q", q), ("k", k), ("v", v))}
            seen |= {"retention": retention, "write": torch.ones_like(retention), "gates": gates}
        y = self.out(silu(self.gate(x)) * normed.to(projected.dtype))
        return y, RetNetState(S)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, heads, size, size), in single precision at least."""
        size = self.size // self.heads
        return RetNetState(TensorSpec(sizes=(x.shape[0], self.heads, size, size), dtype=sum_dtype(x), device=x.device))

    def state_size(self, time: int) -> int:
        """Returns the size of S."""
        return self.size * (self.size // self.heads)

    def _turn_back(self, S: Tensor, time: int) -> Tensor:
        """Returns S, (batch, heads, key, value), with its keys turned as the step after `time` steps sees them."""
        by_value = S.permute(0, 3, 1, 2)
        back = torch.full((by_value.shape[1],), -1, device=S.device) * time
        return apply_rotary(by_value, back).permute(0, 2, 3, 1)
