"""Building blocks of probes: several measures in one probe, tasks of another length, lags of a curve."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from analysis.probes.errors import OUT_OF_MEMORY, MachineError, failure_reason
from analysis.probes.models import LoadedModel
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.seq2seq import Seq2Seq
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.model import Model
from workbench.seeding import CPU
from workbench.tasks import Batch, Task

Measure = Callable[[LoadedModel, ProbeSettings], ProbeResult]
"""One of the measures of a probe."""


def run_measures(measures: Mapping[str, Measure], loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Returns the results of all measures of a model.

    A measure that fails, or is not available, costs only its own results.

    Args:
        measures: by the name under which the reason is kept if one is not available.
        loaded: the model.
        settings: of the probe.

    Raises:
        NotAvailableError: if none of them has a result.
        MachineError: if the GPU failed, or if none has a result and memory ran out in one of them.
    """
    results = []
    for name, measure in measures.items():
        try:
            results.append(measure(loaded, settings))
        except UserError:
            raise
        except NotAvailableError as error:
            results.append(ProbeResult(unavailable={name: describe_error(error)}))
        except Exception as error:
            # A custom architecture or task may fail in any way, and the other measures still count.
            results.append(ProbeResult(unavailable={name: failure_reason(error, loaded.model.device)}))
    merged = ProbeResult.merge(results)
    if not merged.metrics and not merged.curves:
        if OUT_OF_MEMORY in merged.unavailable.values():
            raise MachineError(OUT_OF_MEMORY)
        raise NotAvailableError(
            "; ".join(f"{name.replace('_', ' ')}: {reason}" for name, reason in merged.unavailable.items())
        )
    return merged


def require_trained(loaded: LoadedModel) -> None:
    """Raises NotAvailableError for an untrained model."""
    if not loaded.trained:
        raise NotAvailableError("the model is untrained, so its answers say nothing")


def with_length_factor(task: Task, factor: int) -> Task:
    """Returns the task with its `length` multiplied.

    Raises:
        NotAvailableError: if it has no such option.
    """
    return dataclasses.replace(task, length=factor * _length_option(task))  # type: ignore[type-var]


def with_steps(task: Task, steps: int | None) -> Task:
    """Returns the task with sequences of so many steps; by default, unchanged.

    Raises:
        NotAvailableError: if no `length` of the task gives so many steps.
    """
    if steps is None or steps == task.steps:
        return task
    # What a task adds to its length, such as the symbols to recall, stays.
    additional = task.steps - _length_option(task)
    try:
        changed: Task = dataclasses.replace(task, length=steps - additional)  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        note = f", {additional:,} of which are not part of its length" if additional else ""
        raise NotAvailableError(
            f"{type(task).__name__} cannot have sequences of {steps:,} steps{note}: {error}"
        ) from None
    if changed.steps != steps:
        raise NotAvailableError(f"{type(task).__name__} cannot have sequences of exactly {steps:,} steps")
    return changed


@contextmanager
def source_of(model: Model, task: Task) -> Iterator[None]:
    """Lets an encoder and decoder read the source of a task of another length than it was trained on."""
    encoder, steps = model.encoder, task.source_steps
    if not isinstance(encoder, Seq2Seq) or steps is None:
        yield
        return
    trained, encoder.source = encoder.source, steps
    try:
        yield
    finally:
        encoder.source = trained


def longest_test_sequences(task: Task, size: int) -> Batch:
    """Returns test sequences of nearly as many steps as the task allows: of eight times as many, the longest."""
    batch = task.fixed("test", size, CPU)
    if batch.lengths is None:
        return batch
    pool = task.fixed("test", 8 * size, CPU)
    assert pool.lengths is not None
    longest = pool.lengths.argsort(descending=True, stable=True)[:size].sort().values
    return Batch(x=pool.x[longest], target=pool.target[longest], lengths=pool.lengths[longest])


def lags_for_curve(count: int) -> np.ndarray:
    """Returns some of the lags 0 .. count - 1, enough for a figure: all small ones, and few of the large ones."""
    candidates = np.concatenate([np.arange(min(count, 64)), np.geomspace(1, max(count - 1, 1), 200).round()])
    return np.unique(candidates[candidates < count]).astype(int)


def _length_option(task: Task) -> int:
    options = {item.name for item in dataclasses.fields(task) if item.init} if dataclasses.is_dataclass(task) else ()
    length = getattr(task, "length", None)
    if "length" not in options or not isinstance(length, int):
        raise NotAvailableError(f"{type(task).__name__} has no option length, so its sequences have one length")
    return length
