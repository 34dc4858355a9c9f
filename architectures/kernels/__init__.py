"""Kernels of the recurrent layers: the recurrence of RWA and RDA, the GRU's and the RNN's, and sliding attention."""

from architectures.kernels.autograd import INITIAL_LOG_DENOMINATOR
from architectures.kernels.dispatch import (
    Backend,
    build_native_kernels,
    discounted_average,
    discounted_average_states,
    pick_backend,
    run_compiled_cell,
)
from architectures.kernels.pointwise import ATTENTIONS, Attention

__all__ = [
    "ATTENTIONS",
    "INITIAL_LOG_DENOMINATOR",
    "Attention",
    "Backend",
    "build_native_kernels",
    "discounted_average",
    "discounted_average_states",
    "pick_backend",
    "run_compiled_cell",
]
