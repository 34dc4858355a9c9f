"""The recurrence of the RWA and the RDA: its definition, and the ways to compute it."""

from architectures.kernels.attention import ATTENTIONS, Attention
from architectures.kernels.backends import Backend, average, picked, states
from architectures.kernels.eager import START

__all__ = ["ATTENTIONS", "START", "Attention", "Backend", "average", "picked", "states"]
