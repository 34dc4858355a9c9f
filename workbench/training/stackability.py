"""Whether runs that differ in their seeds alone can be trained as one stacked model: it is tried on two of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from architectures.kernels.dispatch import BACKEND_VARIABLE
from workbench.config import Experiment
from workbench.process_pool import environment
from workbench.seeding import seeded_apart
from workbench.tasks import Batch
from workbench.training.data_module import TaskDataModule
from workbench.training.sequence_module import SequenceModule
from workbench.training.stacked_gradients import Step, compute_alone, compute_stacked, describe_obstacle

B = TypeVar("B", bound=Batch)

SEQUENCES = 2
"""Sequences of a batch that is tried."""
STEPS = 2
"""Steps that are tried: the second one of a stateful task continues the first."""
TOLERANCE = 1e-9
"""Largest difference, relative to the largest number of a tensor, that is one of rounding in double precision."""


def find_obstacle(experiment: Experiment) -> str | None:
    """Returns why runs of a configuration cannot be trained as one stacked model; `None` if they can.

    Two seeds make two steps each, alone and stacked, in double precision on the CPU, without compiled kernels, which
    would have to be built. The losses and all gradients have to be the same.

    Args:
        experiment: one of the runs.
    """
    if experiment.budget.seconds is not None:
        return "its budget is a time, and a stack's is not that of a run alone"
    if experiment.numerics.precision != "float32":
        return f"it is trained in {experiment.numerics.precision}, which a stack rounds in another way"
    size = min(SEQUENCES, experiment.budget.batch_size)
    small = replace(experiment, budget=replace(experiment.budget, batch_size=size))
    pair = [replace(small, seed=experiment.seed + offset) for offset in range(2)]
    with seeded_apart("stackable"), environment(**{BACKEND_VARIABLE: "eager"}):
        try:
            return _try_steps(pair)
        # Custom code may call sys.exit.
        except (Exception, SystemExit) as error:
            return describe_obstacle(error)


def _try_steps(pair: Sequence[Experiment]) -> str | None:
    data = [TaskDataModule.from_experiment(experiment) for experiment in pair]
    alone, stacked = ([_make_module(experiment) for experiment in pair] for _ in range(2))
    for number in range(STEPS):
        batches = [in_double(source.training_batch(number)) for source in data]
        expected = [Step(module=module, batch=batch) for module, batch in zip(alone, batches, strict=True)]
        for step in expected:
            before = [buffer.clone() for buffer in step.module.buffers()]
            compute_alone(step)
            if step.error is not None:
                return describe_obstacle(step.error)
            if not all(map(torch.equal, before, step.module.buffers())):
                return "it changes buffers as it computes, and a stack has copies of them"
        steps = [Step(module=module, batch=batch) for module, batch in zip(stacked, batches, strict=True)]
        compute_stacked(steps)
        for step, other in zip(steps, expected, strict=True):
            if step.error is not None:
                return describe_obstacle(step.error)
            if not all(map(is_close, _numbers(step), _numbers(other))):
                return "stacked, it computes other numbers than alone"
    return None


def _make_module(experiment: Experiment) -> SequenceModule:
    module = SequenceModule.from_experiment(experiment).double()
    module.logs_steps = False
    return module


def _numbers(step: Step) -> list[Tensor | None]:
    """Returns the scores of a step, and the gradients that it has left."""
    return [*(step.scores or {}).values(), *(parameter.grad for parameter in step.module.parameters())]


def is_close(one: Tensor | None, other: Tensor | None) -> bool:
    """Returns whether two tensors differ by rounding alone; no gradient is one of 0."""
    if one is None or other is None:
        value = other if one is None else one
        return value is None or not value.any()
    return bool((one - other).abs().max() <= TOLERANCE * other.abs().max())


def in_double(batch: B) -> B:
    """Returns a batch with the numbers of double precision."""
    x, target = (value.double() if value.is_floating_point() else value for value in (batch.x, batch.target))
    return replace(batch, x=x, target=target)
