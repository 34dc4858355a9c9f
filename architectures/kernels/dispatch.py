"""Which implementation of a recurrence serves, and why."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from architectures.kernels import autograd, cuda_graphs, eager, native, native_build, triton_support
from architectures.kernels.autograd import Passes
from architectures.kernels.pointwise import Attention
from architectures.kernels.triton_passes import TritonPasses, with_padded_units
from architectures.kernels.triton_support import precision

Backend = Literal["auto", "eager", "compiled", "graphs", "triton"]
Picked = Literal["eager", "compiled", "graphs", "triton"]
VARIABLE = "WORKBENCH_BACKEND"
"""The environment variable that names the backend where a call does not."""
SLOWER_WITHOUT_NATIVE = "recurrent layers run without their compiled kernels, more slowly: %s"
SLOWER_WITHOUT_TRITON = "recurrent layers run as CUDA graphs, more slowly than as Triton kernels: %s"


def pick_backend(x: Tensor, backend: Backend | None = None, units: int = 1) -> Picked:
    """The implementation that serves operands like x, for so many units.

    Raises:
        ValueError: if there is none of that name.
        RuntimeError: if the one that was named does not work here, or not for such operands.
    """
    name = backend or os.environ.get(VARIABLE) or "auto"
    match name:
        case "auto":
            return _fastest(x, units)
        case "eager":
            return "eager"
        case "compiled" | "graphs" | "triton":
            if (reason := _against(name, x, units)) is not None:
                raise RuntimeError(reason)
            return name
    raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, not {name!r} ({VARIABLE}, backend=)")


def _fastest(x: Tensor, units: int) -> Picked:
    if x.device.type == "cuda":
        if (reason := _against("triton", x, units)) is None:
            return "triton"
        if _against("graphs", x, units) is None:
            note_once(SLOWER_WITHOUT_TRITON, reason)
            return "graphs"
    elif native.takes(x):
        if (reason := _against("compiled", x, units)) is None:
            return "compiled"
        note_once(SLOWER_WITHOUT_NATIVE, reason.removeprefix("the compiled kernels do not work here: "))
    return "eager"


def _against(name: Literal["compiled", "graphs", "triton"], x: Tensor, units: int) -> str | None:
    """Why the implementation cannot serve; `None` if it can."""
    given = f"{x.dtype} on {x.device}"
    match name:
        case "compiled":
            if not native.takes(x):
                return f"the compiled kernels take float32 and float64 on the CPU, not {given}"
            reason = native.failure()
            return reason and f"the compiled kernels do not work here: {reason}"
        case "graphs":
            takes = x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64)
            return None if takes else f"CUDA graphs take float32 and float64 on NVIDIA GPUs, not {given}"
        case "triton":
            if not triton_support.takes(x):
                return f"the Triton kernels take float32 on NVIDIA GPUs, not {given}"
            if units > (most := triton_support.max_units(x.device)):
                return f"the Triton kernels take {most} units at most here, not {units}"
            reason = triton_support.failure(x.device)
            return reason and f"the Triton kernels do not work here: {reason}"


def prepare(note: Callable[[str], None]) -> None:
    """Builds the compiled kernels if they are wanted and not there yet: before processes start that would each wait for
    them. Where that fails they are not tried again, here or in the processes that are started from here.

    Args:
        note: told, in a line, what takes its time and what cannot be had.
    """
    if (os.environ.get(VARIABLE) or "auto") != "auto":
        return
    try:
        if not native_build.is_built():
            note("compiling the recurrent layers for this machine, once (about half a minute)")
    except native_build.BuildError:
        pass
    if (reason := native.failure()) is not None:
        note(SLOWER_WITHOUT_NATIVE % reason)
        os.environ[VARIABLE] = "eager"


@functools.cache
def note_once(line: str, reason: str) -> None:
    """Says once what is slower than it could be, and why."""
    logging.getLogger("architectures").warning(line, reason)


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
    without q (RWA), gamma is 1. The formulas are in `architectures.kernels.autograd`.

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
    name = pick_backend(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "output_tanh": output_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name == "compiled":
            return native.average(*operands, **options)
        work = functools.partial(autograd.average, **options, passes=_passes(name, x, mixed))
        return with_padded_units(work, *operands) if name == "triton" else work(*operands)  # type: ignore[return-value]


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
    name = pick_backend(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name == "compiled" and not autograd.discounted_average(*operands):
            return native.states(*operands, **options)
        work = functools.partial(autograd.states, **options, passes=_passes(name, x, mixed))
        return with_padded_units(work, *operands) if name == "triton" else work(*operands)  # type: ignore[return-value]


def run(
    cell: Literal["gru", "rnn"], x: Tensor, weight_x: Tensor, bias: Tensor, weight_h: Tensor, start: Tensor
) -> tuple[Tensor, Tensor] | None:
    """The compiled recurrence of a cell that PyTorch has too (`architectures.kernels.native.run`); `None` where
    PyTorch's own is to serve: by another backend, on other devices, and under autocast."""
    if torch.is_autocast_enabled(x.device.type) or not native.takes(x) or pick_backend(x) != "compiled":
        return None
    return native.run(cell, x, weight_x, bias, weight_h, start)


def _passes(name: Picked, x: Tensor, mixed: torch.dtype | None) -> Passes:
    match name:
        case "triton":
            return TritonPasses(precision(x.device, mixed))
        case "graphs":
            return cuda_graphs
    return eager


def _single(*operands: Tensor) -> tuple[torch.dtype | None, tuple[Tensor, ...]]:
    """What autocast is set to, `None` where it is off, and the operands: as float32, where it is on."""
    kind = operands[0].device.type
    if not torch.is_autocast_enabled(kind):
        return None, operands
    return torch.get_autocast_dtype(kind), tuple(value.float() for value in operands)
