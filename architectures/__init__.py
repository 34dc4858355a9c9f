"""Sequence architectures behind one interface. Needs only torch, which is imported when it is needed.

>>> encoder = build("rda", input_size=2, hidden_size=250, attention="exp", output="tanh")
>>> y, state = encoder(x)              # x (batch, time, 2) -> y (batch, time, encoder.output_size)
>>> y2, state = encoder(x2, state)     # resumes where the first call stopped
>>> trace = encoder.trace(x)           # internal quantities, step by step
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from architectures.parameter_rules import ParameterRule
from architectures.registry import build, names, options

if TYPE_CHECKING:
    from architectures.base import Encoder
    from architectures.state import State, detach, map_state
    from architectures.trace import Trace, influence

__all__ = [
    "Encoder",
    "ParameterRule",
    "State",
    "Trace",
    "build",
    "detach",
    "influence",
    "map_state",
    "names",
    "options",
]

_MODULES = {
    "Encoder": "architectures.base",
    "State": "architectures.state",
    "Trace": "architectures.trace",
    "detach": "architectures.state",
    "influence": "architectures.trace",
    "map_state": "architectures.state",
}
"""The module of each name that needs torch: the names of all architectures are known without it."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
