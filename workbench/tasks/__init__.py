"""Tasks: sequences with something to remember in them, behind one interface.

>>> task = build("copy", length=1000)
>>> batch = task.train(step=0, size=100, seed=0, device=torch.device("cpu"))
>>> task.loss(prediction, batch), task.metrics(prediction, batch), task.trivial_loss, task.solved
"""

from workbench.seeding import make_generator
from workbench.tasks.base import Batch, Criterion, Split, Task
from workbench.tasks.catalogue import CATALOGUE, SUMMARIES, build, defaults, load, names, options

__all__ = [
    "CATALOGUE",
    "SUMMARIES",
    "Batch",
    "Criterion",
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

seeded = make_generator
"""`make_generator` under the name that custom tasks of version 0.1 import."""
