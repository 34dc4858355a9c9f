"""Sequence architectures behind one interface. Needs only torch.

>>> encoder = build("rda", input_size=2, hidden_size=250, attention="exp", output="tanh")
>>> y, state = encoder(x)              # x (batch, time, 2) -> y (batch, time, encoder.output_size)
>>> y2, state = encoder(x2, state)     # resumes where the first call stopped
>>> trace = encoder.trace(x)           # internal quantities, step by step
"""

from architectures.base import Encoder
from architectures.registry import build, names, options
from architectures.state import State, detach, map_state
from architectures.trace import Trace, influence

__all__ = ["Encoder", "State", "Trace", "build", "detach", "influence", "map_state", "names", "options"]
