"""The recurrence of the RWA and the RDA: its definition, and the ways to compute it."""

from architectures.kernels.attention import ATTENTIONS, Attention
from architectures.kernels.eager import START, discounted_average

__all__ = ["ATTENTIONS", "START", "Attention", "discounted_average"]
