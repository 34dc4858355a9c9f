"""The two passes over time as CUDA graphs of `eager.py`'s.

On a GPU a step of `eager.py` is ten to twenty kernels of a few microseconds each, and to launch them one by one takes
longer than they do. A graph of a chunk of steps (`chunks.py`) launches them together.
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from architectures.kernels import eager
from architectures.kernels.autograd import SavedTensors
from architectures.kernels.pointwise import Attention

CHUNK_STEPS = (64, 8)
"""Steps of a chunk, the longest first; even, so that two logs that alternate end where they began.

The copies for 64 steps are ten to twenty launches, as many as one step's own: longer chunks would gain next to nothing,
and take more memory and a longer recording. After those of 8, at most 7 steps are left to be launched one by one."""
MAX_CACHED_GRAPHS = 16
"""Chunks remembered for either pass, those not used for longest forgotten first: training, validation and its last,
smaller batch, in two layers of different inputs, take 12. One of 64 steps of (100, 250) in float32 has 14 to 84 MB."""

_LOCK = threading.Lock()


def forward(saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
    """`architectures.kernels.autograd.Passes.forward`."""
    if _is_capturing(saved.u.device):
        eager.forward(saved, weight, logs)
        return
    loaded = None
    with _no_other_capture(saved.u.device):
        for some in _pieces(len(saved.u)):
            piece, l = _cut(saved, some), logs if len(logs) == 2 else logs[some.start : some.stop + 1]
            if len(piece.u) not in CHUNK_STEPS:
                eager.forward(piece, weight, l)
                continue
            chunk = forward_chunk(ChunkSpec.of(piece), len(l))
            if chunk is not loaded:
                chunk.weight.copy_(weight)
                loaded = chunk
            chunk.run(piece, l)


def backward(
    saved: SavedTensors,
    weight_h: Tensor,
    outside: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """`architectures.kernels.autograd.Passes.backward`."""
    if _is_capturing(saved.u.device):
        return eager.backward(saved, weight_h, outside, R, L, grad_u, grad_gates)
    back, loaded = torch.zeros_like(R), None
    with _no_other_capture(saved.u.device):
        for some in reversed(_pieces(len(saved.u))):
            # What came back to the h between two pieces goes on as an adjoint of the r that it was made of.
            if saved.hidden_tanh:
                R.addcmul_(back, 1 - saved.hidden[some.stop].square())
            else:
                R.add_(back)
            piece = _cut(saved, some)
            of_h, of_r, of_l = (None if grad is None else grad[some] for grad in outside)
            adjoints = (of_h, of_r, of_l), R, L, grad_u[some], grad_gates[some]
            if len(piece.u) not in CHUNK_STEPS:
                back = eager.backward(piece, weight_h, *adjoints)
                continue
            # The inputs are no part of it: layers that differ in them share a graph.
            piece = replace(piece, operand=piece.hidden)
            chunk = backward_chunk(ChunkSpec.of(piece), (of_h is not None, of_r is not None, of_l is not None))
            if chunk is not loaded:
                chunk.weight_h.copy_(weight_h)
                loaded = chunk
            back = chunk.run(piece, *adjoints)
    return back


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSpec:
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
    def of(cls, saved: SavedTensors) -> "ChunkSpec":
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

    def saved(self) -> SavedTensors:
        steps, batch, units = self.shape
        operand = self.room(steps + 1, batch, self.columns)
        return SavedTensors(
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


class ForwardChunk:
    """The forward pass over a chunk, in memory of its own."""

    # Memory of inference mode could not be written to outside of it.
    @torch.inference_mode(False)
    def __init__(self, form: ChunkSpec, logs: int) -> None:
        _, batch, units = form.shape
        self.saved, self.logs = form.saved(), form.room(logs, batch, units)
        self.weight = form.room((2 + form.has_q) * units, form.columns)
        self._replay = capture(
            functools.partial(eager.forward, self.saved, self.weight, self.logs), form.device, form.stream
        )

    def run(self, saved: SavedTensors, logs: Tensor) -> None:
        given = saved.operand.shape[2] - saved.u.shape[2]
        self.saved.operand[:-1, :, :given].copy_(saved.operand[:-1, :, :given])
        self.saved.u.copy_(saved.u)
        self.saved.averages[0].copy_(saved.averages[0])
        self.logs[0].copy_(logs[0])
        self._replay()
        for there, here in zip(_remaining(saved), _remaining(self.saved), strict=True):
            # One piece of memory for all steps is scratch.
            if there.stride(0) != 0:
                there.copy_(here)
        logs.copy_(self.logs)


forward_chunk = functools.lru_cache(MAX_CACHED_GRAPHS)(ForwardChunk)


class BackwardChunk:
    """The backward pass over a chunk, in memory of its own."""

    @torch.inference_mode(False)
    def __init__(self, form: ChunkSpec, given: tuple[bool, bool, bool]) -> None:
        steps, batch, units = form.shape
        gates = (2 + form.has_q) * units
        of_h, of_r, of_l = (form.room(*form.shape) if there else None for there in given)
        self.saved, self.outside, self.weight_h = form.saved(), (of_h, of_r, of_l), form.room(units, gates)
        self.R, self.L, self.back = (form.room(batch, units) for _ in range(3))
        self.grad_u, self.grad_gates = form.room(*form.shape), form.room(steps, batch, gates)
        self._replay = capture(self._once, form.device, form.stream)

    def _once(self) -> None:
        back = eager.backward(self.saved, self.weight_h, self.outside, self.R, self.L, self.grad_u, self.grad_gates)
        self.back.copy_(back)

    def run(
        self,
        saved: SavedTensors,
        outside: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        self.saved.u.copy_(saved.u)
        for here, there in zip(_remaining(self.saved), _remaining(saved), strict=True):
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


backward_chunk = functools.lru_cache(MAX_CACHED_GRAPHS)(BackwardChunk)


@contextmanager
def _no_other_capture(device: torch.device) -> Iterator[None]:
    """From the first copy to the last: autograd runs the backward pass in a thread of its own. A recording would keep
    the products' precision of an autocast around it."""
    with _LOCK, torch.autocast(device.type, enabled=False):
        yield


