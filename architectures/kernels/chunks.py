"""The two passes over a chunk of steps as CUDA graphs of `eager.py`'s.

A graph launches its kernels together, yet in the memory that it was recorded with. So a chunk has memory of its own:
what it reads is copied in, what it leaves is copied out. Nothing that a backward pass needs stays there, so other calls
may come in between. Where there are no graphs the same copies are made, and the steps run one by one.
"""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from architectures.kernels import eager
from architectures.kernels.attention import Attention
from architectures.kernels.passes import Saved


def captured(work: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
    """Makes of some work what does it again, in the same memory: on a GPU its graph. For that the work is done once, on
    whatever is there."""
    if device.type != "cuda":
        return work
    with torch.cuda.device(device):
        beside = _beside(device, stream, threading.get_ident())
        beside.wait_stream(torch.cuda.current_stream())
        # Kernels and the libraries' own memory are loaded at first use, which must not be recorded.
        with torch.cuda.stream(beside):
            work()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as a data loader's that pins memory, may go on with what a recording must not do.
        with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
            work()
    return graph.replay


@functools.cache
def _beside(device: torch.device, stream: int, thread: int) -> torch.cuda.Stream:
    """The stream that recordings are made on for another one. The libraries' memory for each stream is never freed."""
    return torch.cuda.Stream(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a chunk's memory and kernels depend on."""

    shape: torch.Size
    """(steps, batch, units)."""
    columns: int
    """Of the operand."""
    attention: Attention
    hidden_tanh: bool
    has_p: bool
    has_q: bool
    kept: bool
    """Whether every step has memory of its own, for a backward pass."""
    dtype: torch.dtype
    device: torch.device
    stream: int
    """Which one uses it: another one would not wait until the memory is free."""
    precision: str
    """Of float32 products, which a recording does not ask for again."""

    @classmethod
    def of(cls, saved: Saved) -> "Form":
        device = saved.u.device
        return cls(
            shape=saved.u.shape,
            columns=saved.operand.shape[2],
            attention=saved.attention,
            hidden_tanh=saved.hidden_tanh,
            has_p=saved.p is not None,
            has_q=saved.q is not None,
            kept=saved.delta.stride(0) != 0,
            dtype=saved.u.dtype,
            device=device,
            stream=torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0,
            precision=torch.backends.cuda.matmul.fp32_precision,
        )

    def room(self, *shape: int) -> Tensor:
        """Memory of its own, whatever is in it."""
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def every_step(self) -> Tensor:
        """Memory for a number a unit and step, or the same for every step."""
        return self.room(*self.shape) if self.kept else self.room(1, *self.shape[1:]).expand(self.shape)

    def saved(self) -> Saved:
        steps, batch, units = self.shape
        operand = self.room(steps + 1, batch, self.columns)
        return Saved(
            self.attention,
            self.hidden_tanh,
            operand,
            u=self.room(*self.shape),
            tanh_g=self.every_step(),
            p=self.every_step() if self.has_p else None,
            q=self.every_step() if self.has_q else None,
            delta=self.every_step(),
            averages=self.room(steps + 1, batch, units) if self.hidden_tanh else operand[:, :, self.columns - units :],
        )


class Forward:
    """The forward pass over a chunk, in memory of its own."""

    # Memory of inference mode could not be written to outside of it.
    @torch.inference_mode(False)
    def __init__(self, form: Form, logs: int) -> None:
        _, batch, units = form.shape
        self.saved, self.logs = form.saved(), form.room(logs, batch, units)
        self.weight = form.room((2 + form.has_q) * units, form.columns)
        self._replay = captured(
            functools.partial(eager.forward, self.saved, self.weight, self.logs), form.device, form.stream
        )

    def run(self, saved: Saved, logs: Tensor) -> None:
        given = saved.operand.shape[2] - saved.u.shape[2]
        self.saved.operand[:-1, :, :given].copy_(saved.operand[:-1, :, :given])
        self.saved.u.copy_(saved.u)
        self.saved.averages[0].copy_(saved.averages[0])
        self.logs[0].copy_(logs[0])
        self._replay()
        for there, here in zip(_left(saved), _left(self.saved), strict=True):
            # One piece of memory for all steps is scratch.
            if there.stride(0) != 0:
                there.copy_(here)
        logs.copy_(self.logs)


class Backward:
    """The backward pass over a chunk, in memory of its own."""

    @torch.inference_mode(False)
    def __init__(self, form: Form, given: tuple[bool, bool, bool]) -> None:
        steps, batch, units = form.shape
        gates = (2 + form.has_q) * units
        of_h, of_r, of_l = (form.room(*form.shape) if there else None for there in given)
        self.saved, self.outside, self.weight_h = form.saved(), (of_h, of_r, of_l), form.room(units, gates)
        self.R, self.L, self.back = (form.room(batch, units) for _ in range(3))
        self.grad_u, self.grad_gates = form.room(*form.shape), form.room(steps, batch, gates)
        self._replay = captured(self._once, form.device, form.stream)

    def _once(self) -> None:
        back = eager.backward(self.saved, self.weight_h, self.outside, self.R, self.L, self.grad_u, self.grad_gates)
        self.back.copy_(back)

    def run(
        self,
        saved: Saved,
        outside: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        self.saved.u.copy_(saved.u)
        for here, there in zip(_left(self.saved), _left(saved), strict=True):
            here.copy_(there)
        for mine, grad in zip(self.outside, outside, strict=True):
            if mine is not None and grad is not None:
                mine.copy_(grad)
        self.R.copy_(R)
        self.L.copy_(L)
        self._replay()
        R.copy_(self.R)
        L.copy_(self.L)
        grad_u.copy_(self.grad_u)
        grad_gates.copy_(self.grad_gates)
        return self.back.clone()


def _left(saved: Saved) -> list[Tensor]:
    """What the forward pass leaves, each piece of memory once."""
    hidden = saved.hidden if saved.hidden_tanh else None
    left = saved.tanh_g, saved.p, saved.q, saved.delta, saved.averages, hidden
    return [values for values in left if values is not None]
