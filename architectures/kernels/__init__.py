"""Recurrences: their definitions, and the ways to compute them."""

from architectures.kernels.autograd import START
from architectures.kernels.dispatch import Backend, average, pick_backend, prepare, run, states
from architectures.kernels.pointwise import ATTENTIONS, Attention

__all__ = ["ATTENTIONS", "START", "Attention", "Backend", "average", "pick_backend", "prepare", "run", "states"]
