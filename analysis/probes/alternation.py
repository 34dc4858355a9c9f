"""Lemma 1 of the RDA paper: to alternate, the attention of a recurrent weighted average has to grow geometrically.

What the lemma asks for, as it stands and through a read-out, is in `analysis/measures/growth.py`.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures import gates, lemma1
from analysis.measures.gates import gate_traces
from analysis.probes.errors import LACKING, reason
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult, metric_of_interval
from analysis.probes.settings import ProbeSettings
from architectures.base import evaluating
from architectures.trace import Trace
from workbench.tasks.alternation import Alternation


def measure(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Answers, write and attention of the model at its task's length, and on to four times as much.

    Raises:
        NotAvailableError: if its task is another than alternation.
    """
    if not isinstance(subject.task, Alternation):
        raise NotAvailableError("lemma 1 is about the task alternation alone")
    task = replace(subject.task, length=settings.length or subject.task.length)
    found = [answers(subject, task)]
    missing: dict[str, str] = {}
    try:
        found.append(beyond(subject, task))
    except Exception as error:
        # A model may be bound to its training length.
        why = reason(error, subject.model.device)
        missing["loss_beyond"] = why if why == LACKING else f"not at {BEYOND} times the length: {why}"
    try:
        found.append(inside(subject, task))
    except NotAvailableError as error:
        missing["write"] = str(error)
    for each in found:
        missing |= each.unavailable
    return ProbeResult(
        metrics={name: value for each in found for name, value in each.metrics.items()},
        curves={name: value for each in found for name, value in each.curves.items()},
        labels={name: value for each in found for name, value in each.labels.items()},
        unavailable=missing,
    )


BEYOND = 4
"""Times the length: as far as the model is followed."""


def answers(subject: LoadedModel, task: Alternation) -> ProbeResult:
    """Loss and amplitude of what is put out."""
    answer, target = answered(subject, task)
    loss, trivial = float((answer - target).square().mean()), task.trivial_loss
    numbers = {
        "loss": Metric(value=loss, unit="", what=f"mean squared error over {task.length:,} steps"),
        "trivial_loss": Metric(value=trivial, unit="", what="loss of the best constant answer"),
        "loss_share": Metric(value=loss / trivial, unit="1", what="loss over the trivial one"),
        "amplitude": _amplitude(answer, task, f"over {task.length:,} steps"),
    }
    return ProbeResult(metrics=numbers)


def beyond(subject: LoadedModel, task: Alternation) -> ProbeResult:
    """The same at steps that come after those of training."""
    longer = replace(task, length=BEYOND * task.length)
    answer, target = answered(subject, longer)
    late = slice(task.length, None)
    error = (answer - target).square()
    where = f"over steps {task.length + 1:,} to {longer.length:,}"
    # The first of the later steps is odd, or the signs would be turned round.
    shift = task.length % 2
    numbers = {
        "loss_beyond": Metric(value=float(error[late].mean()), unit="", what=f"mean squared error {where}"),
        "amplitude_beyond": _amplitude(answer[task.length + shift :], task, where),
    }
    squared = curve(error.numpy(force=True), "squared error", "squared error of the answer")
    return ProbeResult(metrics=numbers, curves={"error": squared})


def answered(subject: LoadedModel, task: Alternation) -> tuple[Tensor, Tensor]:
    """The model's answer and the target, each (time,); every sequence of this task is the same."""
    batch = task.fixed("test", 1, torch.device("cpu")).to(subject.model.device)
    with torch.no_grad(), evaluating(subject.model):
        answer, _ = subject.model(batch.x)
    return answer[0, :, 0].double(), batch.target[0, :, 0].double()


def curve(values: np.ndarray, unit: str, what: str) -> Curve:
    """Means over pairs of steps, the period of the task."""
    pairs = [values[start : start + 2].mean() for start in range(0, len(values), 2)]
    return Curve.of(1.5 + 2 * np.arange(len(pairs)), pairs, x_unit="step", y_unit=unit, what=f"{what}, two steps each")


def _amplitude(answer: Tensor, task: Alternation, where: str) -> Metric:
    share = lemma1.alternating(answer) / task.amplitude
    return Metric(value=share, unit="1", what=f"amplitude of what alternates in the answer, of c, {where}")


LATE = 10
"""What is said of the end is the mean over the last of so many parts."""


