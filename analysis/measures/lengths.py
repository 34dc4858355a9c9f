"""The same task with longer or shorter sequences."""

import dataclasses

from analysis.findings import NotAvailableError
from workbench.tasks import Task


def times(task: Task, factor: int) -> Task:
    """The task with its `length` multiplied.

    Raises:
        NotAvailableError: if it has no such option.
    """
    return dataclasses.replace(task, length=factor * _length(task))  # type: ignore[type-var]


def resized(task: Task, steps: int | None) -> Task:
    """The task with sequences of so many steps; by default, as it is.

    Raises:
        NotAvailableError: if the task's `length` cannot be chosen so.
    """
    if steps is None or steps == task.steps:
        return task
    # What a task adds to its length, such as the symbols to recall, stays.
    length = _length(task) + steps - task.steps
    try:
        found: Task = dataclasses.replace(task, length=length)  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        beside = task.steps - _length(task)
        where = f", {beside:,} of which are not of its length" if beside else ""
        raise NotAvailableError(
            f"{type(task).__name__} cannot have sequences of {steps:,} steps{where}: {error}"
        ) from None
    if found.steps != steps:
        raise NotAvailableError(f"{type(task).__name__} cannot have sequences of exactly {steps:,} steps")
    return found


def _length(task: Task) -> int:
    known = {field.name for field in dataclasses.fields(task) if field.init} if dataclasses.is_dataclass(task) else ()
    length = getattr(task, "length", None)
    if "length" not in known or not isinstance(length, int):
        raise NotAvailableError(f"{type(task).__name__} has no option length, so its sequences have one length")
    return length
