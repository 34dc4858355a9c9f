"""The recurrence's two passes over time as CUDA graphs of the eager ones.

On a GPU a step of `eager.py` is ten to twenty kernels of a few microseconds each, and launching them one by one takes
longer than running them. A sequence is therefore cut into chunks of steps; the kernels of a chunk are recorded once, as
a CUDA graph on memory of its own, and launched together for every chunk of that form, between copies of its inputs and
results.
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
"""Chunks that are cached for either pass, the least recently used dropped first. Training, validation and its last,
smaller batch, in two layers of different inputs, take 12. One of 64 steps of (100, 250) in float32 has 14 to 84 MB."""

_LOCK = threading.Lock()


def forward(saved: SavedTensors, weight: Tensor, logs: Tensor) -> None:
    """Implements `architectures.kernels.autograd.Passes.forward`."""
    if _is_capturing(saved.u.device):
        eager.forward(saved, weight, logs)
        return
    loaded = None
    with _exclusive_use(saved.u.device):
        for steps in _split_steps(len(saved.u)):
            piece, l = _slice_steps(saved, steps), logs if len(logs) == 2 else logs[steps.start : steps.stop + 1]
            if len(piece.u) not in CHUNK_STEPS:
                eager.forward(piece, weight, l)
                continue
            chunk = forward_chunk(ChunkSpec.from_saved(piece), len(l))
            if chunk is not loaded:
                chunk.weight.copy_(weight)
                loaded = chunk
            chunk.run(piece, l)


def backward(
    saved: SavedTensors,
    weight_h: Tensor,
    output_grads: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """Implements `architectures.kernels.autograd.Passes.backward`."""
    if _is_capturing(saved.u.device):
        return eager.backward(saved, weight_h, output_grads, R, L, grad_u, grad_gates)
    back, loaded = torch.zeros_like(R), None
    with _exclusive_use(saved.u.device):
        for steps in reversed(_split_steps(len(saved.u))):
            # The adjoint of the h between two pieces continues as an adjoint of the r from which it was computed.
            if saved.hidden_tanh:
                R.addcmul_(back, 1 - saved.hidden[steps.stop].square())
            else:
                R.add_(back)
            piece = _slice_steps(saved, steps)
            grad_h, grad_r, grad_l = (None if grad is None else grad[steps] for grad in output_grads)
            arguments = (grad_h, grad_r, grad_l), R, L, grad_u[steps], grad_gates[steps]
            if len(piece.u) not in CHUNK_STEPS:
                back = eager.backward(piece, weight_h, *arguments)
                continue
            # Without the inputs, which the pass does not read, layers that differ in them share a graph.
            piece = replace(piece, operand=piece.hidden)
            has_grads = (grad_h is not None, grad_r is not None, grad_l is not None)
            chunk = backward_chunk(ChunkSpec.from_saved(piece), has_grads)
            if chunk is not loaded:
                chunk.weight_h.copy_(weight_h)
                loaded = chunk
            back = chunk.run(piece, *arguments)
    return back


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSpec:
    """Everything that a chunk's memory and kernels depend on."""

    shape: torch.Size
    """(steps, batch, units)."""
    columns: int
    """Columns of the operand."""
    attention: Attention
    hidden_tanh: bool
    has_p: bool
    has_q: bool
    keep: bool
    """Whether every step has memory of its own, for a backward pass."""
    dtype: torch.dtype
    device: torch.device
    stream: int
    """The stream that uses the chunk: another one would not wait until the memory is free."""
    precision: str
    """The precision of float32 products, which a recorded graph does not look up again."""

    @classmethod
    def from_saved(cls, saved: SavedTensors) -> "ChunkSpec":
        """Returns the spec of a chunk for these tensors, in PyTorch's current stream and precision."""
        device = saved.u.device
        return cls(
            shape=saved.u.shape,
            columns=saved.operand.shape[2],
            attention=saved.attention,
            hidden_tanh=saved.hidden_tanh,
            has_p=saved.p is not None,
            has_q=saved.q is not None,
            keep=saved.delta.stride(0) != 0,
            dtype=saved.u.dtype,
            device=device,
            stream=torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0,
            precision=torch.backends.cuda.matmul.fp32_precision,
        )

    def empty(self, *shape: int) -> Tensor:
        """Returns an uninitialised tensor."""
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def empty_per_step(self) -> Tensor:
        """Returns memory of (steps, batch, units); without a backward pass, all steps share that of one."""
        return self.empty(*self.shape) if self.keep else self.empty(1, *self.shape[1:]).expand(self.shape)

    def empty_saved(self) -> SavedTensors:
        """Returns uninitialised saved tensors for a chunk."""
        steps, batch, units = self.shape
        operand = self.empty(steps + 1, batch, self.columns)
        return SavedTensors(
            self.attention,
            self.hidden_tanh,
            operand,
            u=self.empty(*self.shape),
            tanh_g=self.empty_per_step(),
            p=self.empty_per_step() if self.has_p else None,
            q=self.empty_per_step() if self.has_q else None,
            delta=self.empty_per_step(),
            averages=self.empty(steps + 1, batch, units) if self.hidden_tanh else operand[:, :, self.columns - units :],
        )


