"""What a step of an architecture has to compute and to move, in closed form.

Counted are the multiply-adds of the matrix products, and the numbers that they read and write:

- a recurrence as one fused step: its weight matrices once for the whole batch, the input, the state in and out, the
  output; in training, what backward needs of each step is written once and read once, the adjoints of the state go in
  and out, and the gradient of the weights is one product, written once after the last step;
- everything else as one product for all steps, its weights read once: its operands and its result.

Element-wise work is not counted. Backward has a product for each weight's gradient and one for each input's, save that
the data needs none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from architectures.base import Encoder, typed
from architectures.gru import GRU
from architectures.han import HAN
from architectures.han_bidirectional import BidirectionalHAN
from architectures.lstm import LSTM
from architectures.rda import RDA
from architectures.recurrent import Recurrent
from architectures.rnn import RNN
from architectures.rwa import RWA
from architectures.tcn import TCN, Block

BYTES = 4
"""Of a number, in single precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Work for one step of one sequence."""

    multiply_adds: float
    numbers: float | None
    """Read and written; `None` where that is not known."""

    def __add__(self, other: "Amount") -> "Amount":
        numbers = None if self.numbers is None or other.numbers is None else self.numbers + other.numbers
        return Amount(multiply_adds=self.multiply_adds + other.multiply_adds, numbers=numbers)

    @property
    def bytes(self) -> float | None:
        """Read and written."""
        return None if self.numbers is None else BYTES * self.numbers

    @property
    def intensity(self) -> float | None:
        """Floating-point operations a byte, two to a multiply-add."""
        return None if not self.bytes else 2 * self.multiply_adds / self.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one step of one sequence takes."""

    forward: Amount
    backward: Amount
    """Of a pass that learns: what it saves for this is in here too."""

    def __add__(self, other: "Work") -> "Work":
        return Work(forward=self.forward + other.forward, backward=self.backward + other.backward)

    @property
    def both(self) -> Amount:
        """Forward and backward."""
        return self.forward + self.backward


@dataclass(frozen=True, slots=True, kw_only=True)
class GateShape:
    """How many H x I and H x H matrices a recurrence has, and how many numbers a unit carries, and saves for backward
    beside its output."""

    fed: int
    back: int
    carried: int
    saved: int


GATES: Mapping[type[Encoder], GateShape] = {
    RNN: GateShape(fed=1, back=1, carried=1, saved=0),
    LSTM: GateShape(fed=4, back=4, carried=2, saved=5),  # i f g o, c
    GRU: GateShape(fed=3, back=3, carried=1, saved=4),  # r z n, and what r resets
    RWA: GateShape(fed=3, back=2, carried=2, saved=5),  # u g p, r l
    RDA: GateShape(fed=4, back=3, carried=2, saved=6),  # u g p q, r l
}


def work(encoder: Encoder, batch: int, time: int) -> Work | None:
    """The work of a step, averaged over a sequence; `None` for an architecture that is not one of the catalogue's.

    Args:
        encoder: whose.
        batch: sequences that share one reading of the weights.
        time: steps of each.
    """
    kind = type(encoder)
    if kind in GATES and isinstance(encoder, Recurrent):
        return recurrent(encoder, GATES[kind], batch, time)
    return FORMULAS[kind](encoder, batch, time) if kind in FORMULAS else None


def recurrent(encoder: Recurrent, gates: GateShape, batch: int, time: int) -> Work:
    """Layer upon layer."""
    below, total = encoder.input_size, Work(forward=NOTHING, backward=NOTHING)
    for layer in range(len(encoder.layers)):
        total += step(gates, below, encoder.output_size, batch, time, data=layer == 0)
        below = encoder.output_size
    return total


def step(gates: GateShape, below: int, units: int, batch: int, time: int, *, data: bool) -> Work:
    """A fused step of a recurrent layer.

    Args:
        gates: of which kind.
        below, units: I and H.
        batch, time: as in `work`.
        data: whether the input is data, which needs no gradient.
    """
    fed, back = gates.fed * units * below, gates.back * units * units
    down = 0 if data else fed
    carried, saved = 2 * gates.carried * units, 2 * gates.saved * units
    forward = fed + back, below + units + carried + (fed + back) / batch
    # x, h and dy in, the adjoints in and out, the saved out and in; dx out.
    numbers = below + 2 * units + carried + saved + (0 if data else below)
    weights = (back + down) / batch + (fed + back) / (batch * time)
    return made(forward, (fed + back + back + down, numbers + weights))


