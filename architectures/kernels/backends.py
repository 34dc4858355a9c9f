"""Recurrences, by the fastest implementation that works where they are asked for."""

import functools
from typing import Any, Literal

import torch
from torch import Tensor

from architectures.kernels import compiled, eager, graphs, operation
from architectures.kernels.attention import Attention
from architectures.kernels.choice import Backend, Picked, picked
from architectures.kernels.padded import padded
from architectures.kernels.passes import Passes
from architectures.kernels.triton_passes import TritonPasses
from architectures.kernels.triton_support import precision


def average(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
    output_tanh: bool,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the recurrence over a batch of sequences; differentiable once, with respect to every operand.

    The columns of the weights are those of [u | g | p | q] for the inputs and [g | p | q] for the recurrence;
    without q (RWA), gamma is 1. The formulas are in `architectures.kernels.operation`.

    Args:
        x: (batch, time, input_size).
        weight_x: (input_size, 4 units), or 3 units without q.
        bias: (4 units,), or 3 units without q.
        weight_h: (units, 3 units), or 2 units without q.
        r: (batch, units) the average so far; at the start the s of h_0 = f_h(s), which the first step replaces.
        l: (batch, units) the log of the denominator so far; `START` at the start.
        attention: f_a.
        hidden_tanh: whether f_h is tanh, or the identity.
        output_tanh: whether f_o is tanh, or the identity.
        backend: `compiled` (CPU, float32 and float64), `triton` (NVIDIA GPUs, float32), `graphs` (NVIDIA GPUs),
            `eager` (wherever PyTorch runs), or `auto`: the first of these that works; by default what the environment
            variable WORKBENCH_BACKEND says, or else `auto`.

    Returns:
        o = f_o(f_h(r_t)) of every step, (batch, time, units), and the last r and l, (batch, units) each. Under autocast
        they are float32: sums over time would stop growing in half precision. The Triton kernels then multiply in what
        autocast is set to, the others in float32.

    Raises:
        RuntimeError: if a backend that was asked for by name does not work here.
    """
    mixed, operands = _single(x, weight_x, bias, weight_h, r, l)
    name = picked(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "output_tanh": output_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name == "compiled":
            return compiled.average(*operands, **options)
        work = functools.partial(operation.average, **options, passes=_passes(name, x, mixed))
        return padded(work, *operands) if name == "triton" else work(*operands)  # type: ignore[return-value]


def states(
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    r: Tensor,
    l: Tensor,
    *,
    attention: Attention,
    hidden_tanh: bool,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """r and l after every step, each (batch, time, units), for whoever looks inside. Takes what `average` takes.

    Where a gradient is asked for, the eager implementation serves it in the compiled one's place.
    """
    mixed, operands = _single(x, weight_x, bias, weight_h, r, l)
    name = picked(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name == "compiled" and not operation.differentiated(*operands):
            return compiled.states(*operands, **options)
        work = functools.partial(operation.states, **options, passes=_passes(name, x, mixed))
        return padded(work, *operands) if name == "triton" else work(*operands)  # type: ignore[return-value]


def run(
    cell: Literal["gru", "rnn"], x: Tensor, weight_x: Tensor, bias: Tensor, weight_h: Tensor, start: Tensor
) -> tuple[Tensor, Tensor] | None:
    """The compiled recurrence of a cell that PyTorch has too (`architectures.kernels.compiled.run`); `None` where
    PyTorch's own is to serve: by another backend, on other devices, and under autocast."""
    if torch.is_autocast_enabled(x.device.type) or not compiled.takes(x) or picked(x) != "compiled":
        return None
    return compiled.run(cell, x, weight_x, bias, weight_h, start)


def _passes(name: Picked, x: Tensor, mixed: torch.dtype | None) -> Passes:
    match name:
        case "triton":
            return TritonPasses(precision(x.device, mixed))
        case "graphs":
            return graphs
    return eager


def _single(*operands: Tensor) -> tuple[torch.dtype | None, tuple[Tensor, ...]]:
    """What autocast is set to, `None` where it is off, and the operands: as float32, where it is on."""
    kind = operands[0].device.type
    if not torch.is_autocast_enabled(kind):
        return None, operands
    return torch.get_autocast_dtype(kind), tuple(value.float() for value in operands)
