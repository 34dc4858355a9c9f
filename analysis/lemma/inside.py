"""What is written where a model has to alternate, how its attention grows, and what lemma 1 asks for."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.discount.gated import as_number
from analysis.findings import Findings, NotAvailableError, Number
from analysis.lemma.answers import BEYOND, curve
from analysis.measures import freeze, growth, two_way
from analysis.measures.gates import gates
from analysis.subjects import Subject
from architectures.base import evaluating
from architectures.trace import Trace
from workbench.tasks.alternation import Alternation

LATE = 10
"""What is said of the end is the mean over the last of so many parts."""


def inside(subject: Subject, task: Alternation) -> Findings:
    """What is written, and how the attention grows, beside what the lemma asks for."""
    longer = replace(task, length=BEYOND * task.length)
    traced = trace_of(subject, longer if subject.model.encoder.causal else task)
    found = gates(traced, every_layer=False)
    if found is None or traced.content is None:
        raise NotAvailableError(f"{subject.name} has no gates that keep and write")
    time, end = task.length, traced.y.shape[1]
    r = (traced.gates or {}).get("r")
    state = traced.y if r is None else r
    v = growth.reaches(subject.model.readout.weight, traced.content[:, :time], state[:, :time])
    late = slice(time - max(1, time // LATE), time)
    # On to the last step that is followed: within its training length an average may outrun its past.
    slope = two_way.two_way(freeze.write_slopes(found.log_write), two_way.mean)
    numbers = {
        "write_last": _weighted(
            found.write[:, late].mean(1), v, "1", f"mean write at the end of {time:,} steps, units by their reach"
        ),
        "write_slope": as_number(slope, "1", f"slope of log write on log t over the last decade of {end:,} steps"),
    }
    curves = {"write": curve(growth.weighted(found.write, v), "weight", "write, mean over units by their reach")}
    words, missing = {}, {}
    if slope.low is not None and slope.high is not None:
        words["freeze"] = freeze.diagnosis(slope.low, slope.high)
    if found.log_attention is None:
        missing["attention_growth"] = "it has no attention"
        return Findings(numbers=numbers, curves=curves, words=words, missing=missing)
    log_a = found.log_attention - found.log_attention[:, :1]
    rising = torch.as_tensor(growth.slopes(log_a[:, :time]))
    numbers["attention_growth"] = _weighted(rising, v, "nats / step", "slope of log a, mean over units by their reach")
    numbers["attention_growth_largest"] = as_number(
        two_way.Interval(value=float(np.nanmax(rising.numpy()))), "nats / step", "slope of log a of the steepest unit"
    )
    curves["log_attention"] = curve(
        growth.weighted(log_a, v), "nats", "log a less its first value, mean over units by their reach"
    )
    if found.log_discount is not None or r is None:
        missing["growth_needed"] = "it discounts, so its attention need not grow"
        return Findings(numbers=numbers, curves=curves, words=words, missing=missing)
    bound = growth.through_readout(task.amplitude, v)
    tanh = torch.allclose(traced.y, r.tanh(), atol=1e-5)
    stated = growth.lemma(task.amplitude, float(traced.content[:, :time].abs().max()), tanh)
    numbers["growth_of_lemma"] = Number(
        value=stated.growth,
        unit="nats / step",
        what="least growth of log a by the lemma as it stands, where the state itself is the answer",
    )
    if not math.isfinite(bound.growth):
        missing["growth_needed"] = "no attention would do: a write of 1 in every unit does not move its answer by 2 c"
        return Findings(numbers=numbers, curves=curves, words=words, missing=missing)
    numbers["growth_needed"] = Number(
        value=bound.growth, unit="nats / step", what="least growth of log a, with this model's read-out and features"
    )
    numbers["write_needed"] = Number(
        value=bound.write, unit="1", what="least mean write, with its read-out and features"
    )
    numbers["growth_margin"] = _weighted(rising - bound.growth, v, "nats / step", "growth of log a less what is needed")
    if end > time:
        numbers["growth_margin_beyond"] = _weighted(
            torch.as_tensor(growth.slopes(log_a[:, time:])) - bound.growth,
            v,
            "nats / step",
            f"the same over steps {time + 1:,} to {end:,}",
        )
    return Findings(numbers=numbers, curves=curves, words=words, missing=missing)


def trace_of(subject: Subject, task: Alternation) -> Trace:
    """The encoder's trace of the task's one sequence.

    Raises:
        NotAvailableError: if it has none.
    """
    model = subject.model
    batch = task.fixed("test", 1, torch.device("cpu")).to(model.device)
    with torch.no_grad(), evaluating(model):
        try:
            return model.encoder.trace(model.features(batch.x))
        except NotImplementedError:
            raise NotAvailableError(f"{subject.name} has no trace") from None


def _weighted(values: Tensor, v: np.ndarray, unit: str, what: str) -> Number:
    table = values.double().numpy(force=True)
    known = np.isfinite(table)
    pair = np.stack([np.where(known, table, 0.0) * v, known * v], axis=2)
    return as_number(two_way.two_way(pair, two_way.ratio), unit, what)
