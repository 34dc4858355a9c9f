"""Choice of the backend that computes a recurrence, and the functions that recurrent layers call."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from architectures.kernels import autograd, cuda_graphs, eager, native, native_build, triton_support, unrolled
from architectures.kernels.autograd import Passes
from architectures.kernels.pointwise import Attention
from architectures.kernels.triton_passes import TritonPasses, run_with_padded_units
from architectures.kernels.triton_support import product_precision
from architectures.recording import is_recording, is_transformed

Backend = Literal["auto", "eager", "compiled", "graphs", "triton"]
AvailableBackend = Literal["eager", "compiled", "graphs", "triton"]
BACKEND_VARIABLE = "WORKBENCH_BACKEND"
"""The environment variable that names the backend for calls without a `backend` argument."""
SLOWER_WITHOUT_NATIVE = "recurrent layers run without their compiled kernels, more slowly: %s"
SLOWER_WITHOUT_TRITON = "recurrent layers run as CUDA graphs, more slowly than as Triton kernels: %s"


def pick_backend(x: Tensor, backend: Backend | None = None, units: int = 1) -> AvailableBackend:
    """Returns the backend that computes a recurrence for operands like x.

    Args:
        x: an operand, of which dtype and device count.
        backend: a backend's name, or `auto` for the fastest that works; by default the environment variable
            WORKBENCH_BACKEND, or else `auto`.
        units: the number of units.

    Raises:
        ValueError: if there is no backend of that name.
        RuntimeError: if the named backend does not work here, or not for such operands.
    """
    name = backend or os.environ.get(BACKEND_VARIABLE) or "auto"
    match name:
        case "auto":
            return _fastest_backend(x, units)
        case "eager":
            return "eager"
        case "compiled" | "graphs" | "triton":
            if (reason := _reason_against(name, x, units)) is not None:
                raise RuntimeError(reason)
            return name
    raise ValueError(
        f"backend must be one of {', '.join(get_args(Backend))}, not {name!r} ({BACKEND_VARIABLE}, backend=)"
    )


def _fastest_backend(x: Tensor, units: int) -> AvailableBackend:
    """Returns the fastest backend that works; warns once if a faster one does not."""
    if x.device.type == "cuda":
        if (reason := _reason_against("triton", x, units)) is None:
            return "triton"
        if _reason_against("graphs", x, units) is None:
            warn_once(SLOWER_WITHOUT_TRITON, reason)
            return "graphs"
    elif native.supports(x):
        if (reason := _reason_against("compiled", x, units)) is None:
            return "compiled"
        warn_once(SLOWER_WITHOUT_NATIVE, reason.removeprefix("the compiled kernels do not work here: "))
    return "eager"


def _reason_against(name: Literal["compiled", "graphs", "triton"], x: Tensor, units: int) -> str | None:
    """Returns why a backend cannot be used; `None` if it can."""
    dtype_and_device = f"{x.dtype} on {x.device}"
    match name:
        case "compiled":
            if not native.supports(x):
                return f"the compiled kernels take float32 and float64 on the CPU, not {dtype_and_device}"
            reason = native.unavailable_reason()
            return reason and f"the compiled kernels do not work here: {reason}"
        case "graphs":
            supported = x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64)
            return None if supported else f"CUDA graphs take float32 and float64 on NVIDIA GPUs, not {dtype_and_device}"
        case "triton":
            if not triton_support.supports(x):
                return f"the Triton kernels take float32 on NVIDIA GPUs, not {dtype_and_device}"
            if units > (limit := triton_support.max_units(x.device)):
                return f"the Triton kernels take {limit} units at most here, not {units}"
            reason = triton_support.unavailable_reason(x.device)
            return reason and f"the Triton kernels do not work here: {reason}"


def build_native_kernels(log: Callable[[str], None]) -> None:
    """Builds the compiled kernels if they are needed and not built yet.

    To be called before processes start that would all wait for them. If the build fails, neither this process nor those
    that it starts try again: they use the eager backend.

    Args:
        log: called with one line when the build starts, and with one that says why the kernels are unavailable.
    """
    if (os.environ.get(BACKEND_VARIABLE) or "auto") != "auto":
        return
    try:
        if not native_build.is_built():
            log("compiling the recurrent layers for this machine, once (about half a minute)")
    except native_build.BuildError:
        pass
    if (reason := native.unavailable_reason()) is not None:
        log(SLOWER_WITHOUT_NATIVE % reason)
        os.environ[BACKEND_VARIABLE] = "eager"


@functools.cache
def warn_once(message: str, reason: str) -> None:
    """Logs, once, a warning about slower kernels and the reason."""
    logging.getLogger("architectures").warning(message, reason)


def discounted_average(
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
    """Runs the recurrence of the RWA or the RDA over a batch; differentiable once, with respect to every operand.

    The columns of the weights are those of [u | g | p | q] for the inputs and [g | p | q] for the recurrence;
    without q (RWA), gamma is 1. The formulas are in `architectures.kernels.autograd`.

    Args:
        x: (batch, time, input_size).
        weight_x: (input_size, 4 units), or 3 units without q.
        bias: (4 units,), or 3 units without q.
        weight_h: (units, 3 units), or 2 units without q.
        r: (batch, units) the average so far; at the start the s of h_0 = f_h(s), which the first step replaces.
        l: (batch, units) the logarithm of the denominator so far; `INITIAL_LOG_DENOMINATOR` at the start.
        attention: f_a.
        hidden_tanh: whether f_h is tanh, or the identity.
        output_tanh: whether f_o is tanh, or the identity.
        backend: `compiled` (CPU, float32 and float64), `triton` (NVIDIA GPUs, float32), `graphs` (NVIDIA GPUs),
            `eager` (wherever PyTorch runs), or `auto`: the first of these that works. By default the environment
            variable WORKBENCH_BACKEND, or else `auto`.

    Returns:
        o = f_o(f_h(r_t)) of every step, (batch, time, units), and the last r and l, (batch, units) each. Under autocast
        they are float32: sums over time would stop growing in half precision. The Triton kernels then multiply in
        autocast's precision, the others in float32. For float16 without autocast r and l are float32, too, and all is
        computed in it: the l of the start lies beyond the range of float16.

    Raises:
        RuntimeError: if a backend that is requested by name does not work here.
    """
    autocast_dtype, operands = _to_float32(x, weight_x, bias, weight_h, r, l)
    name = None if is_recording() else pick_backend(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh, "output_tanh": output_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name is None:
            if attention == "relu" and is_transformed():
                raise NotImplementedError("the gradient of the relu attention is written by hand")
            y, r, l = unrolled.discounted_average(*operands, **options)
        elif name == "compiled":
            y, r, l = native.discounted_average(*operands, **options)
        else:
            compute = functools.partial(autograd.discounted_average, **options, passes=_passes(name, x, autocast_dtype))
            y, r, l = run_with_padded_units(compute, *operands) if name == "triton" else compute(*operands)
    return y.to(x.dtype) if x.dtype == torch.float16 and autocast_dtype is None else y, r, l


def discounted_average_states(
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
    """Returns r and l after every step, each (batch, time, units), for traces.

    Takes the arguments of `discounted_average`. If a gradient is required, the eager backend replaces the compiled one.
    """
    autocast_dtype, operands = _to_float32(x, weight_x, bias, weight_h, r, l)
    name = pick_backend(operands[0], backend, len(weight_h))
    options: dict[str, Any] = {"attention": attention, "hidden_tanh": hidden_tanh}
    with torch.autocast(x.device.type, enabled=False):
        if name == "compiled" and not autograd.needs_gradient(*operands):
            return native.discounted_average_states(*operands, **options)
        compute = functools.partial(
            autograd.discounted_average_states, **options, passes=_passes(name, x, autocast_dtype)
        )
        return run_with_padded_units(compute, *operands) if name == "triton" else compute(*operands)  # type: ignore[return-value]


def run_compiled_cell(
    cell: native.Cell,
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    start: Tensor,
    options: native.Options = native.NO_OPTIONS,
) -> tuple[Tensor, Tensor] | None:
    """Runs the compiled recurrence of a cell that PyTorch can run too, if the compiled backend is chosen.

    Takes the arguments of `architectures.kernels.native.run_cell` and returns its results, or `None` where PyTorch's
    own implementation is to run: with another backend, on other devices, under autocast, and while PyTorch records.
    """
    if not runs_compiled_cells(x):
        return None
    return native.run_cell(cell, x, weight_x, bias, weight_h, start, options)


def run_compiled_cell_states(
    cell: native.Cell,
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    start: Tensor,
    options: native.Options = native.NO_OPTIONS,
) -> Tensor | None:
    """Returns the state after every step, (states, batch, time, units), for traces.

    `None` where `run_compiled_cell` returns it, and where a gradient is required.
    """
    if not runs_compiled_cells(x) or autograd.needs_gradient(x, weight_x, bias, weight_h, start):
        return None
    return native.run_cell_states(cell, x, weight_x, bias, weight_h, start, options)


def runs_compiled_cells(x: Tensor) -> bool:
    """Returns whether compiled recurrences, where there is one, compute what PyTorch could for operands like x."""
    if torch.is_autocast_enabled(x.device.type) or not native.supports(x) or is_recording():
        return False
    return pick_backend(x) == "compiled"


def _passes(name: AvailableBackend, x: Tensor, autocast_dtype: torch.dtype | None) -> Passes:
    """Returns a backend's passes over time."""
    match name:
        case "triton":
            return TritonPasses(product_precision(x.device, autocast_dtype))
        case "graphs":
            return cuda_graphs
    return eager


def _to_float32(*operands: Tensor) -> tuple[torch.dtype | None, tuple[Tensor, ...]]:
    """Returns autocast's dtype, or `None` if it is off, and the operands: as float32 under autocast and for float16."""
    device = operands[0].device.type
    autocast_dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if autocast_dtype is None and operands[0].dtype != torch.float16:
        return None, operands
    return autocast_dtype, tuple(value.float() for value in operands)
