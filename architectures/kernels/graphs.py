"""The two passes over time as CUDA graphs of `eager.py`'s.

On a GPU a step of `eager.py` is ten to twenty kernels of a few microseconds each, and to launch them one by one takes
longer than they do. A graph of a chunk of steps (`chunks.py`) launches them together.
"""

import functools
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from architectures.kernels import eager
from architectures.kernels.chunks import Backward, Form, Forward
from architectures.kernels.passes import Saved

STEPS = (64, 8)
"""Steps of a chunk, the longest first; even, so that two logs that alternate end where they began.

The copies for 64 steps are ten to twenty launches, as many as one step's own: longer chunks would gain next to nothing,
and take more memory and a longer recording. After those of 8, at most 7 steps are left to be launched one by one."""
KEPT = 16
"""Chunks remembered for either pass, those not used for longest forgotten first: training, validation and its last,
smaller batch, in two layers of different inputs, take 12. One of 64 steps of (100, 250) in float32 has 14 to 84 MB."""

_LOCK = threading.Lock()


def forward(saved: Saved, weight: Tensor, logs: Tensor) -> None:
    """`architectures.kernels.passes.Passes.forward`."""
    if _being_recorded(saved.u.device):
        eager.forward(saved, weight, logs)
        return
    loaded = None
    with _alone(saved.u.device):
        for some in _pieces(len(saved.u)):
            piece, l = _cut(saved, some), logs if len(logs) == 2 else logs[some.start : some.stop + 1]
            if len(piece.u) not in STEPS:
                eager.forward(piece, weight, l)
                continue
            chunk = forward_chunk(Form.of(piece), len(l))
            if chunk is not loaded:
                chunk.weight.copy_(weight)
                loaded = chunk
            chunk.run(piece, l)


def backward(
    saved: Saved,
    weight_h: Tensor,
    outside: tuple[Tensor | None, Tensor | None, Tensor | None],
    R: Tensor,
    L: Tensor,
    grad_u: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """`architectures.kernels.passes.Passes.backward`."""
    if _being_recorded(saved.u.device):
        return eager.backward(saved, weight_h, outside, R, L, grad_u, grad_gates)
    back, loaded = torch.zeros_like(R), None
    with _alone(saved.u.device):
        for some in reversed(_pieces(len(saved.u))):
            # What came back to the h between two pieces goes on as an adjoint of the r that it was made of.
            if saved.hidden_tanh:
                R.addcmul_(back, 1 - saved.hidden[some.stop].square())
            else:
                R.add_(back)
            piece = _cut(saved, some)
            of_h, of_r, of_l = (None if grad is None else grad[some] for grad in outside)
            adjoints = (of_h, of_r, of_l), R, L, grad_u[some], grad_gates[some]
            if len(piece.u) not in STEPS:
                back = eager.backward(piece, weight_h, *adjoints)
                continue
            # The inputs are no part of it: layers that differ in them share a graph.
            piece = replace(piece, operand=piece.hidden)
            chunk = backward_chunk(Form.of(piece), (of_h is not None, of_r is not None, of_l is not None))
            if chunk is not loaded:
                chunk.weight_h.copy_(weight_h)
                loaded = chunk
            back = chunk.run(piece, *adjoints)
    return back


forward_chunk = functools.lru_cache(KEPT)(Forward)
backward_chunk = functools.lru_cache(KEPT)(Backward)


@contextmanager
def _alone(device: torch.device) -> Iterator[None]:
    """From the first copy to the last: autograd runs the backward pass in a thread of its own. A recording would keep
    the products' precision of an autocast around it."""
    with _LOCK, torch.autocast(device.type, enabled=False):
        yield


def _being_recorded(device: torch.device) -> bool:
    """Whether this is part of someone else's graph, which cannot hold another."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def _pieces(time: int) -> list[slice]:
    """All steps: chunks, the longest first, and what is left, if anything."""
    ends = [0]
    for steps in STEPS:
        ends.extend(range(ends[-1] + steps, time + 1, steps))
    return [slice(*both) for both in itertools.pairwise(ends + [time] * (ends[-1] < time))]


def _cut(saved: Saved, some: slice) -> Saved:
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