def inside(subject: LoadedModel, task: Alternation) -> ProbeResult:
    """What is written, and how the attention grows, beside what the lemma asks for."""
    longer = replace(task, length=BEYOND * task.length)
    traced = trace_of(subject, longer if subject.model.encoder.causal else task)
    found = gate_traces(traced, every_layer=False)
    if found is None or traced.content is None:
        raise NotAvailableError(f"{subject.name} has no gates that keep and write")
    time, end = task.length, traced.y.shape[1]
    r = (traced.gates or {}).get("r")
    state = traced.y if r is None else r
    v = lemma1.reaches(subject.model.readout.weight, traced.content[:, :time], state[:, :time])
    late = slice(time - max(1, time // LATE), time)
    # On to the last step that is followed: within its training length an average may outrun its past.
    slope = statistics.two_way_bootstrap(gates.write_slopes(found.log_write), statistics.bootstrap_mean)
    numbers = {
        "write_last": _weighted(
            found.write[:, late].mean(1), v, "1", f"mean write at the end of {time:,} steps, units by their reach"
        ),
        "write_slope": metric_of_interval(
            slope, "1", f"slope of log write on log t over the last decade of {end:,} steps"
        ),
    }
    curves = {"write": curve(lemma1.weighted(found.write, v), "weight", "write, mean over units by their reach")}
    words, missing = {}, {}
    if slope.low is not None and slope.high is not None:
        words["freeze"] = gates.diagnosis(slope.low, slope.high)
    if found.log_attention is None:
        missing["attention_growth"] = "it has no attention"
        return ProbeResult(metrics=numbers, curves=curves, labels=words, unavailable=missing)
    log_a = found.log_attention - found.log_attention[:, :1]
    rising = torch.as_tensor(lemma1.slopes(log_a[:, :time]))
    numbers["attention_growth"] = _weighted(rising, v, "nats / step", "slope of log a, mean over units by their reach")
    numbers["attention_growth_largest"] = metric_of_interval(
        statistics.Interval(value=float(np.nanmax(rising.numpy()))),
        "nats / step",
        "slope of log a of the steepest unit",
    )
    curves["log_attention"] = curve(
        lemma1.weighted(log_a, v), "nats", "log a less its first value, mean over units by their reach"
    )
    if found.log_discount is not None or r is None:
        missing["growth_needed"] = "it discounts, so its attention need not grow"
        return ProbeResult(metrics=numbers, curves=curves, labels=words, unavailable=missing)
    bound = lemma1.through_readout(task.amplitude, v)
    tanh = torch.allclose(traced.y, r.tanh(), atol=1e-5)
    stated = lemma1.lemma(task.amplitude, float(traced.content[:, :time].abs().max()), tanh)
    numbers["growth_of_lemma"] = Metric(
        value=stated.growth,
        unit="nats / step",
        what="least growth of log a by the lemma as it stands, where the state itself is the answer",
    )
    if not math.isfinite(bound.growth):
        missing["growth_needed"] = "no attention would do: a write of 1 in every unit does not move its answer by 2 c"
        return ProbeResult(metrics=numbers, curves=curves, labels=words, unavailable=missing)
    numbers["growth_needed"] = Metric(
        value=bound.growth, unit="nats / step", what="least growth of log a, with this model's read-out and features"
    )
    numbers["write_needed"] = Metric(
        value=bound.write, unit="1", what="least mean write, with its read-out and features"
    )
    numbers["growth_margin"] = _weighted(rising - bound.growth, v, "nats / step", "growth of log a less what is needed")
    if end > time:
        numbers["growth_margin_beyond"] = _weighted(
            torch.as_tensor(lemma1.slopes(log_a[:, time:])) - bound.growth,
            v,
            "nats / step",
            f"the same over steps {time + 1:,} to {end:,}",
        )
    return ProbeResult(metrics=numbers, curves=curves, labels=words, unavailable=missing)


def trace_of(subject: LoadedModel, task: Alternation) -> Trace:
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


def _weighted(values: Tensor, v: np.ndarray, unit: str, what: str) -> Metric:
    table = values.double().numpy(force=True)
    known = np.isfinite(table)
    pair = np.stack([np.where(known, table, 0.0) * v, known * v], axis=2)
    return metric_of_interval(statistics.two_way_bootstrap(pair, statistics.ratio_of_sums), unit, what)
