"""tanh, which PyTorch's own takes long for on the CPU."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TOGETHER = {"cpu": 2**17, "cuda": 2**24}
"""Numbers that are worked on at once, by kind of device. On a CPU a few such blocks fit into a cache of the second
level; a GPU is to have few calls, and memory for them."""


def at_once(step: Tensor) -> int:
    """How many steps like this one are worked on at once."""
    return max(1, TOGETHER.get(step.device.type, TOGETHER["cuda"]) // max(1, step.numel()))


def tanh(x: Tensor, out: Tensor, scratch: Tensor) -> None:
    """tanh(x) into `out`, which may be x. On the CPU it is made in `scratch`, of the same shape."""
    if x.device.type != "cpu":
        torch.tanh(x, out=out)
        return
    tanh_of_half(torch.add(x, x, out=scratch), out, scratch)


def tanh_of_half(x: Tensor, out: Tensor, scratch: Tensor) -> None:
    """tanh(x / 2) = expm1(x) / (expm1(x) + 2) into `out`, on the CPU: exact near 0, too. x may be `scratch`."""
    torch.clamp(x, max=80.0, out=scratch).expm1_()
    torch.add(scratch, _two(x.dtype), out=out)
    torch.div(scratch, out, out=out)


def tanh_of_all(x: Tensor) -> Tensor:
    """tanh(x), once differentiable, for x: (batch, time, units) with time first in memory."""
    if x.device.type != "cpu":
        return x.tanh()
    result: Tensor = _Tanh.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        steps = x.transpose(0, 1)
        out = torch.empty(steps.shape, dtype=x.dtype, device=x.device)
        together = at_once(out[:1])
        scratch = torch.empty_like(out[:together])
        for some, result in zip(steps.split(together), out.split(together), strict=True):
            tanh(some, result, scratch[: len(some)])
        ctx.save_for_backward(out)
        return out.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad.transpose(0, 1), out).transpose(0, 1)  # type: ignore[no-any-return]


@functools.cache
def _two(dtype: torch.dtype) -> Tensor:
    """A number of Python's would be converted at every call."""
    return torch.tensor(2, dtype=dtype)
