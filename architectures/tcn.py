"""The temporal convolutional network."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.parametrizations import weight_norm

from architectures.base import Encoder, check_dropout, eval_mode, state_dtype, typed_children
from architectures.limits import MAX_TAPS, check_layers, check_reach, check_steps, check_whole, check_width
from architectures.state import BlockState, State, StateSpec, TensorSpec
from architectures.trace import Trace

PART_STEPS = 4096
"""Steps of a part in which a long sequence is evaluated."""


class TCN(Encoder):
    """Residual blocks of two causal convolutions each, dilated by 2^level.

    A block is convolution, weight norm, ReLU and dropout, twice; then the ReLU of its sum with the block's input, or
    with a 1x1 convolution of it where the widths differ. With kernels of k taps, n blocks see 1 + 2 (k - 1)(2^n - 1)
    steps.

    Weights and biases start as those of PyTorch's `Conv1d` do, uniform within 1 / sqrt(inputs of an output), and so
    did those behind the paper's figures: its code writes N(0, 0.01) to weights that weight norm computes anew at every
    pass, which has no effect (https://github.com/locuslab/TCN/issues/1). It has one on the 1x1 convolution alone,
    which starts like all others here.

    Source: Bai, Kolter and Koltun 2018, arXiv 1803.01271, section 3.

    Args:
        input_size: features a step.
        hidden_size: channels a block.
        kernel_size: taps k of each convolution, at least 2.
        num_layers: blocks n; by default the fewest that cover `reach`.
        reach: steps to cover if `num_layers` is not given.
        dropout: rate behind each convolution.
    """

    needs_dtype_of_weights = True

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
        check_width(hidden_size=hidden_size)
        check_steps(reach=reach)
        check_dropout(dropout=dropout)
        check_whole("kernel_size", kernel_size, least=2, most=MAX_TAPS, why="more layers look as far with fewer taps")
        if num_layers is None:
            num_layers = 1
            while receptive_field_size(kernel_size, num_layers) < reach:
                num_layers += 1
        check_layers(num_layers=num_layers)
        check_reach(receptive_field_size(kernel_size, num_layers), f"{num_layers} layers with kernels of {kernel_size}")
        self.kernel_size, self.output_size = kernel_size, hidden_size
        self.blocks = nn.ModuleList(
            ResidualBlock(input_size if level == 0 else hidden_size, hidden_size, kernel_size, 2**level, dropout)
            for level in range(num_layers)
        )

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the blocks one upon another, each from its own state.

        A long sequence that is only evaluated on a CPU is run in parts that fit its cache, each from the state that the
        one before left: that takes half of the time from 30,000 steps on, and less memory.
        """
        if torch.is_grad_enabled() or self.training or x.device.type != "cpu" or x.shape[1] <= PART_STEPS:
            levels, new_state = self._run_blocks(x, state)
            return levels[-1], new_state
        outputs: list[Tensor] = []
        for part in x.split(PART_STEPS, dim=1):
            levels, state = self._run_blocks(part, state)
            outputs.append(levels[-1])
        return torch.cat(outputs, dim=1), state

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace whose `levels` are the input and the output of every block."""
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            levels, _ = self._run_blocks(x, state)
        return Trace(y=levels[-1], levels=tuple(levels))

    @property
    def receptive_field(self) -> int:
        """The 1 + 2 (k - 1)(2^n - 1) steps that n blocks see."""
        return receptive_field_size(self.kernel_size, len(self.blocks))

    def path_length(self, lag: int) -> int:
        """Returns two convolutions a block, whatever the lag."""
        self.check_lag(lag)
        return 2 * len(self.blocks)

    def state_size(self, time: int) -> int:
        """Returns the size of the (k - 1) 2^level past inputs of each convolution, zeros before the start included."""
        blocks = typed_children(self.blocks, ResidualBlock)
        return sum(conv.context * conv.in_channels for block in blocks for conv in (block.first, block.second))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be: (batch, channels, context) for every convolution."""

        def of(conv: CausalConvolution) -> TensorSpec:
            sizes = x.shape[0], conv.in_channels, conv.context
            return TensorSpec(sizes=sizes, dtype=state_dtype(x), device=x.device)

        blocks = typed_children(self.blocks, ResidualBlock)
        return tuple(BlockState(first=of(block.first), second=of(block.second)) for block in blocks)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the kernel size and dropout.

        The number of blocks is left out: it follows from the kernel and `reach`, which is set to the task's steps.
        Fewer blocks would not see the start, more would look past it.
        """
        return {"kernel_size": [2, 3, 5, 7], "dropout": {"low": 0.0, "high": 0.5}}

    def _run_blocks(self, x: Tensor, state: State) -> tuple[list[Tensor], State]:
        """Returns the input and the output of every block, (batch, time, channels) each, and the new state."""
        states = state if isinstance(state, tuple) else (None,) * len(self.blocks)
        channels, levels, new_states = x.transpose(1, 2), [x], []
        for block, block_state in zip(typed_children(self.blocks, ResidualBlock), states, strict=True):
            channels, new_state = block(channels, block_state)
            levels.append(channels.transpose(1, 2))
            new_states.append(new_state)
        return levels, tuple(new_states)


class ResidualBlock(nn.Module):
    """A residual block: (batch, in_channels, time) -> (batch, hidden_size, time).

    Its state holds the past inputs of its two convolutions.
    """

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.first = CausalConvolution(in_channels, hidden_size, kernel_size, dilation)
        self.second = CausalConvolution(hidden_size, hidden_size, kernel_size, dilation)
        self.side = None if in_channels == hidden_size else nn.Conv1d(in_channels, hidden_size, 1)
        self.dropout = dropout

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the block's output, and the past inputs that later steps still need."""
        past_inputs = state if isinstance(state, tuple) else (None, None)
        hidden, first_state = self.first(x, past_inputs[0])
        hidden, second_state = self.second(dropout(hidden.relu(), self.dropout, self.training), past_inputs[1])
        hidden = dropout(hidden.relu(), self.dropout, self.training)
        residual = x if self.side is None else self.side(x)
        return (hidden + residual).relu(), BlockState(first_state, second_state)


class CausalConvolution(nn.Module):
    """A causal dilated convolution with weight norm. Its state holds the inputs that later steps need."""

    def __init__(self, in_channels: int, hidden_size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(in_channels, hidden_size, kernel_size, dilation=dilation))
        self.in_channels, self.dilation = in_channels, dilation
        self.context = (kernel_size - 1) * dilation

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the convolution's output, and the inputs that later steps still need."""
        past_inputs = x.new_zeros(x.shape[0], self.in_channels, self.context) if state is None else state
        x = torch.cat([past_inputs, x], dim=2)
        return self.conv(x), x[:, :, x.shape[2] - self.context :].clone()


def receptive_field_size(kernel_size: int, num_layers: int) -> int:
    """Returns the number of steps that `num_layers` blocks see, the present one included."""
    return 1 + 2 * (kernel_size - 1) * ((1 << num_layers) - 1)
