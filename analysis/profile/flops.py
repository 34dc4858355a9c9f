"""Arithmetic and traffic of one step of an architecture, in closed form.

The cost is that of the matrix products: their multiply-adds, and the numbers that they read and write.

- A recurrence is one fused step: its weight matrices once for the whole batch, the input, the state in and out, the
  output. In training, what backward needs of each step is written once and read once, the adjoints of the state go in
  and out, and the gradient of the weights is one product, written once after the last step.
- Everything else is one product for all steps, which reads its weights once: its operands and its result.

Element-wise operations are not counted. Backward has a product for each weight's gradient and one for each input's,
except that data needs no gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from analysis.profile.gate_shapes import GateShape, layer_shape
from architectures.act import ACT
from architectures.base import Encoder, typed_children
from architectures.bidirectional import Bidirectional
from architectures.block_memory import visible_entries
from architectures.clockwork_rnn import ClockworkRNN
from architectures.depth_gated_lstm import DepthGatedLSTM
from architectures.gated_deltanet import DeltaMixer
from architectures.grid_lstm import GridLSTM
from architectures.gru import GRU
from architectures.han import HAN
from architectures.han_bidirectional import BidirectionalHAN
from architectures.han_memory import HANMemory
from architectures.kernels.convolution import TAPS
from architectures.linear_attention import LinearAttentionMixer
from architectures.lru import LRUMixer
from architectures.lstm import LSTM
from architectures.lstm_layernorm import LayerNormLSTM
from architectures.lstm_mi import MultiplicativeLSTM
from architectures.mamba2 import Mamba2Mixer
from architectures.mingru import MinGRU
from architectures.minlstm import MinLSTM
from architectures.mlstm import MLSTMMixer
from architectures.mrnn import MRNN
from architectures.mut import MUT
from architectures.ntm import NTM
from architectures.rda import RDA
from architectures.recurrent import RecurrentEncoder, RecurrentLayer
from architectures.residual import Mixer, ResidualEncoder
from architectures.retnet import RetentionMixer
from architectures.rhn import RHN
from architectures.rnn import RNN
from architectures.rnn_attention import RNNAttention
from architectures.rwa import RWA
from architectures.s4d import S4DMixer
from architectures.seq2seq import Seq2Seq
from architectures.short_convolution import ShortConvolution
from architectures.slstm import SLSTM
from architectures.tcn import TCN
from architectures.transformer import AttentionMixer, ForgettingMixer

BYTES_PER_NUMBER = 4
"""Bytes of a number in single precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCost:
    """Cost of one step of one sequence in one pass."""

    multiply_adds: float
    numbers_moved: float | None
    """Numbers read and written; `None` if unknown."""

    def __add__(self, other: "PassCost") -> "PassCost":
        moved = None
        if self.numbers_moved is not None and other.numbers_moved is not None:
            moved = self.numbers_moved + other.numbers_moved
        return PassCost(multiply_adds=self.multiply_adds + other.multiply_adds, numbers_moved=moved)

    def scaled(self, factor: float) -> "PassCost":
        """Returns the cost of a step of which only some take part, a share of all."""
        moved = None if self.numbers_moved is None else factor * self.numbers_moved
        return PassCost(multiply_adds=factor * self.multiply_adds, numbers_moved=moved)

    @property
    def bytes(self) -> float | None:
        """Bytes read and written; `None` if unknown."""
        return None if self.numbers_moved is None else BYTES_PER_NUMBER * self.numbers_moved

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity: floating-point operations per byte, two for a multiply-add."""
        return None if not self.bytes else 2 * self.multiply_adds / self.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """Cost of one step of one sequence, forward and backward."""

    forward: PassCost
    backward: PassCost
    """Cost that training adds, including what its forward pass saves for backward."""

    def __add__(self, other: "StepCost") -> "StepCost":
        return StepCost(forward=self.forward + other.forward, backward=self.backward + other.backward)

    def scaled(self, factor: float) -> "StepCost":
        """Returns the cost of a step of which only some take part, a share of all."""
        return StepCost(forward=self.forward.scaled(factor), backward=self.backward.scaled(factor))

    @property
    def total(self) -> PassCost:
        """Cost of forward and backward together."""
        return self.forward + self.backward


RECURRENT: frozenset[type[Encoder]] = frozenset(
    [
        *(RNN, MRNN, ClockworkRNN),
        *(LSTM, LayerNormLSTM, MultiplicativeLSTM, DepthGatedLSTM, GridLSTM),
        *(GRU, MUT, RHN),
        *(RWA, RDA, SLSTM),
        *(MinGRU, MinLSTM),
    ]
)
"""The recurrent encoders of the catalogue."""


def encoder_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of a step, averaged over a sequence; `None` for an architecture that is not in the catalogue.

    Args:
        encoder: the encoder.
        batch: number of sequences that share one reading of the weights.
        time: number of steps of each sequence.
    """
    kind = type(encoder)
    if kind in RECURRENT and isinstance(encoder, RecurrentEncoder):
        return recurrent_cost(encoder, batch, time)
    if isinstance(encoder, ResidualEncoder):
        return residual_cost(encoder, batch, time)
    return FORMULAS[kind](encoder, batch, time) if kind in FORMULAS else None