def tcn(encoder: Encoder, batch: int, time: int) -> Work:
    """Two convolutions a block, and one of 1 tap at its side where the widths differ. Zeros before the first step are
    multiplied like any other input."""
    assert isinstance(encoder, TCN)
    total = Work(forward=NOTHING, backward=NOTHING)
    for level, block in enumerate(typed(encoder.blocks, Block)):
        size, steps, data = block.first.in_channels, batch * time, level == 0
        total += product(size, encoder.output_size, steps, taps=encoder.kernel_size, data=data)
        total += product(encoder.output_size, encoder.output_size, steps, taps=encoder.kernel_size)
        if block.side is not None:
            total += product(size, encoder.output_size, steps, data=data)
    return total


def han(encoder: Encoder, batch: int, time: int) -> Work:
    """The projection; then at each level queries, keys and values, attention to the steps that are there, its output,
    and the feed-forward network."""
    assert isinstance(encoder, HAN)
    size, steps = encoder.output_size, batch * time
    total = product(encoder.input_size, size, steps, data=True)
    for level in range(len(encoder.levels)):
        for below, above in ((size, 3 * size), (size, size), (size, 4 * size), (4 * size, size)):
            total += product(below, above, steps)
        pairs = seen(time, encoder.window, encoder.window**level)
        # q . k and w v forward; backward dw, dv, dq, dk. In and out: q k v and y; then q k v y dy and dq dk dv.
        total += made((2 * size * pairs, 4 * size), (4 * size * pairs, 8 * size))
    return total


def bidirectional(encoder: Encoder, batch: int, time: int) -> Work:
    """One from each end, and the projection of both."""
    assert isinstance(encoder, BidirectionalHAN)
    each = han(encoder.onward, batch, time)
    return each + each + product(2 * encoder.output_size, encoder.output_size, batch * time)


def product(below: int, above: int, steps: int, *, taps: int = 1, data: bool = False) -> Work:
    """A linear map of every step, or a convolution, with one reading of its weights for so many steps."""
    weights = below * above * taps
    forward = weights, below + above + weights / steps
    # For the weights: x and dy in, dW out. For the input: dy, already there, and W in, dx out.
    numbers = below + above + weights / steps + (0 if data else below + weights / steps)
    return made(forward, (weights if data else 2 * weights, numbers))


def seen(time: int, window: int, spacing: int) -> float:
    """The steps t - j spacing >= 0 with j < window, on average over t."""
    return sum(max(0, time - j * spacing) for j in range(window)) / time


def made(forward: tuple[float, float], backward: tuple[float, float]) -> Work:
    """Work from multiply-adds and numbers of each."""
    one, other = (Amount(multiply_adds=products, numbers=numbers) for products, numbers in (forward, backward))
    return Work(forward=one, backward=other)


NOTHING = Amount(multiply_adds=0, numbers=0)

FORMULAS: Mapping[type[Encoder], Callable[[Encoder, int, int], Work]] = {
    TCN: tcn,
    HAN: han,
    BidirectionalHAN: bidirectional,
}


def counted(module: nn.Module, x: Tensor) -> Work | None:
    """The products that PyTorch sees in one pass over one sequence, by step; `None` where it sees none.

    It does not see into operations that it has no formula for, such as fused recurrences.

    Args:
        module: whose output, or the first of its outputs, has a gradient.
        x: (1, time, input_size).
    """
    with FlopCounterMode(display=False) as forward:
        found = module(x)
    y = found[0] if isinstance(found, tuple) else found
    with FlopCounterMode(display=False) as backward:
        torch.autograd.backward(y, torch.ones_like(y))
    module.zero_grad(set_to_none=True)
    # It counts two operations to a multiply-add.
    each = [mode.get_total_flops() / 2 / x.shape[1] for mode in (forward, backward)]
    if not each[0]:
        return None
    amounts = [Amount(multiply_adds=amount, numbers=None) for amount in each]
    return Work(forward=amounts[0], backward=amounts[1])
