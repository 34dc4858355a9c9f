"""The temporal convolutional network."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, dropout
from torch.nn.utils.parametrizations import weight_norm

from architectures.base import Encoder, evaluating, positive, probability, typed
from architectures.state import State
from architectures.trace import Trace


class TCN(Encoder):
    """Residual blocks of two causal convolutions each, dilated by 2^level (Bai, Kolter and Koltun 2018,
    arXiv 1803.01271, section 3): convolution, weight norm, ReLU, dropout, twice; beside it the identity, or a 1x1
    convolution where the widths differ; ReLU of their sum. Weights start as N(0, 0.01).

    With kernels of k taps, n blocks see 1 + 2 (k - 1)(2^n - 1) steps.

    Args:
        input_size: features a step.
        hidden_size: channels a block.
        kernel_size: taps k of each convolution, at least 2.
        num_layers: blocks n; by default the fewest that cover `reach`.
        reach: steps to cover where `num_layers` is not given.
        dropout: rate behind each convolution.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kernel_size: int = 7,
        num_layers: int | None = None,
        reach: int = 1000,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size)
        positive(hidden_size=hidden_size, reach=reach)
        probability(dropout=dropout)
        if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 2:
            raise ValueError(f"kernel_size must be a whole number of at least 2, not {kernel_size!r}")
        if num_layers is None:
            num_layers = 1
            while field(kernel_size, num_layers) < reach:
                num_layers += 1
        positive(num_layers=num_layers)
        self.kernel_size, self.output_size = kernel_size, hidden_size
        self.blocks = nn.ModuleList(
            Block(input_size if level == 0 else hidden_size, hidden_size, kernel_size, 2**level, dropout)
            for level in range(num_layers)
        )

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        levels, stop = self._levels(x, state)
        return levels[-1], stop

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """`levels` holds the input, then the output of every block."""
        self.check(x, lengths)
        with evaluating(self):
            levels, _ = self._levels(x, state)
        return Trace(y=levels[-1], levels=tuple(levels))

    @property
    def receptive_field(self) -> int:
        return field(self.kernel_size, len(self.blocks))

    def path_length(self, lag: int) -> int:
        """Two convolutions a block, whatever the lag."""
        self.check_lag(lag)
        return 2 * len(self.blocks)

    def state_size(self, time: int) -> int:
        """The (k - 1) 2^level inputs that each convolution looks back to, zeros before the start included."""
        blocks = typed(self.blocks, Block)
        return sum(conv.context * conv.in_channels for block in blocks for conv in (block.first, block.second))

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """The kernel, and dropout. The number of blocks is left out: it follows from the kernel and `reach`, which is
        set to the task's steps. Fewer blocks would not see the start, more would look past it."""
        return {"kernel_size": [2, 3, 5, 7], "dropout": {"low": 0.0, "high": 0.5}}

    def _levels(self, x: Tensor, state: State) -> tuple[list[Tensor], State]:
        if state is None:
            state = (None,) * len(self.blocks)
        if not isinstance(state, tuple) or len(state) != len(self.blocks):
            raise ValueError(f"the state is not one of this encoder, which has {len(self.blocks)} blocks")
        channels, levels, stops = x.transpose(1, 2), [x], []
        for block, start in zip(typed(self.blocks, Block), state, strict=True):
            channels, stop = block(channels, start)
            levels.append(channels.transpose(1, 2))
            stops.append(stop)
        return levels, tuple(stops)


class Block(nn.Module):
    """One residual block: (batch, in, time) -> (batch, out, time), and the inputs its convolutions look back to."""

    def __init__(self, size: int, hidden_size: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.first = Convolution(size, hidden_size, kernel_size, dilation)
        self.second = Convolution(hidden_size, hidden_size, kernel_size, dilation)
        self.side = None if size == hidden_size else nn.Conv1d(size, hidden_size, 1)
        if self.side is not None:
            start(self.side)
        self.dropout = dropout

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        before = state if isinstance(state, tuple) else (None, None)
        hidden, first = self.first(x, before[0])
        hidden, second = self.second(dropout(hidden.relu(), self.dropout, self.training), before[1])
        hidden = dropout(hidden.relu(), self.dropout, self.training)
        beside = x if self.side is None else self.side(x)
        return (hidden + beside).relu(), (first, second)


class Convolution(nn.Module):
    """A causal dilated convolution with weight norm, which goes on from the inputs it saw last."""

    def __init__(self, size: int, hidden_size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        conv = nn.Conv1d(size, hidden_size, kernel_size, dilation=dilation)
        # Before weight norm is put on: behind it, `weight` is computed, and what is written there is lost.
        start(conv)
        self.conv = weight_norm(conv)
        self.in_channels, self.dilation = size, dilation
        self.context = (kernel_size - 1) * dilation

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        before = x.new_zeros(x.shape[0], self.in_channels, self.context) if state is None else state
        x = torch.cat([before, x], dim=2)
        y = conv1d(x, self.conv.weight, self.conv.bias, dilation=self.dilation)
        return y, x[:, :, x.shape[2] - self.context :].clone()


def field(kernel_size: int, num_layers: int) -> int:
    """The steps that n blocks see, the present one included."""
    return 1 + 2 * (kernel_size - 1) * ((1 << num_layers) - 1)


def start(conv: nn.Conv1d) -> None:
    """The paper's initial weights, N(0, 0.01) with 0.01 as standard deviation, and no bias."""
    nn.init.normal_(conv.weight, 0.0, 0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