def recurrent_cost(encoder: RecurrentEncoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of all layers of a recurrence; `None` if one is not in the catalogue."""
    below, total, data = encoder.input_size, StepCost(forward=NO_COST, backward=NO_COST), True
    if isinstance(encoder, GridLSTM):
        total += linear_cost(below, 2 * encoder.output_size, batch * time, data=True)
        below, data = encoder.output_size, False
    for layer in typed_children(encoder.layers, RecurrentLayer):
        gates = layer_shape(layer, time)
        if gates is None:
            return None
        total += recurrent_step_cost(gates, below, encoder.output_size, batch, time, data=data)
        below, data = encoder.output_size, False
    return total


def recurrent_step_cost(gates: GateShape, below: int, units: int, batch: int, time: int, *, data: bool) -> StepCost:
    """Returns the cost of a fused step of a recurrent layer.

    Args:
        gates: shape of the recurrence.
        below: inputs I.
        units: units H.
        batch: as in `encoder_cost`.
        time: as in `encoder_cost`.
        data: whether the input is data, which needs no gradient.
    """
    from_input, from_state = gates.input_matrices * units * below, gates.recurrent_matrices * units * units
    input_gradient = 0 if data else from_input
    state, saved = 2 * gates.state_numbers * units, 2 * gates.saved_numbers * units
    weights = from_input + from_state
    forward = weights, below + units + state + weights / batch
    # x, h and dy in, the adjoints in and out, the saved out and in; dx out.
    numbers = below + 2 * units + state + saved + (0 if data else below)
    weight_numbers = (from_state + input_gradient) / batch + weights / (batch * time)
    return step_cost(forward, (weights + from_state + input_gradient, numbers + weight_numbers))


def tcn_cost(encoder: Encoder, batch: int, time: int) -> StepCost:
    """Returns the cost of all convolutions, those with one tap included.

    Zeros before the first step are multiplied like any other input.
    """
    assert isinstance(encoder, TCN)
    total = StepCost(forward=NO_COST, backward=NO_COST)
    read_data = ("blocks.0.first.conv", "blocks.0.side") if encoder.entry is None else ("entry",)
    for name, conv in encoder.named_modules():
        if isinstance(conv, nn.Conv1d):
            (taps,) = conv.kernel_size
            data = name in read_data
            total += linear_cost(conv.in_channels, conv.out_channels, batch * time, taps=taps, data=data)
    return total


def han_cost(encoder: Encoder, batch: int, time: int) -> StepCost:
    """Returns the cost of the projection and all levels.

    A level computes queries, keys and values, attention to the steps that exist, its output, and the feed-forward
    network.
    """
    assert isinstance(encoder, HAN)
    size, steps = encoder.output_size, batch * time
    total = linear_cost(encoder.input_size, size, steps, data=True)
    for level in range(len(encoder.levels)):
        for below, above in ((size, 3 * size), (size, size), (size, 4 * size), (4 * size, size)):
            total += linear_cost(below, above, steps)
        total += attention_cost(size, mean_attended_steps(time, encoder.window, encoder.window**level))
    return total


def attention_cost(size: int, pairs: float) -> StepCost:
    """Returns the cost of attention of one step to so many, for vectors of that size, all heads together."""
    # q . k and w v forward; backward dw, dv, dq, dk. In and out: q k v and y; then q k v y dy and dq dk dv.
    return step_cost((2 * size * pairs, 4 * size), (4 * size * pairs, 8 * size))


def residual_cost(encoder: ResidualEncoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of a stack of residual blocks: its linear maps, and what takes steps to later ones."""
    total = StepCost(forward=NO_COST, backward=NO_COST)
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            of_data = module is encoder.project
            total += linear_cost(module.in_features, module.out_features, batch * time, data=of_data)
    for mixer in encoder.mixers:
        if type(mixer) not in MIXERS:
            return None
        total += MIXERS[type(mixer)](mixer, time)
    return total


def attention_mixer_cost(mixer: Mixer, time: int) -> StepCost:
    """Returns the cost of attention to a window, or to all steps so far."""
    assert isinstance(mixer, AttentionMixer | ForgettingMixer)
    window = mixer.window if isinstance(mixer, AttentionMixer) else None
    return attention_cost(mixer.size, mean_attended_steps(time, window or time, 1))


def han_memory_cost(encoder: Encoder, batch: int, time: int) -> StepCost:
    """Returns the cost of the projection and all layers, each with its attention to what its memory holds.

    A step of a memory of novelty is also compared with every slot, which has no backward.
    """
    assert isinstance(encoder, HANMemory)
    size, steps = encoder.output_size, batch * time
    total = linear_cost(encoder.input_size, size, steps, data=True)
    if encoder.memory == "novelty":
        entries = float(encoder.slots)
        compared = (size + 1) * entries
    else:
        seen = (visible_entries(step + 1, encoder.block) for step in range(time))
        entries, compared = sum(end - start for levels in seen for start, end in levels) / time, 0.0
    for _ in encoder.layers:
        for below, above in ((size, 3 * size), (size, size), (size, 4 * size), (4 * size, size)):
            total += linear_cost(below, above, steps)
        total += step_cost((2 * size * entries + compared, 4 * size), (4 * size * entries, 8 * size))
    return total


def bidirectional_han_cost(encoder: Encoder, batch: int, time: int) -> StepCost:
    """Returns the cost of one network from each end, and of the projection of both."""
    assert isinstance(encoder, BidirectionalHAN)
    one_direction = han_cost(encoder.onward, batch, time)
    return one_direction + one_direction + linear_cost(2 * encoder.output_size, encoder.output_size, batch * time)


def act_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of one micro-step for each step, the least there is: how many it takes depends on the data."""
    assert isinstance(encoder, ACT)
    base = encoder_cost(encoder.base, batch, time)
    return None if base is None else base + linear_cost(encoder.output_size, 1, batch)


def ntm_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of the controller, of what its heads follow from, and of the memory, which goes in and out.

    Every head compares its key with every slot; one that writes adds a vector to every slot, one that reads sums them.
    The maps read their weights at every step: the next one waits for it.
    """
    assert isinstance(encoder, NTM)
    controller = encoder_cost(encoder.base, batch, time)
    if controller is None:
        return None
    commands = (
        linear_cost(each.in_features, each.out_features, batch) for each in (encoder.addresses, encoder.erase_and_add)
    )
    heads, read_size = 2 * encoder.num_heads, encoder.num_heads * encoder.slot_size
    memory = encoder.slots * encoder.slot_size
    products = 2 * heads * memory
    # The memory and all weights in and out, the commands in, what is read out; backward has the adjoints, too, and the
    # memory of every step, which forward has written.
    moved = 2 * (memory + heads * encoder.slots) + sum(
        each.out_features for each in (encoder.addresses, encoder.erase_and_add)
    )
    numbers = moved + read_size
    return sum(commands, controller) + step_cost((products, numbers), (2 * products, 2 * numbers + 2 * memory))


def bidirectional_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of one encoder from each end."""
    assert isinstance(encoder, Bidirectional)
    one_direction = encoder_cost(encoder.onward, batch, time)
    return None if one_direction is None else one_direction + one_direction


def rnn_attention_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of the encoder below, of the two products that weigh its outputs, and of the average.

    The average has no product that it needs: what it moves is its own state, in and out, and its result.
    """
    assert isinstance(encoder, RNNAttention)
    below = encoder_cost(encoder.base, batch, time)
    if below is None:
        return None
    units, heads, steps = encoder.base.output_size, encoder.num_heads, batch * time
    weighing = linear_cost(units, units, steps) + linear_cost(units, heads, steps)
    state = 2 * (units + heads)
    return below + weighing + step_cost((0, state + units), (0, state + 2 * units + heads))


def seq2seq_cost(encoder: Encoder, batch: int, time: int) -> StepCost | None:
    """Returns the cost of reading the source, of decoding the other steps, and of their attention to the source.

    Every step of the decoder reads its weights anew: the next one waits for it.
    """
    assert isinstance(encoder, Seq2Seq)
    source, units, size = min(time, encoder.source), encoder.encoder.output_size, encoder.decoder.output_size
    reading = encoder_cost(encoder.encoder, batch, source)
    decoding = encoder_cost(encoder.decoder, batch, max(1, time - source))
    if reading is None or decoding is None:
        return None
    total = reading.scaled(source / time)
    if time == source:
        return total
    total += linear_cost(size, encoder.start.out_features, batch).scaled(1 / time)
    if encoder.alignment is not None:
        total += linear_cost(units, size, batch * source).scaled(source / time)
        # The sum of the source's steps, and its backward: both factors have a gradient.
        decoding += step_cost((units * source, (units + 1) * source), (2 * units * source, 2 * (units + 1) * source))
        own = encoder.alignment
        for each in (own.state, own.place, own.center):
            if each is None:
                continue
            decoding += linear_cost(each.in_features, each.out_features, batch)
        products, numbers = size * source, 2 * size * source
        decoding += step_cost((products, numbers), (2 * products, 2 * numbers))
    return total + decoding.scaled(1 - source / time)


def linear_cost(below: int, above: int, steps: int, *, taps: int = 1, data: bool = False) -> StepCost:
    """Returns the cost of a linear map, or a convolution, that reads its weights once for all steps.

    Args:
        below: inputs.
        above: outputs.
        steps: number of steps of all sequences together.
        taps: kernel size of a convolution.
        data: whether the input is data, which needs no gradient.
    """
    weights = below * above * taps
    forward = weights, below + above + weights / steps
    # For the weights: x and dy in, dW out. For the input: dy, which is read already, and W in, dx out.
    numbers = below + above + weights / steps + (0 if data else below + weights / steps)
    return step_cost(forward, (weights if data else 2 * weights, numbers))


def mean_attended_steps(time: int, window: int, spacing: int) -> float:
    """Returns the number of steps t - j spacing >= 0 with j < window, averaged over t."""
    return sum(time - j * spacing for j in range(min(window, -(-time // spacing)))) / time


def step_cost(forward: tuple[float, float], backward: tuple[float, float]) -> StepCost:
    """Returns the cost of a step from the multiply-adds and the numbers moved of each pass."""
    passes = [PassCost(multiply_adds=products, numbers_moved=numbers) for products, numbers in (forward, backward)]
    return StepCost(forward=passes[0], backward=passes[1])


def matrix_state_cost(mixer: Mixer, time: int) -> StepCost:
    """Returns the cost of a state that is a matrix for each head, as a recurrence: it is written and read once a step.

    Chunks do more products, and move the state once a chunk; both depend on their length, which is no property of the
    architecture.
    """
    if isinstance(mixer, Mamba2Mixer):
        state, keys, values = mixer.num_states * mixer.inner, 2 * mixer.num_states, mixer.inner
    else:
        assert isinstance(mixer, LinearAttentionMixer | RetentionMixer | MLSTMMixer | DeltaMixer)
        state, keys, values = mixer.size * (mixer.size // mixer.heads), 2 * mixer.size, mixer.size
    channels = next((len(part.weight[0]) for part in mixer.children() if isinstance(part, ShortConvolution)), 0)
    convolution = step_cost((TAPS * channels, 2 * channels), (2 * TAPS * channels, 3 * channels))
    # k v^T and q S forward, and k S that the delta rule takes out; backward two for each. The state goes in and out.
    products, numbers = 3 if isinstance(mixer, DeltaMixer) else 2, keys + 2 * values + 2 * state
    return convolution + step_cost((products * state, numbers), (2 * products * state, 2 * numbers))


def state_space_cost(mixer: Mixer, time: int) -> StepCost:
    """Returns the cost of a diagonal state space, as a recurrence: its state and the adjoint of it go in and out.

    S4D writes and reads every number of it once; the LRU does so by linear maps, which are counted as such.
    """
    assert isinstance(mixer, LRUMixer | S4DMixer)
    state = mixer.state_size(1)
    products, ends = (2 * state, 2 * mixer.size) if isinstance(mixer, S4DMixer) else (0, 0)
    # Backward reads the states of all steps, which forward has written.
    return step_cost((products, 2 * state + ends), (2 * products, 4 * state + 1.5 * ends))


NO_COST = PassCost(multiply_adds=0, numbers_moved=0)

FORMULAS: Mapping[type[Encoder], Callable[[Encoder, int, int], StepCost | None]] = {
    RNNAttention: rnn_attention_cost,
    ACT: act_cost,
    NTM: ntm_cost,
    Bidirectional: bidirectional_cost,
    Seq2Seq: seq2seq_cost,
    HANMemory: han_memory_cost,
    TCN: tcn_cost,
    HAN: han_cost,
    BidirectionalHAN: bidirectional_han_cost,
}

MIXERS: Mapping[type[Mixer], Callable[[Mixer, int], StepCost]] = {
    AttentionMixer: attention_mixer_cost,
    ForgettingMixer: attention_mixer_cost,
    **dict.fromkeys((LinearAttentionMixer, RetentionMixer, MLSTMMixer, Mamba2Mixer, DeltaMixer), matrix_state_cost),
    LRUMixer: state_space_cost,
    S4DMixer: state_space_cost,
}


def count_with_pytorch(module: nn.Module, x: Tensor) -> StepCost | None:
    """Returns the multiply-adds per step that PyTorch's counter sees in one sequence; `None` if it sees none.

    It does not see into operations that it has no formula for, such as fused recurrences.

    Args:
        module: a module whose output, or the first of whose outputs, has a gradient.
        x: (1, time, input_size).
    """
    with FlopCounterMode(display=False) as forward:
        output = module(x)
    y = output[0] if isinstance(output, tuple) else output
    with FlopCounterMode(display=False) as backward:
        torch.autograd.backward(y, torch.ones_like(y))
    module.zero_grad(set_to_none=True)
    # The counter has two operations per multiply-add.
    multiply_adds = [mode.get_total_flops() / 2 / x.shape[1] for mode in (forward, backward)]
    if not multiply_adds[0]:
        return None
    passes = [PassCost(multiply_adds=amount, numbers_moved=None) for amount in multiply_adds]
    return StepCost(forward=passes[0], backward=passes[1])
