"""The recurrences in C++: `native/`, built at first use (`build.py`)."""

import functools
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from architectures.kernels.native_build import BuildError, library
from architectures.kernels.pointwise import ATTENTIONS, Attention

Cell = Literal["rwa", "rda", "gru", "rnn"]
PLAIN = (0, False, False)
"""The options of a cell that has none: attention, hidden_tanh, output_tanh."""


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


def run(
    cell: Cell,
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    start: Tensor,
    options: tuple[int, bool, bool] = PLAIN,
) -> tuple[Tensor, Tensor]:
    """A cell's recurrence over a batch of sequences; differentiable once.

    Args:
        cell: whose.
        x: (batch, time, input_size).
        weight_x: (input_size, blocks), a block of columns for what depends on x alone (u of the averages, W x of the
            GRU's n; the RNN has none), then one for each gate.
        bias: (blocks,).
        weight_h: (units, gates), a block of columns for each gate.
        start: (carried, batch, units).
        options: see `PLAIN`.

    Returns:
        What is put out, (batch, time, units), and what is carried on, (carried, batch, units).
    """
    operands = (x, weight_x, bias, weight_h, start)
    if torch.is_grad_enabled() and any(value.requires_grad for value in operands):
        result: tuple[Tensor, Tensor] = _Run.apply(cell, *operands, *options)  # type: ignore[no-untyped-call]
        return result
    y, _, last, _ = torch.ops.sequence_workbench.run(cell, *operands, *options, False, False)
    return y.transpose(0, 1), last


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
    options = (ATTENTIONS.index(attention), hidden_tanh, output_tanh)
    y, last = run(kind(weight_h), x, weight_x, bias, weight_h, torch.stack([r, l]), options)
    # Each on its own, so that a state that keeps one does not hold on to both.
    return y, last[0].clone(), last[1].clone()


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
    operands = (x, weight_x, bias, weight_h, torch.stack([r, l]))
    options = (ATTENTIONS.index(attention), hidden_tanh, False)
    _, found, _, _ = torch.ops.sequence_workbench.run(kind(weight_h), *operands, *options, False, True)
    return found[0].transpose(0, 1), found[1].transpose(0, 1)


def kind(weight_h: Tensor) -> Cell:
    """Which of the averages has recurrent weights of this shape."""
    return "rda" if weight_h.shape[1] == 3 * weight_h.shape[0] else "rwa"


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        cell, x, weight_x, _, weight_h, start, *options = given
        y, _, last, saved = torch.ops.sequence_workbench.run(*given, True, False)
        ctx.save_for_backward(x, weight_x, weight_h, start, y, saved)
        ctx.cell, ctx.options = cell, options
        ctx.set_materialize_grads(False)
        return y.transpose(0, 1), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor | None, of_last: Tensor | None) -> tuple[Tensor | None, ...]:
        wants_x = ctx.needs_input_grad[1]
        grad_x, *others = torch.ops.sequence_workbench.run_backward(
            ctx.cell, *ctx.saved_tensors, of_y, of_last, *ctx.options, wants_x
        )
        return (None, grad_x if wants_x else None, *others, None, None, None)
