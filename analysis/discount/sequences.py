"""The test sequences that gates and attention maps are looked at in."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from analysis.findings import NotAvailableError
from analysis.measures.lengths import resized
from analysis.settings import Settings
from analysis.subjects import Subject
from architectures.base import evaluating
from architectures.trace import Trace
from workbench.tasks import Task
from workbench.tasks.multicopy import MultiCopy

ELEMENTS = 1 << 21
"""Numbers in one quantity of a trace, at most: more sequences than that has room for are looked at in parts."""


def probed_task(subject: Subject, settings: Settings) -> Task:
    """The task with sequences of the length asked for: of `multicopy`, as many whole copies as that has room for, and
    two at least.

    Raises:
        NotAvailableError: if the task's length cannot be chosen so.
    """
    task = subject.task
    if isinstance(task, MultiCopy) and settings.length is not None:
        return dataclasses.replace(task, copies=max(2, settings.length // task.unit))
    return resized(task, settings.length)


def traces(subject: Subject, task: Task, sequences: int) -> Iterator[tuple[Trace, Tensor | None]]:
    """Traces of the task's test sequences, part by part, each with its lengths.

    Raises:
        NotAvailableError: if the architecture has no trace.
    """
    model = subject.model
    batch = task.fixed("test", sequences, torch.device("cpu"))
    size = max(1, ELEMENTS // (batch.x.shape[1] * model.encoder.output_size))
    for start in range(0, len(batch.x), size):
        part = batch[start : start + size].to(model.device)
        with torch.no_grad(), evaluating(model):
            try:
                yield model.encoder.trace(model.features(part.x), lengths=part.lengths), part.lengths
            except NotImplementedError:
                raise NotAvailableError(f"{subject.name} has no trace") from None
