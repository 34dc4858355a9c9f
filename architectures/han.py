"""The hierarchical attention encoder."""

from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from architectures.base import Encoder, check_dropout, eval_mode, state_dtype, typed_children
from architectures.heads import RMSNorm, choose_heads
from architectures.kernels.sliding_attention import apply_rotary, sliding_attention, sliding_weights
from architectures.limits import check_layers, check_reach, check_steps, check_width
from architectures.residual_attention import ResidualAttention, init_attention_, project_input
from architectures.state import LevelState, State, StateSpec, TensorSpec, iter_tensors
from architectures.trace import Trace

MAX_WINDOW = 100
"""The largest default window, the source's example; another level is added if the reach needs more."""


class HAN(Encoder):
    """Levels of attention, each looking at k outputs of the level below, spaced k^level apart.

        c^{l+1}_t = Attention(query(c^l_t); keys and values of { c^l_{t - j k^l} : j = 0 .. k-1 })

    L levels reach back exactly k^L steps, each of them along one path of L hops: the digits of its lag in base k.
    A level is pre-normalised attention with rotary positions floor(t / k^l), then a feed-forward network, each with a
    residual connection. The windows slide: every step has its own, and shifting the input shifts the output.

    Source: Culurciello 2018, "The fall of RNN / LSTM": modules that look at the recent past, say 100 vectors, under
    modules that look at 100 of those.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors at every level.
        window: outputs of the level below that a module looks at, k; by default the fewest that cover `reach`.
        num_layers: levels L; by default 2, or as many as it takes to cover `reach` with windows of at most 100.
        reach: steps to cover, unless both `window` and `num_layers` are given.
        num_heads: attention heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at
            least the two components that a rotary position turns.
        dropout: rate behind attention and feed-forward network.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        window: int | None = None,
        num_layers: int | None = None,
        reach: int = 1000,
        num_heads: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size)
        check_width(hidden_size=hidden_size)
        check_steps(reach=reach)
        check_dropout(dropout=dropout)
        num_heads = choose_heads(hidden_size, num_heads)
        self.window, num_layers = choose_window_and_levels(reach, window, num_layers)
        check_reach(self.window**num_layers, f"{num_layers} levels of windows of {self.window}")
        self.output_size = hidden_size
        self.project = nn.Linear(input_size, hidden_size)
        self.levels = nn.ModuleList(
            AttentionLevel(hidden_size, num_heads, self.window, self.window**level, dropout)
            for level in range(num_layers)
        )
        self.norm = RMSNorm(hidden_size)
        init_attention_(self)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the levels one upon another, each from its own state."""
        c, new_states = project_input(self.project, self.norm, x), []
        levels = typed_children(self.levels, AttentionLevel)
        for level, level_state in zip(levels, self._level_states(state), strict=True):
            c, new_state = level(c, level_state)
            new_states.append(new_state)
        return self.norm(c), tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with each level's attention in `maps`.

        `levels` holds the input of the first level, then the output of each.
        """
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            vectors, maps = [project_input(self.project, self.norm, x)], []
            levels = typed_children(self.levels, AttentionLevel)
            for level, level_state in zip(levels, self._level_states(state), strict=True):
                maps.append(level.attention_weights(vectors[-1], level_state))
                vectors.append(level(vectors[-1], level_state)[0])
            y = self.norm(vectors[-1])
        return Trace(y=y, maps=tuple(maps), levels=tuple(vectors))

    @property
    def receptive_field(self) -> int:
        """The k^L steps that L levels of windows k see."""
        return int(self.window ** len(self.levels))

    def path_length(self, lag: int) -> int:
        """Returns one hop a level, whatever the lag."""
        self.check_lag(lag)
        return len(self.levels)

    def state_size(self, time: int) -> int:
        """Returns the size of a key and a value for each step that a level can still look back to."""
        levels = typed_children(self.levels, AttentionLevel)
        return sum(2 * self.output_size * min(time, level.span) for level in levels)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be: (batch, steps, heads, size) for every level, twice."""

        def of(level: AttentionLevel) -> TensorSpec:
            sizes = x.shape[0], range(level.span + 1), level.heads, self.output_size // level.heads
            return TensorSpec(sizes=sizes, dtype=state_dtype(x), device=x.device)

        levels = typed_children(self.levels, AttentionLevel)
        return tuple(LevelState(keys=of(level), values=of(level)) for level in levels)

    def check(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> None:
        """Raises an error if x, lengths or state do not fit this encoder, or the levels of a state each other."""
        super().check(x, lengths, state)
        steps = [tensor.shape[1] for tensor in iter_tensors(state)]
        for index, level in enumerate(typed_children(self.levels, AttentionLevel) if steps else ()):
            if any(count != min(level.span, max(steps)) for count in steps[2 * index : 2 * index + 2]):
                raise ValueError(f"the state is not one of this encoder: its tensors hold {steps} steps")

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of levels L, and dropout.

        The window k is left out: it is the least with which L levels cover `reach`, which is set to the task's steps.

        L starts where windows of 100 are enough and goes up by two, for each level costs as much as the last. It stops
        where windows of 2 cover the steps: one more level would only look past the start. `None` stands for the default
        number of levels. Below 3 steps there is nothing to choose.
        """
        low = next(levels for levels in count(1) if MAX_WINDOW**levels >= time)
        high = next(levels for levels in count(low) if levels == low + 2 or 2**levels >= time)
        default = choose_window_and_levels(time, None, None)[1]
        others = [levels for levels in range(low, high + 1) if levels != default]
        levels = {"num_layers": [None, *others]} if high > low else {}
        return {**levels, "dropout": {"low": 0.0, "high": 0.5}}

    def _level_states(self, state: State) -> tuple[State, ...]:
        return state if isinstance(state, tuple) else (None,) * len(self.levels)


class AttentionLevel(ResidualAttention):
    """A level of the hierarchy: (batch, time, size) -> the same shape.

    Its state holds the keys and values of the steps that later steps can still see.
    """

    def __init__(self, size: int, heads: int, window: int, spacing: int, dropout: float) -> None:
        super().__init__(size, heads, dropout)
        self.window, self.spacing = window, spacing
        self.span = (window - 1) * spacing

    def forward(self, c: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the level's output, and the keys and values that later steps still need."""
        q, k, v = self.project_all(c, state)
        attended = sliding_attention(*self.rotate_positions(q, k), v, window=self.window, spacing=self.spacing)
        c = self.add_residuals(c, attended)
        first_visible = k.shape[1] - min(k.shape[1], self.span)
        return c, LevelState(k[:, first_visible:].clone(), v[:, first_visible:].clone())

    def attention_weights(self, c: Tensor, state: State) -> Tensor:
        """Returns the attention map, (batch, heads, time, window)."""
        q, k, _ = self.project_all(c, state)
        return sliding_weights(*self.rotate_positions(q, k), window=self.window, spacing=self.spacing)

    def project_all(self, c: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the queries of the steps of c, and the keys and values of these and of the steps in the state."""
        q, k, v = self.project_qkv(c)
        if isinstance(state, tuple):
            k, v = (torch.cat([past, new], dim=1) for past, new in zip(state, (k, v), strict=True))  # type: ignore[list-item]
        return q, k, v

    def rotate_positions(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Applies rotary positions floor(t / spacing), counted from the first query: only differences matter."""
        steps = torch.arange(q.shape[1] - k.shape[1], q.shape[1], device=q.device)
        positions = steps.div(self.spacing, rounding_mode="floor")
        return apply_rotary(q, positions[k.shape[1] - q.shape[1] :]), apply_rotary(k, positions)


def choose_window_and_levels(reach: int, window: int | None, num_layers: int | None) -> tuple[int, int]:
    """Returns the window k and the number of levels L; one that is not given is the smallest with k^L >= reach.

    With neither given there are at least 2 levels, and as many as windows of at most `MAX_WINDOW` need.
    """
    if window is not None:
        check_steps(window=window)
    if num_layers is not None:
        check_layers(num_layers=num_layers)
    if window is not None and num_layers is not None:
        return window, num_layers
    if window is not None:
        if window == 1 and reach > 1:
            raise ValueError(f"windows of 1 step never reach {reach} steps back; give a window of at least 2")
        num_layers = 1
        while window**num_layers < reach:
            num_layers += 1
        return window, num_layers
    if num_layers is None:
        num_layers = 2
        while MAX_WINDOW**num_layers < reach:
            num_layers += 1
    window = max(1, round(reach ** (1 / num_layers)) - 1)
    while window**num_layers < reach:
        window += 1
    return window, num_layers
