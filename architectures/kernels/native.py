"""The recurrences in C++ (`native/`), built at first use (`native_build.py`)."""

import functools
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from architectures.kernels.derivatives import once_differentiable
from architectures.kernels.native_build import BuildError, find_or_build_library
from architectures.kernels.pointwise import ATTENTIONS, Attention

Cell = Literal["rwa", "rda", "slstm", "gru", "rnn", "lstm", "lstm-3", "lstm-peephole", "lstm-peephole-3"]
"""The names of the cells. The LSTM's have four maps of [x, h] or three, and with peepholes a longer state."""
Options = tuple[int, bool, bool]
"""The options of a cell. Averages: the attention function's index, whether f_h and f_o are tanh. LSTM: the sum of the
flags of its parts, whether g and c pass through tanh. sLSTM: 1 for an exponential forget gate, else 0; nothing else."""
NO_OPTIONS: Options = (0, False, False)
"""The options of a cell that has none."""
LSTM_FLAGS: Mapping[str, int] = {"i": 1, "f": 2, "o": 4}
"""The flags of the LSTM's gates that have weights; one that is not there is 1."""
LSTM_COUPLED = 8
"""The flag of an input gate that is 1 - f."""
LSTM_GATES = sum(LSTM_FLAGS.values())
"""The flags of the LSTM with all its gates."""


@functools.cache
def unavailable_reason() -> str | None:
    """Returns why the compiled kernels cannot be used here; `None` if they can. The first call builds them."""
    try:
        torch.ops.load_library(str(find_or_build_library()))
    except (BuildError, OSError) as error:
        return " ".join(str(error).split())
    return None


def supports(x: Tensor) -> bool:
    """Returns whether the kernels support the device and dtype of x."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def run_cell(
    cell: Cell,
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    start: Tensor,
    options: Options = NO_OPTIONS,
) -> tuple[Tensor, Tensor]:
    """Runs a cell's recurrence over a batch of sequences; differentiable once.

    Args:
        cell: the cell's name.
        x: (batch, time, input_size).
        weight_x: (input_size, columns): a column a unit for the feature, which depends on x alone (u of the averages,
            W x of the GRU's n; RNN and LSTM have none), then a column a unit for each gate.
        bias: (columns,).
        weight_h: (units, gate columns), a column a unit for each gate.
        start: (states, batch, units), the state before the first step.
        options: see `Options`.

    Returns:
        The outputs, (batch, time, units), and the state after the last step, (states, batch, units).
    """
    operands = (x, weight_x, bias, weight_h, start)
    if torch.is_grad_enabled() and any(value.requires_grad for value in operands):
        result: tuple[Tensor, Tensor] = _CellFunction.apply(cell, *operands, *options)  # type: ignore[no-untyped-call]
        return result
    y, _, last, _ = torch.ops.sequence_workbench.run(cell, *operands, *options, False, False)
    return y.transpose(0, 1), last


def run_cell_states(
    cell: Cell,
    x: Tensor,
    weight_x: Tensor,
    bias: Tensor,
    weight_h: Tensor,
    start: Tensor,
    options: Options = NO_OPTIONS,
) -> Tensor:
    """Returns the state after every step, (states, batch, time, units), without a gradient.

    Takes the arguments of `run_cell`.
    """
    operands = (x, weight_x, bias, weight_h, start)
    all_states: Tensor = torch.ops.sequence_workbench.run(cell, *operands, *options, False, True)[1]
    return all_states.transpose(1, 2)


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Computes `architectures.kernels.discounted_average`."""
    options = (ATTENTIONS.index(attention), hidden_tanh, output_tanh)
    y, last = run_cell(cell_name(weight_h), x, weight_x, bias, weight_h, torch.stack([r, l]), options)
    # Copies, so that a state that keeps one does not hold on to both.
    return y, last[0].clone(), last[1].clone()


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
) -> tuple[Tensor, Tensor]:
    """Computes `architectures.kernels.discounted_average_states`, without a gradient."""
    operands = (x, weight_x, bias, weight_h, torch.stack([r, l]))
    all_states = run_cell_states(cell_name(weight_h), *operands, (ATTENTIONS.index(attention), hidden_tanh, False))
    return all_states[0], all_states[1]


def cell_name(weight_h: Tensor) -> Cell:
    """Returns which of the two averages has recurrent weights of this shape."""
    return "rda" if weight_h.shape[1] == 3 * weight_h.shape[0] else "rwa"


class _CellFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, Tensor]:
        cell, x, weight_x, _, weight_h, start, *options = args
        y, _, last, saved = torch.ops.sequence_workbench.run(*args, True, False)
        ctx.save_for_backward(x, weight_x, weight_h, start, y, saved)
        ctx.cell, ctx.options = cell, options
        ctx.set_materialize_grads(False)
        return y.transpose(0, 1), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad_last: Tensor | None) -> tuple[Tensor | None, ...]:
        needs_grad_x = ctx.needs_input_grad[1]
        grad_x, *other_grads = torch.ops.sequence_workbench.run_backward(
            ctx.cell, *ctx.saved_tensors, grad_y, grad_last, *ctx.options, needs_grad_x
        )
        return (None, grad_x if needs_grad_x else None, *other_grads, None, None, None)