def _is_capturing(device: torch.device) -> bool:
    """Whether this is part of someone else's graph, which cannot hold another."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def _pieces(time: int) -> list[slice]:
    """All steps: chunks, the longest first, and what is left, if anything."""
    ends = [0]
    for steps in CHUNK_STEPS:
        ends.extend(range(ends[-1] + steps, time + 1, steps))
    return [slice(*both) for both in itertools.pairwise(ends + [time] * (ends[-1] < time))]


def _cut(saved: SavedTensors, some: slice) -> SavedTensors:
    """Some steps of it, in the same memory."""
    more = slice(some.start, some.stop + 1)
    return replace(
        saved,
        operand=saved.operand[more],
        u=saved.u[some],
        tanh_g=saved.tanh_g[some],
        p=None if saved.p is None else saved.p[some],
        q=None if saved.q is None else saved.q[some],
        delta=saved.delta[some],
        averages=saved.averages[more],
    )


def capture(work: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
    """Makes of some work what does it again, in the same memory: on a GPU its graph. For that the work is done once, on
    whatever is there."""
    if device.type != "cuda":
        return work
    with torch.cuda.device(device):
        beside = _on_side_stream(device, stream, threading.get_ident())
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
def _on_side_stream(device: torch.device, stream: int, thread: int) -> torch.cuda.Stream:
    """The stream that recordings are made on for another one. The libraries' memory for each stream is never freed."""
    return torch.cuda.Stream(device)


def _remaining(saved: SavedTensors) -> list[Tensor]:
    """What the forward pass leaves, each piece of memory once."""
    hidden = saved.hidden if saved.hidden_tanh else None
    left = saved.tanh_g, saved.p, saved.q, saved.delta, saved.averages, hidden
    return [values for values in left if values is not None]
