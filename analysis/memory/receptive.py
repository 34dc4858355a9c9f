"""Effective receptive field of one model."""

import numpy as np
import torch

from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.measures.gradients import lag_gradients
from analysis.measures.lengths import resized
from analysis.measures.receptive import cumulative, ends, holding, resampled
from analysis.memory.common import CPU, thinned
from analysis.settings import Settings
from analysis.subjects import Subject
from workbench.seeding import seed_of, seeded
from workbench.tasks import Batch, Task

SHARES = (50, 90, 95)
"""Per cent of the squared gradient."""


def receptive_field(subject: Subject, settings: Settings) -> Findings:
    """Within which lags the squared gradient of the last output lies."""
    task, model = resized(subject.task, settings.length), subject.model
    batch = full_length(task, settings.sequences)
    with torch.no_grad():
        x = model.features(batch.x.to(model.device))
    # Every sequence has probe vectors of its own, so a few for each make many.
    directions = max(2, settings.directions // 8)
    generator = seeded(CPU, "receptive field", settings.seed)
    rising = cumulative(lag_gradients(model.encoder, x, directions, generator, batch.lengths).numpy())
    if not len(rising):
        raise NotAvailableError("its last output has no gradient with respect to the input, or an infinite one")
    mean = rising.mean(0)
    samples = resampled(rising, np.random.default_rng(seed_of("receptive field", settings.seed)))
    numbers = {}
    for share in SHARES:
        low, high = (None, None)
        if len(rising) > 1:
            low, high = (float(end) for end in ends(holding(samples, share / 100)))
        numbers[f"field_{share}"] = Number(
            value=float(holding(mean[None], share / 100)[0]),
            low=low,
            high=high,
            unit="steps",
            what=f"lag within which {share} % of the squared gradient of the last output lies",
        )
    words = {}
    if (reach := model.encoder.receptive_field) is None:
        words["reach"] = "unbounded"
    else:
        numbers["reach"] = Number(value=reach, unit="steps", what="steps that an output can depend on at all")
    shown = thinned(rising.shape[1])
    bottom, top = ends(samples)
    curve = Curve.of(
        shown,
        mean[shown],
        low=bottom[shown] if len(rising) > 1 else None,
        high=top[shown] if len(rising) > 1 else None,
        x_unit="steps",
        y_unit="share",
        what="share of the squared gradient of the last output within a lag",
    )
    return Findings(numbers=numbers, curves={"gradient_share": curve}, words=words)


def full_length(task: Task, size: int) -> Batch:
    """Test sequences of as many steps as the task has, or nearly: of eight times as many, the longest."""
    batch = task.fixed("test", size, CPU)
    if batch.lengths is None:
        return batch
    many = task.fixed("test", 8 * size, CPU)
    assert many.lengths is not None
    longest = many.lengths.argsort(descending=True, stable=True)[:size].sort().values
    return Batch(x=many.x[longest], target=many.target[longest], lengths=many.lengths[longest])
