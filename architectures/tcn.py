"""The temporal convolutional network."""

from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.parametrizations import weight_norm

from architectures.base import Encoder, check_dropout, eval_mode, state_dtype
from architectures.kernels.dilated_convolution import dilated_convolution, takes_products
from architectures.limits import (
    MAX_LAYERS,
    MAX_TAPS,
    check_layers,
    check_reach,
    check_steps,
    check_whole,
    check_width,
    quote,
)
from architectures.recurrent import has_hooks
from architectures.state import BlockState, GatedBlockState, State, StateSpec, TensorSpec
from architectures.trace import Trace

Block = Literal["residual", "wavenet"]

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

    With `block` wavenet, a block is one causal convolution with a gate, without weight norm:

        z = tanh(W_f * x) sigmoid(W_g * x)        x' = x + 1x1 z        skip = 1x1 z

    and the output is 1x1 relu(1x1 relu(sum of all skips)); the input enters through a 1x1 convolution. Then B `rounds`
    of n blocks, in each of which dilations begin at 1, see 1 + B (k - 1)(2^n - 1) steps. Its paper has k = 2.

    Source: Bai, Kolter and Koltun 2018, arXiv 1803.01271, section 3; WaveNet: van den Oord et al. 2016, arXiv
    1609.03499, sections 2.1, 2.3 and 2.4.

    Args:
        input_size: features a step.
        hidden_size: channels a block.
        kernel_size: taps k of each convolution, at least 2.
        num_layers: blocks n of a round; by default the fewest that cover `reach`.
        reach: steps to cover if `num_layers` is not given.
        dropout: rate behind each convolution.
        block: residual, of two convolutions, or wavenet, of one with a gate.
        rounds: how often the dilations 1, 2, ..., 2^(n - 1) are gone through.
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
        block: Block = "residual",
        rounds: int = 1,
    ) -> None:
        super().__init__(input_size)
        if block not in get_args(Block):
            raise ValueError(f"block must be one of {', '.join(get_args(Block))}, not {quote(block)}")
        check_width(hidden_size=hidden_size)
        check_steps(reach=reach)
        check_dropout(dropout=dropout)
        check_whole("kernel_size", kernel_size, least=2, most=MAX_TAPS, why="more layers look as far with fewer taps")
        check_whole("rounds", rounds, least=1, most=MAX_LAYERS, why="more layers look as far in one round")
        self.convolutions_of_block = 2 if block == "residual" else 1
        taps = self.convolutions_of_block * rounds * (kernel_size - 1)
        if num_layers is None:
            num_layers = 1
            while receptive_field_size(taps, num_layers) < reach:
                num_layers += 1
        check_layers(num_layers=num_layers)
        check_layers(**{"num_layers times rounds": num_layers * rounds})
        check_reach(
            receptive_field_size(taps, num_layers), f"{num_layers * rounds} layers with kernels of {kernel_size}"
        )
        self.field, self.output_size = receptive_field_size(taps, num_layers), hidden_size
        dilations = [2**level for level in range(num_layers)] * rounds
        self.entry: nn.Module | None = None
        self.head: nn.Module | None = None
        if block == "residual":
            self.blocks = nn.ModuleList(
                ResidualBlock(hidden_size if index else input_size, hidden_size, kernel_size, dilation, dropout)
                for index, dilation in enumerate(dilations)
            )
        else:
            self.entry = nn.Conv1d(input_size, hidden_size, 1)
            self.blocks = nn.ModuleList(
                GatedBlock(hidden_size, kernel_size, dilation, dropout, last=index == len(dilations) - 1)
                for index, dilation in enumerate(dilations)
            )
            mix = (nn.Conv1d(hidden_size, hidden_size, 1) for _ in range(2))
            self.head = nn.Sequential(nn.ReLU(), next(mix), nn.ReLU(), next(mix))

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
        """Returns a trace whose `levels` are the input and the output of every block; the last is the encoder's."""
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            levels, _ = self._run_blocks(x, state)
        return Trace(y=levels[-1], levels=tuple(levels))

    @property
    def receptive_field(self) -> int:
        """Steps that an output depends on: 1 + 2 B (k - 1)(2^n - 1), or half of the past with WaveNet's blocks."""
        return self.field

    def path_length(self, lag: int) -> int:
        """Returns the convolutions one upon another, two a residual block and one of WaveNet's, whatever the lag."""
        self.check_lag(lag)
        return self.convolutions_of_block * len(self.blocks)

    def state_size(self, time: int) -> int:
        """Returns the size of the (k - 1) 2^level past inputs of each convolution, zeros before the start included."""
        return sum(conv.context * conv.in_channels for conv in self.modules() if isinstance(conv, CausalConvolution))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns what a state for a batch like x has to be: (batch, channels, context) for every convolution."""

        def of(conv: CausalConvolution) -> TensorSpec:
            sizes = x.shape[0], conv.in_channels, conv.context
            return TensorSpec(sizes=sizes, dtype=state_dtype(x), device=x.device)

        return tuple(
            BlockState(first=of(block.first), second=of(block.second))
            if isinstance(block, ResidualBlock)
            else GatedBlockState(past=of(block.gates))
            for block in self._typed_blocks()
        )

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
        if self.entry is not None:
            channels = self.entry(channels)
        skips: Tensor | None = None
        for block, block_state in zip(self._typed_blocks(), states, strict=True):
            channels, skip, new_state = block(channels, block_state)
            if skip is not None:
                skips = skip if skips is None else skips + skip
            levels.append(channels.transpose(1, 2))
            new_states.append(new_state)
        if self.head is not None:
            # Nothing reads the last block's sum with its input.
            levels[-1] = self.head(skips).transpose(1, 2)
        return levels, tuple(new_states)

    def _typed_blocks(self) -> list["ResidualBlock | GatedBlock"]:
        return cast("list[ResidualBlock | GatedBlock]", list(self.blocks))


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

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, None, State]:
        """Returns the block's output, no skip, and the past inputs that later steps still need."""
        past_inputs = state if isinstance(state, tuple) else (None, None)
        hidden, first_state = self.first(x, past_inputs[0])
        hidden, second_state = self.second(dropout(hidden.relu(), self.dropout, self.training), past_inputs[1])
        hidden = dropout(hidden.relu(), self.dropout, self.training)
        residual = x if self.side is None else self.side(x)
        return (hidden + residual).relu(), None, BlockState(first_state, second_state)


