"""Which implementation of a recurrence serves, and why."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from architectures.kernels import build, compiled, triton_support

Backend = Literal["auto", "eager", "compiled", "graphs", "triton"]
Picked = Literal["eager", "compiled", "graphs", "triton"]
VARIABLE = "WORKBENCH_BACKEND"
"""The environment variable that names the backend where a call does not."""
SLOWER = "recurrent layers run without their compiled kernels, more slowly: %s"
UNTRITONED = "recurrent layers run as CUDA graphs, more slowly than as Triton kernels: %s"


def picked(x: Tensor, backend: Backend | None = None, units: int = 1) -> Picked:
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
            told(UNTRITONED, reason)
            return "graphs"
    elif compiled.takes(x):
        if (reason := _against("compiled", x, units)) is None:
            return "compiled"
        told(SLOWER, reason.removeprefix("the compiled kernels do not work here: "))
    return "eager"


def _against(name: Literal["compiled", "graphs", "triton"], x: Tensor, units: int) -> str | None:
    """Why the implementation cannot serve; `None` if it can."""
    given = f"{x.dtype} on {x.device}"
    match name:
        case "compiled":
            if not compiled.takes(x):
                return f"the compiled kernels take float32 and float64 on the CPU, not {given}"
            reason = compiled.failure()
            return reason and f"the compiled kernels do not work here: {reason}"
        case "graphs":
            takes = x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64)
            return None if takes else f"CUDA graphs take float32 and float64 on NVIDIA GPUs, not {given}"
        case "triton":
            if not triton_support.takes(x):
                return f"the Triton kernels take float32 on NVIDIA GPUs, not {given}"
            if units > (most := triton_support.most_units(x.device)):
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
        if not build.built():
            note("compiling the recurrent layers for this machine, once (about half a minute)")
    except build.BuildError:
        pass
    if (reason := compiled.failure()) is not None:
        note(SLOWER % reason)
        os.environ[VARIABLE] = "eager"


@functools.cache
def told(line: str, reason: str) -> None:
    """Says once what is slower than it could be, and why."""
    logging.getLogger("architectures").warning(line, reason)
