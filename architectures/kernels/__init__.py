"""Recurrences: their definitions, and the ways to compute them."""

from architectures.kernels.attention import ATTENTIONS, Attention
from architectures.kernels.backends import average, run, states
from architectures.kernels.choice import Backend, picked, prepare
from architectures.kernels.operation import START

__all__ = ["ATTENTIONS", "START", "Attention", "Backend", "average", "picked", "prepare", "run", "states"]
