"""Zoneout: units that hold their value for a step, at random in training and by their mean afterwards."""

from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from architectures.trace import Trace

HIDDEN, CELL = ("h", "y", "r"), ("c", "m")
"""Parts of states by name: what is put out, and the cells behind it. Other parts, such as clocks, have no zoneout."""


class Layer(Protocol):
    """What is needed of a recurrent layer."""

    state_class: Any
    """The named tuple of its state."""

    def __call__(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the outputs and the last state."""

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns the internal quantities of every step."""

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns the output of a step that ended with this state and has computed y."""


def run_with_zoneout(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], rates: tuple[float, float], training: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs a layer step by step, each state a mixture of the one before and the one that the step has computed.

        training: s_t = d s_{t-1} + (1 - d) s~_t , d ~ Bernoulli(rate), of its own for every unit, sequence and step
        else:     s_t = rate s_{t-1} + (1 - rate) s~_t

    Source: Krueger et al. 2017, arXiv 1606.01305, section 3.

    Args:
        layer: the layer.
        x: (batch, time, features).
        state: before the first step.
        rates: of hidden states, and of cells.
        training: whether units are drawn.

    Returns:
        The outputs, (batch, time, units), and the last state.
    """
    outputs = []
    for x_t in x.split(1, dim=1):
        y, computed = layer(x_t, state)
        state = mix_states(layer, state, computed, rates, training)
        outputs.append(layer.output_of(state, y))
    return torch.cat(outputs, dim=1), state


def mix_states(
    layer: Layer,
    before: tuple[Tensor, ...],
    computed: tuple[Tensor, ...],
    rates: tuple[float, float],
    training: bool,
) -> tuple[Tensor, ...]:
    """Returns the state after a step, from that before it and the one that the step has computed."""

    def mix(name: str, old: Tensor, new: Tensor) -> Tensor:
        rate = rate_of(name, rates)
        if rate == 0:
            return new
        if training:
            return torch.where(torch.rand_like(new) < rate, old, new)
        return rate * old + (1 - rate) * new

    names = layer.state_class._fields
    mixed = (mix(name, old, new) for name, old, new in zip(names, before, computed, strict=True))
    return layer.state_class(*mixed)  # type: ignore[no-any-return]


def rate_of(name: str, rates: tuple[float, float]) -> float:
    """Returns the rate of a part of a state."""
    return rates[0] if name in HIDDEN else rates[1] if name in CELL else 0.0


def trace_with_zoneout(layer: Layer, x: Tensor, state: tuple[Tensor, ...], rates: tuple[float, float]) -> Trace:
    """Returns the trace of a layer whose units hold their values by their mean.

    Retention and write are those of the mixture: rate + (1 - rate) retention, and (1 - rate) write.
    """
    traces = []
    for x_t in x.split(1, dim=1):
        trace, (y, computed) = layer.trace(x_t, state), layer(x_t, state)
        state = mix_states(layer, state, computed, rates, training=False)
        traces.append(replace(trace, y=layer.output_of(state, y)))
    whole = join_traces(traces)
    names = layer.state_class._fields
    kept = next((name for name in names if name in CELL), names[0])
    rate = rate_of(kept, rates)
    if whole.retention is None or whole.write is None or rate == 0:
        return whole
    return replace(whole, retention=rate + (1 - rate) * whole.retention, write=(1 - rate) * whole.write)


def join_traces(traces: list[Trace]) -> Trace:
    """Returns the trace of all steps, from those of single ones."""

    def join(values: list[Any]) -> Any:
        first = values[0]
        if isinstance(first, Tensor):
            return torch.cat(values, dim=1)
        return {name: join([value[name] for value in values]) for name in first} if isinstance(first, dict) else first

    return Trace(**{item.name: join([getattr(trace, item.name) for trace in traces]) for item in fields(Trace)})
