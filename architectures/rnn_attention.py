"""Attention over the outputs of a recurrent encoder."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from architectures.base import Encoder, padding_mask, state_dtype
from architectures.initialisation import xavier_
from architectures.kernels import INITIAL_LOG_DENOMINATOR
from architectures.limits import check_width, quote
from architectures.nesting import build_base
from architectures.precision import full_precision
from architectures.running_softmax import empty_average, log_denominators, running_average
from architectures.state import AttentionState, State, StateSpec, TensorSpec
from architectures.trace import Trace

Context = Literal["moving", "whole"]


class RNNAttention(Encoder):
    """An encoder of the catalogue, and attention over its outputs y_t, whose average r_t is put out beside them.

        p_t = v . tanh(W y_t + b)        r_t = sum_{i <= t} exp(p_i) y_i / sum_{i <= t} exp(p_i)        [y_t, r_t]

    with a v for each head, which averages its share of the units. Nothing is fed back. With `context` whole there is
    one context vector for a sequence, that of its last step, and every step gets it: the encoder is then not causal.

    Source: Ostmeyer 2017, "Rethinking Recurrent Neural Networks", paragraphs 3 and 4: attention over an RNN's outputs,
    static or as a moving average. The moving one is that of Feng et al. 2024, arXiv 2405.13956 ("Aaren").

    Args:
        input_size: features a step.
        hidden_size: units of the encoder below; the output has twice as many.
        base: name of the encoder below, a causal one of the catalogue.
        context: moving, the average of all steps so far, or whole, of all steps of the sequence.
        num_layers: layers of the encoder below; by default as many as it has itself.
        num_heads: weights of a step, each for its share of the units.
        dropout: rate in the encoder below.
        reach: steps that the encoder below is to cover, if its reach is finite.
        base_options: other options of the encoder below, by name.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        base: str = "lstm",
        context: Context = "moving",
        num_layers: int | None = None,
        num_heads: int = 1,
        dropout: float = 0.0,
        reach: int = 1000,
        base_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(input_size)
        check_width(num_heads=num_heads)
        if context not in ("moving", "whole"):
            raise ValueError(f"context must be moving or whole, not {quote(context)}")
        self.base = build_base(base, input_size, hidden_size, num_layers, dropout, reach, base_options)
        units = self.base.output_size
        if units % num_heads:
            raise ValueError(f"{units} units of {base} cannot be divided among {num_heads} heads")
        self.causal = context == "moving"
        self.num_heads, self.output_size = num_heads, 2 * units
        self.hidden, self.score = nn.Linear(units, units), nn.Linear(units, num_heads, bias=False)
        xavier_(self.hidden.weight, units, units)
        nn.init.zeros_(self.hidden.bias)
        xavier_(self.score.weight, units, num_heads)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the encoder below, then averages its outputs."""
        start, base_state = self._split_state(state)
        y, base_after = self.base(x, base_state)
        with full_precision(y):
            logits, values = self._logits_and_values(y)
            if not self.causal:
                context = self._whole_context(logits, values, lengths)
                return self._join(y, context.unsqueeze(1).expand_as(values)), None
            average, r, l = running_average(logits, values, self._start(values, start))
        return self._join(y, average), (self._state(x, r.flatten(1), l), *base_after)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns the trace of the attention, a running average without a discount, with that of the layers below.

        Its content is y. With `context` whole, the average after the last step is that which is put out, and what lies
        behind a sequence's length is not written.
        """
        x = self.prepare(x, lengths, state)
        start, base_state = self._split_state(state)
        below = self.base.trace(x, base_state)
        with full_precision(below.y):
            logits, values = self._logits_and_values(below.y)
            r_start, l_start = self._start(values, start)
            if not self.causal:
                logits = self._without_padding(logits, lengths)
                logits = logits.clamp_min(INITIAL_LOG_DENOMINATOR)
            average, _, _ = running_average(logits, values, (r_start, l_start))
            l = log_denominators(logits, l_start)
        p, l, write = (self._of_units(part, below.y) for part in (logits, l, torch.exp(logits - l)))
        read = average if self.causal else average[:, -1:].expand_as(average)
        own = Trace(
            y=self._join(below.y, read),
            retention=1 - write,
            write=write,
            content=below.y,
            log_attention=p,
            log_discount=torch.zeros_like(p),
            gates={"r": average.flatten(2).to(below.y.dtype), "l": l},
        )
        return Trace(
            **{name: getattr(own, name) for name in Trace.__slots__ if name != "layers"},
            layers=(*(below.layers or (below,)), own),
        )

    def path_length(self, lag: int) -> int:
        """Returns the fewest hops: through the encoder below, or through the average of its outputs."""
        self.check_lag(lag)
        field = self.base.receptive_field
        through_average = self.base.path_length(0) + 1
        return (
            through_average if field is not None and lag >= field else min(self.base.path_length(lag), through_average)
        )

    def state_size(self, time: int) -> int:
        """Returns the state of the encoder below, with r and l; for `context` whole, the whole sequence."""
        if not self.causal:
            return time * self.input_size
        return self.base.state_size(time) + self.base.output_size + self.num_heads

    def state_spec(self, x: Tensor) -> StateSpec | None:
        """Returns what a state for a batch like x has to be: that of the average, then those of the layers below."""
        below = self.base.state_spec(x) if self.causal else None
        if not isinstance(below, tuple):
            return None
        r, l = (
            TensorSpec(sizes=(len(x), size), dtype=state_dtype(x), device=x.device)
            for size in (self.base.output_size, self.num_heads)
        )
        return (AttentionState(r, l), *below)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of layers below: as many as it has itself, or two."""
        return {"num_layers": [None, 2]}

    def _logits_and_values(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns p (batch, time, heads) and y (batch, time, heads, size), at least in single precision."""
        p = self.score(self.hidden(y.to(self.hidden.weight.dtype)).tanh())
        kind = torch.promote_types(y.dtype, torch.float32)
        return p.to(kind), y.to(kind).unflatten(2, (self.num_heads, -1))

    def _split_state(self, state: State) -> tuple[State, State]:
        """Returns the parts of a state that are the average's, and of the encoder below."""
        if state is None:
            return None, None
        if not self.causal:
            raise ValueError("attention to the whole cannot resume from a state: pass the whole sequence at once")
        assert isinstance(state, tuple)
        return state[0], state[1:]

    def _start(self, values: Tensor, state: State) -> tuple[Tensor, Tensor]:
        if not isinstance(state, tuple):
            return empty_average(values)
        r, l = state
        assert isinstance(r, Tensor)
        assert isinstance(l, Tensor)
        return r.to(values.dtype).unflatten(1, (self.num_heads, -1)), l.to(values.dtype)

    def _state(self, x: Tensor, r: Tensor, l: Tensor) -> AttentionState:
        kind = state_dtype(x) or r.dtype
        return AttentionState(r.to(kind), l.to(kind))

    def _without_padding(self, logits: Tensor, lengths: Tensor | None) -> Tensor:
        """Returns logits of -inf behind the lengths; of a sequence without steps, the first one counts."""
        if lengths is None:
            return logits
        return logits.masked_fill(padding_mask(logits, lengths.clamp(min=1)).unsqueeze(2), -torch.inf)

    def _whole_context(self, logits: Tensor, values: Tensor, lengths: Tensor | None) -> Tensor:
        """Returns the average over each sequence, (batch, heads, size)."""
        weights = self._without_padding(logits, lengths).softmax(1)
        return (weights.unsqueeze(3) * values).sum(1)

    def _join(self, y: Tensor, context: Tensor) -> Tensor:
        return torch.cat([y, context.flatten(2).to(y.dtype)], dim=2)

    def _of_units(self, part: Tensor, y: Tensor) -> Tensor:
        """Returns what heads have, (batch, time, heads), unit by unit: (batch, time, units)."""
        return part.repeat_interleave(self.base.output_size // self.num_heads, dim=2).to(y.dtype)
