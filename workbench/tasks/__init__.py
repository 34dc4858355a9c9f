"""Tasks: sequences with something to remember in them, behind one interface.

>>> task = build("copy", length=1000)
>>> batch = task.train(step=0, size=100, seed=0, device=torch.device("cpu"))
>>> task.loss(prediction, batch), task.metrics(prediction, batch), task.trivial_loss, task.solved
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.tasks.catalogue import CATALOGUE, SUMMARIES, build, defaults, load, names, options
from workbench.tasks.floors import Floor

if TYPE_CHECKING:
    from workbench.seeding import make_generator
    from workbench.seeding import make_generator as seeded
    from workbench.tasks.base import Batch, Criterion, Split, Task

__all__ = [
    "CATALOGUE",
    "SUMMARIES",
    "Batch",
    "Criterion",
    "Floor",
    "Split",
    "Task",
    "build",
    "defaults",
    "load",
    "make_generator",
    "names",
    "options",
    "seeded",
]

_PLACES = {
    **{name: ("workbench.tasks.base", name) for name in ("Batch", "Criterion", "Split", "Task")},
    "make_generator": ("workbench.seeding", "make_generator"),
    # Under this name custom tasks of version 0.1 import it.
    "seeded": ("workbench.seeding", "make_generator"),
}
"""The module of each name that needs torch, and its name there: the names of all tasks are known without it."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, original = _PLACES[name]
    value = globals()[name] = getattr(import_module(module), original)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
