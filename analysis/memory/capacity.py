"""Memory capacity of one model."""

import math

import numpy as np
import torch

from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.measures.answers import STEPS
from analysis.measures.capacity import capacity
from analysis.measures.noise import noise
from analysis.memory.common import CPU, thinned
from analysis.settings import Settings
from analysis.statistics import half_width
from analysis.subjects import Subject
from architectures.base import evaluating
from workbench.seeding import seeded

SAMPLES = 12_800
"""States that readouts are fitted to, at least; as many again are held out."""
LATEST = 100
"""Samples of one sequence, at most."""
INDEPENDENT = 2
"""Sequences that readouts are fitted to, at least, for each output. The samples of one sequence are much alike where a
state moves slowly; fewer sequences would then let noise pass for memory, however many the samples."""


def memory_capacity(subject: Subject, settings: Settings) -> Findings:
    """How much of each past input a linear readout of the output finds, and the sum."""
    model, task, encoder = subject.model, subject.task, subject.model.encoder
    if not encoder.causal:
        raise NotAvailableError("it is not causal: its output is no state that has seen the past alone")
    lags, size = settings.length or task.steps, encoder.output_size
    each = min(lags, LATEST)
    sequences = 2 * max(INDEPENDENT * size, math.ceil(max(SAMPLES, 50 * size) / each))
    steps = lags - 1 + each
    generator = seeded(CPU, "memory capacity", settings.seed)
    x, u = noise(task, task.fixed("test", 100, CPU), sequences, steps, generator)
    at_once = max(1, STEPS // steps)
    with torch.no_grad(), evaluating(model):
        states = torch.cat(
            [encoder(model.features(part.to(model.device)))[0][:, lags - 1 :].cpu() for part in x.split(at_once)]
        )
    found = capacity(states, u, generator)
    shown = thinned(lags)
    spread = half_width(found.blocks.numpy())
    half = float(half_width(found.blocks.sum(1, keepdim=True).numpy())[0])
    numbers = {
        "memory_capacity": Number(
            value=found.total,
            low=max(0.0, found.total - half),
            high=found.total + half,
            unit="outputs",
            what=f"sum of R^2 over the lags 0 to {lags - 1}, of past input read linearly from the output, held out",
        ),
        "states": Number(value=size, unit="1", what="outputs, the most that memory capacity can be"),
        "capacity_level": Number(
            value=found.level, unit="1", what="R^2 up to which a lag counts as none: 99 % level of shuffled input"
        ),
    }
    r2 = found.r2.numpy()
    curve = Curve.of(
        shown,
        r2[shown],
        low=np.maximum(r2 - spread, 0)[shown],
        high=np.minimum(r2 + spread, 1)[shown],
        x_unit="steps",
        y_unit="R²",
        what="R^2 of the input at a lag, read linearly from the output, held out",
    )
    return Findings(numbers=numbers, curves={"capacity": curve})
