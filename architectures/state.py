"""The state of an encoder: a tree of tuples with tensors as leaves, or `None` at the start.

Only the encoder itself knows what the tensors mean. Those of this package name their states' parts, so that a state of
another architecture is told from their own even where its shapes fit: `LSTMState(h, c)` is not `RDAState(r, l)`. A
plain tuple of the right shapes is accepted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

State = Tensor | tuple["State", ...] | None


class RNNState(NamedTuple):
    """A layer of the RNN."""

    h: Any


class LSTMState(NamedTuple):
    """A layer of the LSTM."""

    h: Any
    c: Any


class FullGateState(NamedTuple):
    """A layer of the LSTM whose gates see each other's last values."""

    h: Any
    c: Any
    i: Any
    f: Any
    o: Any


class GRUState(NamedTuple):
    """A layer of the GRU."""

    h: Any


class MUTState(NamedTuple):
    """A layer of MUT1, MUT2 or MUT3."""

    h: Any


class DepthGatedState(NamedTuple):
    """A layer of the depth-gated LSTM."""

    h: Any
    c: Any


class ClockworkState(NamedTuple):
    """A layer of the clockwork network: h, and the step's number modulo the slowest period, (batch, 1)."""

    h: Any
    clock: Any


class RHNState(NamedTuple):
    """A layer of the recurrent highway network."""

    y: Any


class MRNNState(NamedTuple):
    """A layer of the multiplicative recurrent network."""

    h: Any


class GridState(NamedTuple):
    """A layer of the grid LSTM: h and the memory m along time."""

    h: Any
    m: Any


class RWAState(NamedTuple):
    """A layer of the RWA: r = n / d and l = log d."""

    r: Any
    l: Any


class RDAState(NamedTuple):
    """A layer of the RDA: r = n / d and l = log d."""

    r: Any
    l: Any


class MinGRUState(NamedTuple):
    """A layer of the minGRU."""

    h: Any


class MinLSTMState(NamedTuple):
    """A layer of the minLSTM."""

    h: Any


class SLSTMState(NamedTuple):
    """A layer of the sLSTM: the average r = c / n, l = log n, and h."""

    r: Any
    l: Any
    h: Any


class LRUState(NamedTuple):
    """A block of the LRU: the real and the imaginary parts of its states, (batch, states) each."""

    re: Any
    im: Any


class S4DState(NamedTuple):
    """A block of the S4D: the real and the imaginary parts of its states, (batch, features, states) each."""

    re: Any
    im: Any


class BlockState(NamedTuple):
    """A residual block of the TCN: the past inputs of its convolutions."""

    first: Any
    second: Any


class GatedBlockState(NamedTuple):
    """A WaveNet block of the TCN: the past inputs of its convolution."""

    past: Any


class AttentionState(NamedTuple):
    """Attention over the outputs of an encoder: the average r and l, the logarithm of its denominator, of each head."""

    r: Any
    l: Any


class SourceState(NamedTuple):
    """Encoder and decoder: the source so far, (batch, steps, features), or the encoder's outputs once it has ended."""

    source: Any


class MemoryState(NamedTuple):
    """A layer that stores what is new: directions, keys and values of the slots, and how often each counts."""

    directions: Any
    keys: Any
    values: Any
    counts: Any


class NTMState(NamedTuple):
    """The memory of a neural Turing machine, the weights of the heads that write and read, and what was read last."""

    memory: Any
    write_weights: Any
    read_weights: Any
    read: Any


class LevelState(NamedTuple):
    """A level of the hierarchy: the keys and values that later steps can still see."""

    keys: Any
    values: Any


class TransformerState(NamedTuple):
    """A block of the Transformer: the keys and values that later steps can still see."""

    keys: Any
    values: Any


class FoXState(NamedTuple):
    """A block of the forgetting transformer: keys, values, and what their gates' logarithms sum to up to now."""

    keys: Any
    values: Any
    log_kept: Any


class LinearAttentionState(NamedTuple):
    """A block of linear attention: the sum S of the products of keys and values, with that of the keys at its end."""

    S: Any


class RetNetState(NamedTuple):
    """A block of RetNet: the discounted sum S, its keys turned as the next step sees them."""

    S: Any


class MLSTMState(NamedTuple):
    """A block of the mLSTM: S times e^{-m}, with the sum of the keys at its end, and the maximum m."""

    S: Any
    m: Any


