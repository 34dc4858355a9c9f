"""A stack of residual blocks, which the architectures share that mix the steps of a sequence without a loop over them.

    x = W input + b        x <- x + mixer(norm(x)),  x <- x + feed(norm(x))  in every block        y = norm(x)

The mixer is what an architecture is named after; the feed-forward network of a block may be left out. The order is that
of a pre-norm Transformer (Xiong et al. 2020, arXiv 2002.04745, section 3).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import dropout

from architectures.base import Encoder, check_dropout, eval_mode, typed_children
from architectures.heads import NORM_EPSILON, RMSNorm
from architectures.initialisation import make_linear
from architectures.limits import check_flag, check_layers, check_width
from architectures.state import State, StateSpec
from architectures.trace import Trace

Seen = dict[str, Any]
"""Fields of a `Trace` by name, which a mixer fills in while it computes. The field `maps` is a single map here."""


class Mixer(nn.Module, ABC):
    """The part of a residual block that takes one step's vector to later ones; it carries a state."""

    @abstractmethod
    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Returns what is added to the residual stream, (batch, time, size) as x is, and the state after it.

        Args:
            x: the normalised input.
            state: before the first step; `None` is the start.
            seen: is filled with the quantities of every step, if given.
        """

    @abstractmethod
    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be."""

    @abstractmethod
    def state_size(self, time: int) -> int:
        """Returns how many numbers the state of one sequence holds after `time` steps."""


class ResidualBlock(nn.Module):
    """A mixer and a feed-forward network, each behind a norm and with a residual connection."""

    def __init__(self, size: int, mixer: Mixer, feed: bool, dropout: float) -> None:
        super().__init__()
        self.mixer_norm, self.mixer, self.dropout = RMSNorm(size, eps=NORM_EPSILON), mixer, dropout
        self.feed_norm = RMSNorm(size, eps=NORM_EPSILON) if feed else None
        self.feed = (
            nn.Sequential(make_linear(size, 4 * size, bias=True), nn.GELU(), make_linear(4 * size, size, bias=True))
            if feed
            else None
        )

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Returns the block's output, (batch, time, size), and the mixer's state."""
        mixed, after = self.mixer(self.mixer_norm(x), state, seen)
        x = x + dropout(mixed, self.dropout, self.training)
        if self.feed is not None and self.feed_norm is not None:
            x = x + dropout(self.feed(self.feed_norm(x)), self.dropout, self.training)
        return x, after


class ResidualEncoder(Encoder):
    """Residual blocks one upon another, each with a mixer of its own.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks, and of the output.
        num_layers: blocks.
        dropout: rate behind mixers and feed-forward networks.
        feed: whether every mixer is followed by a feed-forward network of four times the width.
        make_mixer: makes the mixer of a block.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        feed: bool,
        make_mixer: Callable[[], Mixer],
    ) -> None:
        super().__init__(input_size)
        check_width(hidden_size=hidden_size)
        check_layers(num_layers=num_layers)
        check_dropout(dropout=dropout)
        check_flag(feed=feed)
        self.output_size = hidden_size
        self.project = make_linear(input_size, hidden_size, bias=True)
        self.blocks = nn.ModuleList(ResidualBlock(hidden_size, make_mixer(), feed, dropout) for _ in range(num_layers))
        self.norm = RMSNorm(hidden_size, eps=NORM_EPSILON)

    @property
    def mixers(self) -> list[Mixer]:
        """The mixers, lowest first."""
        return [block.mixer for block in typed_children(self.blocks, ResidualBlock)]

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the blocks one upon another, each from its own state."""
        stream, new_states = self._project_input(x), []
        for block, block_state in zip(typed_children(self.blocks, ResidualBlock), self._states(state), strict=True):
            stream, new_state = block(stream, block_state)
            new_states.append(new_state)
        return self.norm(stream), tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with that of every block in `layers`, and the vectors between blocks in `levels`."""
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            levels, layers, maps = [self._project_input(x)], [], []
            for block, block_state in zip(typed_children(self.blocks, ResidualBlock), self._states(state), strict=True):
                seen: Seen = {}
                output, _ = block(levels[-1], block_state, seen)
                levels.append(output)
                if (attention_map := seen.pop("maps", None)) is not None:
                    maps.append(attention_map)
                layers.append(Trace(y=output, **seen))
            y = self.norm(levels[-1])
        last = {name: getattr(layers[-1], name) for name in Trace.__slots__}
        attention = {"maps": tuple(maps), "spacings": (1,) * len(maps)} if maps else {}
        return Trace(**{**last, "y": y, "levels": tuple(levels), "layers": tuple(layers), **attention})

    def state_size(self, time: int) -> int:
        """Returns the size of the mixers' states."""
        return sum(mixer.state_size(time) for mixer in self.mixers)

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be: that of every mixer."""
        return tuple(mixer.state_spec(x) for mixer in self.mixers)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of blocks, and dropout."""
        return {"num_layers": {"low": 1, "high": 4}, "dropout": {"low": 0.0, "high": 0.5}}

    def _project_input(self, x: Tensor) -> Tensor:
        """Returns the input of the first block; under autocast, too, in the precision of the weights."""
        return self.project(x).to(self.norm.weight.dtype)  # type: ignore[no-any-return]

    def _states(self, state: State) -> tuple[State, ...]:
        return state if isinstance(state, tuple) else (None,) * len(self.blocks)
