"""The mLSTM, the xLSTM's cell with a matrix for a memory."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from architectures.heads import HeadNorm, choose_heads
from architectures.initialisation import make_linear
from architectures.kernels import INITIAL_LOG_DENOMINATOR
from architectures.kernels.gated_linear import stabilised_linear_attention
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.state import MLSTMState, State, StateSpec, TensorSpec


class MLSTM(ResidualEncoder):
    """Blocks whose memory is a matrix for each head, with an exponential input gate and a forget gate.

        C_t = f_t C_{t-1} + i_t v_t k_t^T        n_t = f_t n_{t-1} + i_t k_t
        h_t = o_t * norm( C_t q_t / max(|n_t . q_t|, 1) )
        i = exp(w_i x + b_i)        f = sigmoid(w_f x + b_f)        o = sigmoid(W_o x)        keys divided by sqrt(D)

    Gates see the input alone, and i and f are one number for each head. It is the RDA's average with signed weights
    that see the query.

    Source: Beck et al. 2024, arXiv 2405.04517, section 2.3, equations 19 to 27, and the gates' biases of its code: b_f
    from 3 to 6 over the heads, b_i from N(0, 0.1), weights of 0. The norm of a head is its root mean square. The
    wider projections and the convolution of the xLSTM's blocks are left out; as there, no feed-forward network follows.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: heads; by default the largest divisor of `hidden_size` up to 4, for heads of at least two units.
        feed: whether every block has a feed-forward network.
        dropout: rate behind mLSTM and feed-forward network.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_heads: int | None = None,
        feed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: MLSTMMixer(hidden_size, choose_heads(hidden_size, num_heads)),
        )

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which the memory is carried, and one for each block."""
        self.check_lag(lag)
        return lag + len(self.blocks)


class MLSTMMixer(Mixer):
    """The mLSTM. Its state is S = [C^T, n] times e^{-m}, and m, the running maximum of the gates' logarithms."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.qkv, self.output_gate = make_linear(size, size, maps=3), make_linear(size, size, bias=True)
        self.gates = make_linear(size, heads, maps=2, bias=True)
        self.norm, self.out = HeadNorm(size), make_linear(size, size)
        with torch.no_grad():
            nn.init.zeros_(self.gates.weight)
            i, f = self.gates.bias.chunk(2)
            nn.init.normal_(i, std=0.1)
            f.copy_(torch.linspace(3, 6, heads))

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Computes the memory and what is read of it.

        `seen` gets f and i relative to the maximum as retention and write, by head, the logarithms of both gates, and
        q, k, v, m as gates.
        """
        projected, gates = self.qkv(x), self.gates(x)
        with full_precision(x):
            q, k, v = at_least_single(projected).unflatten(2, (3, self.heads, -1)).unbind(2)
            k = k * (self.size // self.heads) ** -0.5
            log_i, f = at_least_single(gates).chunk(2, dim=2)
            log_f = logsigmoid(f)
            start = None
            if isinstance(state, tuple) and isinstance(state[0], Tensor) and isinstance(state[1], Tensor):
                start = state[0].to(v), state[1].to(v)
            read = stabilised_linear_attention(q, k, v, log_f, log_i, start)
            normed = self.norm(read.y)
        if seen is not None:
            first = read.m.new_full(read.m.shape, INITIAL_LOG_DENOMINATOR) if start is None else start[1]
            before = torch.cat([first.unsqueeze(1), read.all_m[:, :-1]], dim=1)
            parts = {name: part.flatten(2) for name, part in (("q", q), ("k", k), ("v", v))}
            seen |= {
                "retention": (log_f + before - read.all_m).exp(),
                "write": (log_i - read.all_m).exp(),
                "log_attention": log_i,
                "log_discount": log_f,
                "gates": {**parts, "m": read.all_m},
            }
        y = self.out(self.output_gate(x).sigmoid() * normed.to(projected.dtype))
        return y, MLSTMState(read.S, read.m)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, heads, size, size + 1) and (batch, heads), in single precision at least."""
        size = self.size // self.heads
        S, m = (
            TensorSpec(sizes=sizes, dtype=sum_dtype(x), device=x.device)
            for sizes in ((x.shape[0], self.heads, size, size + 1), (x.shape[0], self.heads))
        )
        return MLSTMState(S, m)

    def state_size(self, time: int) -> int:
        """Returns the size of S and m."""
        return self.size * (self.size // self.heads + 1) + self.heads
