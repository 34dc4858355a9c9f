"""A probe of several measures, of which each may be unavailable by itself."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch

from analysis.probes.errors import LACKING, MachineError, reason
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from workbench.errors import UserError
from workbench.files import one_line
from workbench.tasks import Batch, Task

Part = Callable[[LoadedModel, ProbeSettings], ProbeResult]


def run_measures(parts: Mapping[str, Part], subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """What all parts find in a model. One that fails, or has nothing, costs its own findings only.

    Args:
        parts: by the name under which a reason stands where one is not available.

    Raises:
        NotAvailableError: if none of them finds anything.
        MachineError: if the GPU failed, or none finds anything and one lacked memory.
    """
    numbers: dict[str, Metric] = {}
    curves: dict[str, Curve] = {}
    words: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, part in parts.items():
        try:
            found = part(subject, settings)
        except UserError:
            raise
        except NotAvailableError as error:
            missing[name] = one_line(error)
        except Exception as error:
            # The user's own architecture or task may fail in any way, and the other measures go on.
            missing[name] = reason(error, subject.model.device)
        else:
            numbers |= found.metrics
            curves |= found.curves
            words |= found.labels
            missing |= found.unavailable
    if not numbers and not curves and LACKING in missing.values():
        raise MachineError(LACKING)
    if not numbers and not curves:
        raise NotAvailableError("; ".join(f"{name.replace('_', ' ')}: {reason}" for name, reason in missing.items()))
    return ProbeResult(metrics=numbers, curves=curves, labels=words, unavailable=missing)


def with_length_factor(task: Task, factor: int) -> Task:
    """The task with its `length` multiplied.

    Raises:
        NotAvailableError: if it has no such option.
    """
    return dataclasses.replace(task, length=factor * _length(task))  # type: ignore[type-var]


def with_steps(task: Task, steps: int | None) -> Task:
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


CPU = torch.device("cpu")
"""Where data is drawn."""


def refuse_untrained(subject: LoadedModel) -> None:
    """Raises NotAvailableError for a model that was never taught its task."""
    if not subject.trained:
        raise NotAvailableError("the model is untrained, so its answers say nothing")


def thinned(lags: int) -> np.ndarray:
    """Of the lags 0 .. lags - 1, all of the small ones and fewer and fewer of the large: enough for a figure."""
    wanted = np.concatenate([np.arange(min(lags, 64)), np.geomspace(1, max(lags - 1, 1), 200).round()])
    return np.unique(wanted[wanted < lags]).astype(int)


def full_length(task: Task, size: int) -> Batch:
    """Test sequences of as many steps as the task has, or nearly: of eight times as many, the longest."""
    batch = task.fixed("test", size, CPU)
    if batch.lengths is None:
        return batch
    many = task.fixed("test", 8 * size, CPU)
    assert many.lengths is not None
    longest = many.lengths.argsort(descending=True, stable=True)[:size].sort().values
    return Batch(x=many.x[longest], target=many.target[longest], lengths=many.lengths[longest])