class ForwardChunk:
    """The recorded forward pass over a chunk, on memory of its own."""

    # Memory of inference mode could not be written to outside of it.
    @torch.inference_mode(False)
    def __init__(self, spec: ChunkSpec, num_logs: int) -> None:
        _, batch, units = spec.shape
        self.saved, self.logs = spec.empty_saved(), spec.empty(num_logs, batch, units)
        self.weight = spec.empty((2 + spec.has_q) * units, spec.columns)
        self._replay = capture(
            functools.partial(eager.forward, self.saved, self.weight, self.logs), spec.device, spec.stream
        )

    def run(self, saved: SavedTensors, logs: Tensor) -> None:
        """Runs the pass on a chunk's tensors, with the weight that was copied to `weight` before."""
        inputs = saved.operand.shape[2] - saved.u.shape[2]
        self.saved.operand[:-1, :, :inputs].copy_(saved.operand[:-1, :, :inputs])
        self.saved.u.copy_(saved.u)
        self.saved.averages[0].copy_(saved.averages[0])
        self.logs[0].copy_(logs[0])
        self._replay()
        for target, source in zip(_forward_results(saved), _forward_results(self.saved), strict=True):
            # Memory that all steps share is scratch.
            if target.stride(0) != 0:
                target.copy_(source)
        logs.copy_(self.logs)


forward_chunk = functools.lru_cache(MAX_CACHED_GRAPHS)(ForwardChunk)


class BackwardChunk:
    """The recorded backward pass over a chunk, on memory of its own."""

    @torch.inference_mode(False)
    def __init__(self, spec: ChunkSpec, has_grads: tuple[bool, bool, bool]) -> None:
        steps, batch, units = spec.shape
        gates = (2 + spec.has_q) * units
        grad_h, grad_r, grad_l = (spec.empty(*spec.shape) if present else None for present in has_grads)
        self.saved, self.output_grads = spec.empty_saved(), (grad_h, grad_r, grad_l)
        self.weight_h = spec.empty(units, gates)
        self.R, self.L, self.back = (spec.empty(batch, units) for _ in range(3))
        self.grad_u, self.grad_gates = spec.empty(*spec.shape), spec.empty(steps, batch, gates)
        self._replay = capture(self._run_eagerly, spec.device, spec.stream)

    def _run_eagerly(self) -> None:
        back = eager.backward(
            self.saved, self.weight_h, self.output_grads, self.R, self.L, self.grad_u, self.grad_gates
        )
        self.back.copy_(back)

    def run(
        self,
        saved: SavedTensors,
        output_grads: tuple[Tensor | None, Tensor | None, Tensor | None],
        R: Tensor,
        L: Tensor,
        grad_u: Tensor,
        grad_gates: Tensor,
    ) -> Tensor:
        """Runs the pass on a chunk's tensors, with the weight that was copied to `weight_h` before."""
        self.saved.u.copy_(saved.u)
        for target, source in zip(_forward_results(self.saved), _forward_results(saved), strict=True):
            target.copy_(source)
        for own_grad, grad in zip(self.output_grads, output_grads, strict=True):
            if own_grad is not None and grad is not None:
                own_grad.copy_(grad)
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
def _exclusive_use(device: torch.device) -> Iterator[None]:
    """Keeps other threads from using the chunks, and turns autocast off.

    Autograd runs the backward pass in a thread of its own. A recording would keep the products' precision of an
    autocast around it.
    """
    with _LOCK, torch.autocast(device.type, enabled=False):
        yield


def _is_capturing(device: torch.device) -> bool:
    """Returns whether a caller is recording a graph, which cannot contain another."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def _split_steps(time: int) -> list[slice]:
    """Returns slices that cover all steps: chunks, the longest first, and the rest, if any."""
    ends = [0]
    for steps in CHUNK_STEPS:
        ends.extend(range(ends[-1] + steps, time + 1, steps))
    return [slice(*pair) for pair in itertools.pairwise(ends + [time] * (ends[-1] < time))]


def _slice_steps(saved: SavedTensors, steps: slice) -> SavedTensors:
    """Returns views of some of the steps."""
    steps_and_end = slice(steps.start, steps.stop + 1)
    return replace(
        saved,
        operand=saved.operand[steps_and_end],
        u=saved.u[steps],
        tanh_g=saved.tanh_g[steps],
        p=None if saved.p is None else saved.p[steps],
        q=None if saved.q is None else saved.q[steps],
        delta=saved.delta[steps],
        averages=saved.averages[steps_and_end],
    )


def capture(function: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
    """Records the GPU work of a function as a graph and returns the function that replays it, in the same memory.

    The function is run once before, on whatever its memory holds. On a CPU it is returned as it is.
    """
    if device.type != "cuda":
        return function
    with torch.cuda.device(device):
        side_stream = _side_stream(device, stream, threading.get_ident())
        side_stream.wait_stream(torch.cuda.current_stream())
        # Kernels and the libraries' own memory are loaded at first use, which must not be recorded.
        with torch.cuda.stream(side_stream):
            function()
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as a data loader's that pins memory, may continue with calls that a recording forbids.
        with torch.cuda.graph(graph, stream=side_stream, capture_error_mode="thread_local"):
            function()
    return graph.replay


@functools.cache
def _side_stream(device: torch.device, stream: int, thread: int) -> torch.cuda.Stream:
    """Returns the stream on which recordings for another one are made.

    It is kept, since the libraries never free their memory for a stream.
    """
    return torch.cuda.Stream(device)


def _forward_results(saved: SavedTensors) -> list[Tensor]:
    """Returns the tensors that the forward pass fills, each block of memory once."""
    hidden = saved.hidden if saved.hidden_tanh else None
    results = saved.tanh_g, saved.p, saved.q, saved.delta, saved.averages, hidden
    return [values for values in results if values is not None]
