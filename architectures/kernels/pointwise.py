"""Pointwise functions of the recurrences, and their matrix product: log attention, tanh and `product`.

The attention functions f_a are those of the RDA paper (section 5.1), in the logarithm. On a CPU, tanh and products take
faster ways than PyTorch's own functions.
"""

import functools
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from architectures.kernels.derivatives import once_differentiable

Attention = Literal["exp", "sigmoid", "softplus", "relu"]
ATTENTIONS: tuple[Attention, ...] = get_args(Attention)

BLOCK_NUMEL = {"cpu": 2**17, "cuda": 2**24}
"""Numbers that are processed at once, by device type. On a CPU a few such blocks fit into a second-level cache; on a
GPU few launches matter more, and there is memory for them."""

ONEDNN_MIN_MULTIPLY_ADDS = 2**21
"""Multiply-adds from which oneDNN makes up for the higher cost of calling it."""


def log_attention(p: Tensor, attention: Attention) -> Tensor:
    """Returns alpha = log f_a(p), element by element; -inf where the relu is closed."""
    match attention:
        case "exp":
            return p
        case "sigmoid":
            return logsigmoid(p)
        case "softplus":
            # Far below zero softplus(p) is exp(p), which underflows long before p does.
            return torch.where(p < _softplus_tail(p), p, softplus(p).log())
        case "relu":
            return p.relu().log()


def log_attention_slope(p: Tensor, attention: Attention) -> Tensor | None:
    """Returns d alpha / d p, element by element: `None` stands for 1 everywhere; it is 0 for a closed relu."""
    match attention:
        case "exp":
            return None
        case "sigmoid":
            return torch.sigmoid(-p)
        case "softplus":
            return torch.where(p < _softplus_tail(p), torch.ones_like(p), p.sigmoid() / softplus(p))
        case "relu":
            return torch.where(p > 0, p.clamp_min(torch.finfo(p.dtype).tiny).reciprocal(), torch.zeros_like(p))


def _softplus_tail(p: Tensor) -> float:
    """Returns the p below which log(softplus(p)) = p to the last digit: the difference is exp(p) / 2."""
    return -36.0 if p.dtype == torch.float64 else -15.0


def steps_per_block(step: Tensor) -> int:
    """Returns how many steps of this size are processed at once."""
    return max(1, BLOCK_NUMEL.get(step.device.type, BLOCK_NUMEL["cuda"]) // max(1, step.numel()))


def tanh(x: Tensor, out: Tensor, scratch: Tensor) -> None:
    """Writes the hyperbolic tangent of x to `out`, which may be x; may overwrite `scratch`, of the same shape."""
    if x.device.type != "cpu":
        torch.tanh(x, out=out)
        return
    tanh_of_half(torch.add(x, x, out=scratch), out, scratch)


def tanh_of_half(x: Tensor, out: Tensor, scratch: Tensor) -> None:
    """Writes tanh(x / 2) = expm1(x) / (expm1(x) + 2) to `out`, on a CPU; exact near 0, too. x may be `scratch`."""
    torch.clamp(x, max=80.0, out=scratch).expm1_()
    torch.add(scratch, _two(x.dtype), out=out)
    torch.div(scratch, out, out=out)


def tanh_over_time(x: Tensor) -> Tensor:
    """Returns tanh(x), once differentiable, for x: (batch, time, units) with time first in memory."""
    if x.device.type != "cpu":
        return x.tanh()
    result: Tensor = _Tanh.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        steps = x.transpose(0, 1)
        out = torch.empty(steps.shape, dtype=x.dtype, device=x.device)
        block_steps = steps_per_block(out[:1])
        scratch = torch.empty_like(out[:block_steps])
        for block, result in zip(steps.split(block_steps), out.split(block_steps), strict=True):
            tanh(block, result, scratch[: len(block)])
        ctx.save_for_backward(out)
        return out.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad.transpose(0, 1), out).transpose(0, 1)  # type: ignore[no-any-return]


@functools.cache
def _two(dtype: torch.dtype) -> Tensor:
    """Returns 2 as a tensor: a Python number would be converted at every call."""
    return torch.tensor(2, dtype=dtype)


def product(a: Tensor, weight: Tensor) -> Tensor:
    """Returns a weight^T as a new tensor, (rows, units), for a: (rows, n) and weight: (units, n); not differentiable.

    For float32 PyTorch calls MKL, which on processors of other makers than Intel takes up to twice as long as oneDNN,
    on which PyTorch's own LSTM relies.
    """
    large = a.shape[0] * a.shape[1] * weight.shape[0] >= ONEDNN_MIN_MULTIPLY_ADDS
    if large and a.dtype == torch.float32 and a.device.type == "cpu" and has_onednn():
        # The operator that PyTorch's compiler calls; there is no public function for tensors of the ordinary layout.
        result: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, weight, None, "none", [], "")
        return result
    return a @ weight.t()


@functools.cache
def has_onednn() -> bool:
    """Returns whether this PyTorch has the oneDNN operator that `product` calls, and it runs here."""
    try:
        one = torch.ones(1, 1)
        return bool(torch.ops.mkldnn._linear_pointwise.default(one, one, None, "none", [], "") == one)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