class Mamba2State(NamedTuple):
    """A block of Mamba-2: S, and the last inputs of its convolution."""

    S: Any
    inputs: Any


class GatedDeltaNetState(NamedTuple):
    """A block of the gated DeltaNet: S, and the last inputs of its convolution."""

    S: Any
    inputs: Any


NAMED_STATES = (
    RNNState,
    LSTMState,
    FullGateState,
    GRUState,
    MUTState,
    DepthGatedState,
    ClockworkState,
    RHNState,
    MRNNState,
    GridState,
    RWAState,
    RDAState,
    MinGRUState,
    MinLSTMState,
    SLSTMState,
    LRUState,
    S4DState,
    BlockState,
    AttentionState,
    SourceState,
    MemoryState,
    NTMState,
    LevelState,
    TransformerState,
    FoXState,
    LinearAttentionState,
    RetNetState,
    MLSTMState,
    Mamba2State,
    GatedDeltaNetState,
)
# Names and tensors alone, so that a checkpoint which holds them loads with weights only.
torch.serialization.add_safe_globals(list(NAMED_STATES))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """What a tensor of a state has to be."""

    sizes: tuple[int | range, ...]
    """Its shape: a size, or a range of sizes, for every dimension."""
    dtype: torch.dtype | None
    """`None` is any floating-point type."""
    device: torch.device


StateSpec = TensorSpec | tuple["StateSpec", ...]
"""A tree of the shape of a state, with a specification for every tensor."""


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies `function` to every tensor of a state and returns a tree of the same shape, with the same names."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return function(state)
    branches = (map_state(function, branch) for branch in state)
    return type(state)(*branches) if isinstance(state, NAMED_STATES) else tuple(branches)


def strip_names(state: State) -> State:
    """Returns a state as plain tuples."""
    return tuple(map(strip_names, state)) if isinstance(state, tuple) else state


def iter_tensors(state: State) -> Iterator[Tensor]:
    """Iterates over the tensors of a state, from left to right."""
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for branch in state:
            yield from iter_tensors(branch)


def detach(state: State) -> State:
    """Returns the state detached from its autograd graph, as truncated backpropagation carries it over."""
    return map_state(Tensor.detach, state)


def check_tree(state: object) -> None:
    """Raises a TypeError if a state is anything but a tree of tuples of tensors."""
    if isinstance(state, tuple):
        for branch in state:
            check_tree(branch)
    elif state is not None and not isinstance(state, Tensor):
        raise TypeError(
            f"a state is a tensor, or tuples of tensors, as an earlier call returned it, not {_kind(state)}"
        )


def find_mismatch(state: State, spec: StateSpec) -> str | None:
    """Returns what keeps a state, a tree of tuples of tensors, from being what `spec` says; `None` if it is."""
    if isinstance(spec, tuple):
        if not isinstance(state, tuple):
            return f"it has {_kind(state)} where {len(spec)} parts belong"
        if isinstance(state, NAMED_STATES) and isinstance(spec, NAMED_STATES) and type(state) is not type(spec):
            return f"it is {_kind(state)}, not {_kind(spec)}"
        if len(state) != len(spec):
            return f"it has {len(state)} parts where {len(spec)} belong"
        mismatches = (find_mismatch(part, expected) for part, expected in zip(state, spec, strict=True))
        return next((mismatch for mismatch in mismatches if mismatch is not None), None)
    if not isinstance(state, Tensor):
        return f"it has {_kind(state)} where a tensor belongs"
    fits = len(state.shape) == len(spec.sizes) and all(
        size in expected if isinstance(expected, range) else size == expected
        for size, expected in zip(state.shape, spec.sizes, strict=True)
    )
    if not fits:
        sizes = (f"{size[0]} to {size[-1]}" if isinstance(size, range) else str(size) for size in spec.sizes)
        return f"it has a tensor of shape {tuple(state.shape)} where ({', '.join(sizes)}) belongs"
    if state.dtype != spec.dtype if spec.dtype is not None else not state.is_floating_point():
        return f"it is {state.dtype}, not {spec.dtype or 'floating point'}"
    if state.device != spec.device:
        return f"it is on {state.device}, not on {spec.device} as x is"
    return None


def _kind(value: object) -> str:
    """Returns the name of a value's class, as a user would write it."""
    kind = type(value)
    return "None" if value is None else kind.__name__ if kind in NAMED_STATES else f"{kind.__module__}.{kind.__name__}"