class GatedBlock(nn.Module):
    """A block of WaveNet: (batch, channels, time) -> the same, and a skip of that shape.

    Its state holds the past inputs of its convolution. The `last` block has a skip alone.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int, dropout: float, *, last: bool) -> None:
        super().__init__()
        self.gates = CausalConvolution(channels, 2 * channels, kernel_size, dilation, normalised=False)
        self.residual = None if last else nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, channels, 1)
        self.dropout = dropout

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Returns the block's output, its skip, and the past inputs that later steps still need."""
        past = state[0] if isinstance(state, tuple) else None
        sums, new_past = self.gates(x, past)
        of_filter, of_gate = sums.chunk(2, dim=1)
        z = dropout(of_filter.tanh() * of_gate.sigmoid(), self.dropout, self.training)
        output = x if self.residual is None else x + self.residual(z)
        return output, self.skip(z), GatedBlockState(new_past)


class CausalConvolution(nn.Module):
    """A causal dilated convolution, with weight norm or not. Its state holds the inputs that later steps need."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int, *, normalised: bool = True
    ) -> None:
        super().__init__()
        conv = nn.Conv1d(in_channels, out_channels, kernel_size, dilation=dilation)
        self.conv = weight_norm(conv) if normalised else conv
        self.in_channels, self.dilation = in_channels, dilation
        self.context = (kernel_size - 1) * dilation

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the convolution's output, and the inputs that later steps still need."""
        past = x.new_zeros(x.shape[0], self.in_channels, self.context) if state is None else state
        # Whatever a user has put in its place, or hung on it, is called.
        conv = self.conv if isinstance(self.conv, nn.Conv1d) and not has_hooks(self.conv) else None
        if (
            conv is not None
            and conv.bias is not None
            and takes_products(x, self.training)
            and x.dtype == past.dtype == conv.bias.dtype
        ):
            y = dilated_convolution(x, None if state is None else past, conv.weight, conv.bias, self.dilation)
            left = x if x.shape[2] >= self.context else torch.cat([past, x], dim=2)
            return y, left[:, :, left.shape[2] - self.context :].clone()
        x = torch.cat([past, x], dim=2)
        return self.conv(x), x[:, :, x.shape[2] - self.context :].clone()


def receptive_field_size(taps: int, num_layers: int) -> int:
    """Returns the number of steps that dilations up to 2^(num_layers - 1) see, the present one included.

    Args:
        taps: past taps of all convolutions of the same dilation.
        num_layers: how many dilations there are.
    """
    return 1 + taps * ((1 << num_layers) - 1)
