"""Recurrences, by the fastest implementation that works where they are asked for."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from architectures.kernels import build, compiled, eager, operation
from architectures.kernels.attention import Attention

Backend = Literal["auto", "eager", "compiled"]
VARIABLE = "WORKBENCH_BACKEND"
"""The environment variable that names the backend where a call does not."""


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
        backend: `compiled` (CPU, float32 and float64), `eager` (wherever PyTorch runs), or `auto`: the first of these
            that works; by default what the environment variable WORKBENCH_BACKEND says, or else `auto`.

    Returns:
        o = f_o(f_h(r_t)) of every step, (batch, time, units), and the last r and l, (batch, units) each. Under autocast
        they are float32: sums over time would stop growing in half precision.

    Raises:
        RuntimeError: if a backend that was asked for by name does not work here.
    """
    operands = (x, weight_x, bias, weight_h, r, l)
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            x, weight_x, bias, weight_h, r, l = (value.float() for value in operands)
            return average(
                x,
                weight_x,
                bias,
                weight_h,
                r,
                l,
                attention=attention,
                hidden_tanh=hidden_tanh,
                output_tanh=output_tanh,
                backend=backend,
            )
    run = compiled.average if picked(x, backend) == "compiled" else functools.partial(operation.average, passes=eager)
    return run(*operands, attention=attention, hidden_tanh=hidden_tanh, output_tanh=output_tanh)


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

    Where a gradient is asked for, the eager implementation serves it.
    """
    operands = (x, weight_x, bias, weight_h, r, l)
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            x, weight_x, bias, weight_h, r, l = (value.float() for value in operands)
            return states(
                x, weight_x, bias, weight_h, r, l, attention=attention, hidden_tanh=hidden_tanh, backend=backend
            )
    gradient = torch.is_grad_enabled() and any(value.requires_grad for value in operands)
    serves = not gradient and picked(x, backend) == "compiled"
    run = compiled.states if serves else functools.partial(operation.states, passes=eager)
    return run(*operands, attention=attention, hidden_tanh=hidden_tanh)


def run(
    cell: Literal["gru", "rnn"], x: Tensor, weight_x: Tensor, bias: Tensor, weight_h: Tensor, start: Tensor
) -> tuple[Tensor, Tensor] | None:
    """The compiled recurrence of a cell that PyTorch has too (`architectures.kernels.compiled.run`); `None` where
    PyTorch's own is to serve: by another backend, on other devices, and under autocast."""
    if torch.is_autocast_enabled(x.device.type) or not compiled.takes(x) or picked(x) != "compiled":
        return None
    return compiled.run(cell, x, weight_x, bias, weight_h, start)


def picked(x: Tensor, backend: Backend | None = None) -> Literal["eager", "compiled"]:
    """The implementation that serves operands like x.

    Raises:
        ValueError: if there is none of that name.
        RuntimeError: if the one that was named does not work here, or not for such operands.
    """
    name = backend or os.environ.get(VARIABLE) or "auto"
    if name not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, not {name!r} ({VARIABLE}, backend=)")
    if name == "eager":
        return "eager"
    if not compiled.takes(x):
        if name == "compiled":
            raise RuntimeError(f"the compiled kernels take float32 and float64 on the CPU, not {x.dtype} on {x.device}")
        return "eager"
    reason = compiled.failure()
    if reason is None:
        return "compiled"
    if name == "compiled":
        raise RuntimeError(f"the compiled kernels do not work here: {reason}")
    told(reason)
    return "eager"


def prepare(note: Callable[[str], None]) -> None:
    """Builds the compiled kernels if they are wanted and not there yet: before processes start that would each wait for
    them. Where that fails they are not tried again, here or in the processes that are started from here.

    Args:
        note: told, in a line, what takes its time and what cannot be had.
    """
    if (os.environ.get(VARIABLE) or "auto") != "auto":
        return
    try:
        if not build.built():
            note("compiling the recurrent layers for this machine, once (about half a minute)")
    except build.BuildError:
        pass
    if (reason := compiled.failure()) is not None:
        note(SLOWER % reason)
        os.environ[VARIABLE] = "eager"


SLOWER = "recurrent layers run without their compiled kernels, more slowly: %s"


@functools.cache
def told(reason: str) -> None:
    """Says once what is slower than it could be, and why."""
    logging.getLogger("architectures").warning(SLOWER, reason)
