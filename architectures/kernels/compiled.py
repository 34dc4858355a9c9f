"""The recurrence of the RWA and the RDA in C++: `native/`, built at first use (`build.py`)."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from architectures.kernels.attention import ATTENTIONS, Attention
from architectures.kernels.build import BuildError, library


@functools.cache
def failure() -> str | None:
    """Why the compiled kernels cannot be used here; `None` if they can. The first call builds them."""
    try:
        torch.ops.load_library(str(library()))
    except (BuildError, OSError) as error:
        return " ".join(str(error).split())
    return None


def takes(x: Tensor) -> bool:
    """Whether the kernels are for numbers such as these."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


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
) -> tuple[Tensor, Tensor, Tensor]:
    """`architectures.kernels.average`."""
    operands = (x, weight_x, bias, weight_h, r, l)
    options = (ATTENTIONS.index(attention), hidden_tanh, output_tanh)
    if torch.is_grad_enabled() and any(value.requires_grad for value in operands):
        result: tuple[Tensor, Tensor, Tensor] = _Average.apply(*operands, *options)  # type: ignore[no-untyped-call]
        return result
    y, _, _, r_last, l_last, _ = torch.ops.sequence_workbench.average(*operands, *options, False, False)
    return y.transpose(0, 1), r_last, l_last


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
) -> tuple[Tensor, Tensor]:
    """`architectures.kernels.states`, without a gradient."""
    options = (ATTENTIONS.index(attention), hidden_tanh, False)
    _, rs, ls, *_ = torch.ops.sequence_workbench.average(x, weight_x, bias, weight_h, r, l, *options, False, True)
    return rs.transpose(0, 1), ls.transpose(0, 1)


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        x, weight_x, _, weight_h, r, _, *options = given
        y, _, _, r_last, l_last, saved = torch.ops.sequence_workbench.average(*given, True, False)
        ctx.save_for_backward(x, weight_x, weight_h, r, y, saved)
        ctx.options = options
        ctx.set_materialize_grads(False)
        return y.transpose(0, 1), r_last, l_last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wants_x = ctx.needs_input_grad[0]
        grad_x, *others = torch.ops.sequence_workbench.average_backward(
            *ctx.saved_tensors, *grads, *ctx.options, wants_x
        )
        return (grad_x if wants_x else None, *others, None, None, None)
