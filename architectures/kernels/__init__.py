"""Kernels of the recurrent layers: the averages' recurrence, LSTM, GRU, RNN, the linear one, and sliding attention."""

from architectures.kernels.autograd import INITIAL_LOG_DENOMINATOR
from architectures.kernels.dispatch import (
    Backend,
    build_native_kernels,
    discounted_average,
    discounted_average_states,
    pick_backend,
    run_compiled_cell,
    run_compiled_cell_states,
    runs_compiled_cells,
)
from architectures.kernels.pointwise import ATTENTIONS, Attention
from architectures.kernels.scan import linear_scan

__all__ = [
    "ATTENTIONS",
    "INITIAL_LOG_DENOMINATOR",
    "Attention",
    "Backend",
    "build_native_kernels",
    "discounted_average",
    "discounted_average_states",
    "linear_scan",
    "pick_backend",
    "run_compiled_cell",
    "run_compiled_cell_states",
    "runs_compiled_cells",
]
