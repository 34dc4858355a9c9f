"""Linear attention."""

import torch
from torch import Tensor
from torch.nn.functional import elu

from architectures.heads import choose_heads
from architectures.initialisation import make_linear
from architectures.kernels.gated_linear import linear_attention
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.state import LinearAttentionState, State, StateSpec, TensorSpec


class LinearAttention(ResidualEncoder):
    """Blocks of attention whose weights are products of positive queries and keys, so that a sum is all their state.

        y_t = sum_{i <= t} (phi(q_t) . phi(k_i)) v_i / sum_{i <= t} phi(q_t) . phi(k_i)        phi(x) = elu(x) + 1

    It keeps all that it has read, and sees no positions: an RWA whose weights see the query.

    Source: Katharopoulos et al. 2020, arXiv 2006.16236, section 3, equations 7 and 9 to 12.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: heads; by default the largest divisor of `hidden_size` up to 4, for heads of at least two units.
        feed: whether every block has a feed-forward network.
        dropout: rate behind attention and feed-forward network.
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
            lambda: LinearAttentionMixer(hidden_size, choose_heads(hidden_size, num_heads)),
        )

    def path_length(self, lag: int) -> int:
        """Returns one hop a block, whatever the lag: nothing happens to a sum on the way."""
        self.check_lag(lag)
        return len(self.blocks)


class LinearAttentionMixer(Mixer):
    """Linear attention; its state is the sum S of phi(k) [v, 1]^T."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.qkv, self.out = make_linear(size, size, maps=3), make_linear(size, size)

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Computes the averages; `seen` gets phi(q), phi(k) and v as gates, and a retention and write of 1 by head."""
        projected = self.qkv(x)
        with full_precision(x):
            q, k, v = at_least_single(projected).unflatten(2, (3, self.heads, -1)).unbind(2)
            q, k = elu(q) + 1, elu(k) + 1
            start = state[0].to(v) if isinstance(state, tuple) and isinstance(state[0], Tensor) else None
            read = linear_attention(q, k, v, start)
        if seen is not None:
            ones = torch.ones_like(v[..., 0])
            gates = {name: part.flatten(2) for name, part in (("q", q), ("k", k), ("v", v))}
            seen |= {"retention": ones, "write": ones, "gates": gates}
        y = self.out(read.y.flatten(2).to(projected.dtype))
        return y, LinearAttentionState(read.S)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, heads, size, size + 1), in single precision at least."""
        size = self.size // self.heads
        sizes = x.shape[0], self.heads, size, size + 1
        return LinearAttentionState(TensorSpec(sizes=sizes, dtype=sum_dtype(x), device=x.device))

    def state_size(self, time: int) -> int:
        """Returns the size of S."""
        return self.size * (self.size // self.heads + 1)
