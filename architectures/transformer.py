"""The Transformer, with positions or with gates that forget."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from architectures.base import state_dtype
from architectures.heads import choose_heads
from architectures.initialisation import make_linear
from architectures.kernels import INITIAL_LOG_DENOMINATOR
from architectures.kernels.causal_attention import causal_attention, causal_weights, sum_logarithms
from architectures.kernels.sliding_attention import apply_rotary, sliding_attention, sliding_weights
from architectures.limits import MAX_STEPS, check_reach, check_steps
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.running_softmax import trace_discounted_average
from architectures.state import FoXState, State, StateSpec, TensorSpec, TransformerState, iter_tensors

MAX_MAPPED_STEPS = 2048
"""Keys up to which a trace has attention maps: they take memory of the keys times the queries."""


class Transformer(ResidualEncoder):
    """Blocks of causal attention to all steps so far, or to a window, and a feed-forward network.

        y_t = sum_i softmax_i( (R_t q_t) . (R_i k_i) / sqrt(D) ) v_i , i = max(0, t - window + 1) .. t

    R_t turns pairs of components by angles proportional to t, so that attention sees how far back a step lies. Queries,
    keys and values have no biases.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2, equation 1, with the norm in front (Xiong et al. 2020,
    arXiv 2002.04745) and rotary positions (Su et al. 2021, arXiv 2104.09864, section 3.4.2). The window is that of
    Beltagy et al. 2020, arXiv 2004.05150, section 3.1.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: attention heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at
            least the two components that a rotary position turns.
        window: steps that a block looks at, the present one included; by default all so far.
        feed: whether every block has a feed-forward network.
        dropout: rate behind attention and feed-forward network.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_heads: int | None = None,
        window: int | None = None,
        feed: bool = True,
        dropout: float = 0.0,
    ) -> None:
        if window is not None:
            check_steps(window=window)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: AttentionMixer(hidden_size, choose_heads(hidden_size, num_heads), window),
        )
        self.window = window
        if window is not None:
            check_reach(num_layers * (window - 1) + 1, f"{num_layers} layers with windows of {window}")

    @property
    def receptive_field(self) -> int | None:
        """The n (w - 1) + 1 steps that n blocks with windows of w see; unbounded without a window."""
        return None if self.window is None else len(self.blocks) * (self.window - 1) + 1

    def path_length(self, lag: int) -> int:
        """Returns one hop a block, whatever the lag."""
        self.check_lag(lag)
        return len(self.blocks)

    def check(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> None:
        """Raises an error if x, lengths or state do not fit this encoder, or the parts of a state each other."""
        super().check(x, lengths, state)
        check_same_steps(state)


class FoX(ResidualEncoder):
    """The forgetting transformer: causal attention in which gates discount the past.

        y_t = sum_i softmax_{i <= t}( q_t . k_i / sqrt(D) + sum_{i < j <= t} log f_j ) v_i        f = sigmoid(w x + b)

    with a gate f for each head, in place of positions. With queries of 0 it is the RDA's average, whose attention is
    constant and whose discount is f.

    Source: Lin et al. 2025, arXiv 2503.02130, section 3, equations 5 to 9, without what its "Pro" block adds: a gate
    and a norm of the output, norms of queries and keys, and shifts of keys and values that depend on the data. Biases
    b start at 1, as those of all forget gates here; in the authors' code at 0.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_heads: attention heads, each with a gate; by default the largest divisor of `hidden_size` up to 4, for heads
            of at least two units.
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
            lambda: ForgettingMixer(hidden_size, choose_heads(hidden_size, num_heads)),
        )

    def path_length(self, lag: int) -> int:
        """Returns one hop a block, whatever the lag."""
        self.check_lag(lag)
        return len(self.blocks)

    def check(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> None:
        """Raises an error if x, lengths or state do not fit this encoder, or the parts of a state each other."""
        super().check(x, lengths, state)
        check_same_steps(state)


class AttentionMixer(Mixer):
    """Causal attention with rotary positions. Its state holds the keys and values that later steps can still see."""

    def __init__(self, size: int, heads: int, window: int | None) -> None:
        super().__init__()
        self.size, self.heads, self.window = size, heads, window
        self.qkv, self.out = make_linear(size, size, maps=3), make_linear(size, size)

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Computes attention; `seen` gets the map, and queries, keys and values as gates."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).unbind(2)
        if seen is not None:
            seen["gates"] = {name: part.flatten(2) for name, part in (("q", q), ("k", k), ("v", v))}
        if isinstance(state, tuple):
            k, v = (torch.cat([past, new], dim=1) for past, new in zip(state, (k, v), strict=True))  # type: ignore[list-item]
        # Counted from the first query: only differences matter.
        steps = torch.arange(q.shape[1] - k.shape[1], q.shape[1], device=q.device)
        turned_q, turned_k = apply_rotary(q, steps[k.shape[1] - q.shape[1] :]), apply_rotary(k, steps)
        if self.window is None or self.window >= k.shape[1]:
            attended = causal_attention(turned_q, turned_k, v)
        else:
            attended = sliding_attention(turned_q, turned_k, v, window=self.window, spacing=1)
        if seen is not None and k.shape[1] <= MAX_MAPPED_STEPS:
            seen["maps"] = (
                causal_weights(turned_q, turned_k)
                if self.window is None
                else sliding_weights(turned_q, turned_k, window=min(self.window, k.shape[1]), spacing=1)
            )
        first = 0 if self.window is None else k.shape[1] - min(k.shape[1], self.window - 1)
        return self.out(attended.flatten(2)), TransformerState(_kept(k, first), _kept(v, first))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, steps, heads, size) for keys and values."""
        return TransformerState(*[_cache_spec(x, self.heads, self.size // self.heads, self.window)] * 2)

    def state_size(self, time: int) -> int:
        """Returns the size of a key and a value for each step that can still be seen."""
        return 2 * self.size * (time if self.window is None else min(time, self.window - 1))


class ForgettingMixer(Mixer):
    """Causal attention with forget gates.

    Its state holds all keys and values, and for each of them the sum of log f over the steps behind it.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.qkv, self.out = make_linear(size, size, maps=3), make_linear(size, size)
        self.gate = make_linear(size, heads, bias=True)
        nn.init.ones_(self.gate.bias)

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Computes attention; `seen` gets the map, the average that it would be without queries, and q, k, v as gates.

        Its retention and write are those of an RDA with log a = 0 and log gamma = log f, by head.
        """
        projected, gate = self.qkv(x), self.gate(x)
        with full_precision(x):
            q, k, v = at_least_single(projected).unflatten(2, (3, self.heads, -1)).unbind(2)
            log_f = logsigmoid(at_least_single(gate))
            forgotten = sum_logarithms(log_f)
            if seen is not None:
                _trace_average(seen, log_f, state, {"q": q, "k": k, "v": v})
            if isinstance(state, tuple):
                past_k, past_v, log_kept = state
                assert isinstance(log_kept, Tensor)
                k, v = (torch.cat([past.to(new), new], dim=1) for past, new in ((past_k, k), (past_v, v)))  # type: ignore[union-attr]
                forgotten = torch.cat([-log_kept.to(forgotten), forgotten], dim=1)
            attended = causal_attention(q, k, v, forgotten)
            if seen is not None and k.shape[1] <= MAX_MAPPED_STEPS:
                seen["maps"] = causal_weights(q, k, forgotten.to(k))
            log_kept = forgotten[:, -1:] - forgotten
        y = self.out(attended.flatten(2).to(projected.dtype))
        kind = state_dtype(x) or k.dtype
        log_kept = log_kept.to(device=x.device, dtype=sum_dtype(x) or k.dtype)
        return y, FoXState(_kept(k.to(kind)), _kept(v.to(kind)), log_kept)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, steps, heads, size) for keys and values, and (batch, steps, heads) for the sums."""
        cache = _cache_spec(x, self.heads, self.size // self.heads, None)
        sums = TensorSpec(sizes=cache.sizes[:3], dtype=sum_dtype(x), device=cache.device)
        return FoXState(keys=cache, values=cache, log_kept=sums)

    def state_size(self, time: int) -> int:
        """Returns the size of a key and a value, and a number for each head, for each step."""
        return time * (2 * self.size + self.heads)


def check_same_steps(state: State) -> None:
    """Raises an error if the parts of a state hold different numbers of past steps."""
    steps = [tensor.shape[1] for tensor in iter_tensors(state)]
    if len(set(steps)) > 1:
        raise ValueError(f"the state is not one of this encoder: its tensors hold {steps} steps")


def _trace_average(seen: Seen, log_f: Tensor, state: State, parts: dict[str, Tensor]) -> None:
    """Fills in what the average of all values would be that the gates alone weigh."""
    start = torch.full_like(log_f[:, 0], INITIAL_LOG_DENOMINATOR)
    if isinstance(state, tuple) and isinstance(state[2], Tensor) and state[2].shape[1]:
        start = at_least_single(state[2]).logsumexp(1)
    seen |= trace_discounted_average(torch.zeros_like(log_f), log_f, start)
    seen["gates"] |= {"f": log_f.exp(), **{name: part.flatten(2) for name, part in parts.items()}}


def _kept(cache: Tensor, first: int = 0) -> Tensor:
    """Returns the steps from `first` on, in memory of their own."""
    return cache[:, first:].clone(memory_format=torch.contiguous_format)


def _cache_spec(x: Tensor, heads: int, size: int, window: int | None) -> TensorSpec:
    steps = range(MAX_STEPS if window is None else window)
    return TensorSpec(sizes=(x.shape[0], steps, heads, size), dtype=state_dtype(x), device=x.device)
