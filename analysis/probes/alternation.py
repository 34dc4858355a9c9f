"""Alternation: lemma 1 of the RDA paper, measured on models of the task of that name.

To alternate, the attention of a recurrent weighted average has to grow geometrically. What the lemma requires, as it
stands and through a readout, is in `analysis/measures/lemma1.py`.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures import gates, lemma1
from analysis.measures.gates import GateTrace
from analysis.probes.errors import OUT_OF_MEMORY, failure_reason
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import Interval
from architectures.base import eval_mode
from architectures.trace import Trace
from workbench.seeding import CPU
from workbench.tasks.alternation import Alternation

LENGTH_FACTOR = 4
"""The model is followed to so many times the length of its task."""
LAST_PART = 10
"""Values at the end are means over the last one of so many parts of the sequence."""


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures answers, writes and attention at the length of the task, and up to four times that length.

    Raises:
        NotAvailableError: if the model's task is not alternation.
    """
    if not isinstance(loaded.task, Alternation):
        raise NotAvailableError("lemma 1 is about the task alternation alone")
    task = replace(loaded.task, length=settings.length or loaded.task.length)
    results = [measure_answers(loaded, task)]
    try:
        results.append(measure_longer_sequence(loaded, task))
    except Exception as error:
        # A model may be limited to its training length.
        reason = failure_reason(error, loaded.model.device)
        if reason != OUT_OF_MEMORY:
            reason = f"not at {LENGTH_FACTOR} times the length: {reason}"
        results.append(ProbeResult(unavailable={"loss_beyond": reason}))
    try:
        results.append(measure_gates(loaded, task))
    except NotAvailableError as error:
        results.append(ProbeResult(unavailable={"write": str(error)}))
    return ProbeResult.merge(results)


def measure_answers(loaded: LoadedModel, task: Alternation) -> ProbeResult:
    """Measures loss and amplitude of the answer at the length of the task."""
    answer, target = answer_and_target(loaded, task)
    loss, trivial = float((answer - target).square().mean()), task.trivial_loss
    metrics = {
        "loss": Metric(value=loss, unit="", what=f"mean squared error over {task.length:,} steps"),
        "trivial_loss": Metric(value=trivial, unit="", what="loss of the best constant answer"),
        "loss_share": Metric(value=loss / trivial, unit="1", what="loss over the trivial one"),
        "amplitude": _amplitude_metric(answer, task, f"over {task.length:,} steps"),
    }
    return ProbeResult(metrics=metrics)


def measure_longer_sequence(loaded: LoadedModel, task: Alternation) -> ProbeResult:
    """Measures loss and amplitude of the answer at the steps beyond the length of the task."""
    longer = replace(task, length=LENGTH_FACTOR * task.length)
    answer, target = answer_and_target(loaded, longer)
    squared_error = (answer - target).square()
    where = f"over steps {task.length + 1:,} to {longer.length:,}"
    # The first of the later steps has to be an odd one: at an even one the sign of the amplitude would be reversed.
    first = task.length + task.length % 2
    metrics = {
        "loss_beyond": Metric(
            value=float(squared_error[task.length :].mean()), unit="", what=f"mean squared error {where}"
        ),
        "amplitude_beyond": _amplitude_metric(answer[first:], task, where),
    }
    curve = pair_curve(squared_error.numpy(force=True), "squared error", "squared error of the answer")
    return ProbeResult(metrics=metrics, curves={"error": curve})


def measure_gates(loaded: LoadedModel, task: Alternation) -> ProbeResult:
    """Measures writes and the growth of attention, and the growth that lemma 1 requires.

    Raises:
        NotAvailableError: if the model has no gates.
    """
    longer = replace(task, length=LENGTH_FACTOR * task.length)
    trace = trace_sequence(loaded, longer if loaded.model.encoder.causal else task)
    gate_trace = gates.gate_trace(trace, all_layers=False)
    if gate_trace is None or trace.content is None:
        raise NotAvailableError(f"{loaded.name} has no gates that keep and write")
    time = task.length
    # The RWA and the RDA have r, the average before the nonlinearity.
    r = (trace.gates or {}).get("r")
    state = trace.y if r is None else r
    v = lemma1.unit_reaches(loaded.model.readout.weight, trace.content[:, :time], state[:, :time])
    results = [_measure_writes(gate_trace, v, time)]
    if gate_trace.log_attention is None:
        results.append(ProbeResult(unavailable={"attention_growth": "it has no attention"}))
        return ProbeResult.merge(results)
    log_a = gate_trace.log_attention - gate_trace.log_attention[:, :1]
    results.append(_measure_growth(log_a, v, time))
    if gate_trace.log_discount is not None or r is None:
        results.append(
            ProbeResult(unavailable={"growth_needed": "it discounts, so its attention does not need to grow"})
        )
    else:
        features = float(trace.content[:, :time].abs().max())
        hidden_tanh = torch.allclose(trace.y, r.tanh(), atol=1e-5)
        results.append(_compare_with_lemma(log_a, v, task, lemma1.lemma_bound(task.amplitude, features, hidden_tanh)))
    return ProbeResult.merge(results)


def _measure_writes(gate_trace: GateTrace, v: np.ndarray, time: int) -> ProbeResult:
    end = gate_trace.write.shape[1]
    late = slice(time - max(1, time // LAST_PART), time)
    # Over all steps, beyond the training length too: within it an average may still outgrow its past.
    slope = statistics.two_way_bootstrap(gates.write_slopes(gate_trace.log_write), statistics.bootstrap_mean)
    metrics = {
        "write_last": _weighted_metric(
            gate_trace.write[:, late].mean(1), v, "1", f"mean write at the end of {time:,} steps, units by their reach"
        ),
        "write_slope": Metric.from_interval(
            slope, "1", f"slope of log write on log t over the last decade of {end:,} steps"
        ),
    }
    curve = pair_curve(lemma1.weighted_mean(gate_trace.write, v), "weight", "write, mean over units by their reach")
    labels = {}
    if slope.low is not None and slope.high is not None:
        labels["freeze"] = gates.diagnose_freeze(slope.low, slope.high)
    return ProbeResult(metrics=metrics, curves={"write": curve}, labels=labels)


def _measure_growth(log_a: Tensor, v: np.ndarray, time: int) -> ProbeResult:
    slopes = torch.as_tensor(lemma1.slopes_over_steps(log_a[:, :time]))
    metrics = {
        "attention_growth": _weighted_metric(
            slopes, v, "nats / step", "slope of log a, mean over units by their reach"
        ),
        "attention_growth_largest": Metric.from_interval(
            Interval(value=float(np.nanmax(slopes.numpy()))), "nats / step", "slope of log a of the steepest unit"
        ),
    }
    curve = pair_curve(
        lemma1.weighted_mean(log_a, v), "nats", "log a less its first value, mean over units by their reach"
    )
    return ProbeResult(metrics=metrics, curves={"log_attention": curve})


def _compare_with_lemma(
    log_a: Tensor, v: np.ndarray, task: Alternation, lemma_bound: lemma1.GrowthBound
) -> ProbeResult:
    time, end = task.length, log_a.shape[1]
    metrics = {
        "growth_of_lemma": Metric(
            value=lemma_bound.growth,
            unit="nats / step",
            what="least growth of log a by the lemma as it stands, where the state itself is the answer",
        )
    }
    bound = lemma1.readout_bound(task.amplitude, v)
    if not math.isfinite(bound.growth):
        reason = "no attention is enough: a write of 1 in every unit does not move its answer by 2 c"
        return ProbeResult(metrics=metrics, unavailable={"growth_needed": reason})
    metrics["growth_needed"] = Metric(
        value=bound.growth, unit="nats / step", what="least growth of log a, with this model's read-out and features"
    )
    metrics["write_needed"] = Metric(
        value=bound.write, unit="1", what="least mean write, with its read-out and features"
    )
    slopes = torch.as_tensor(lemma1.slopes_over_steps(log_a[:, :time]))
    metrics["growth_margin"] = _weighted_metric(
        slopes - bound.growth, v, "nats / step", "growth of log a less what is needed"
    )
    if end > time:
        later_slopes = torch.as_tensor(lemma1.slopes_over_steps(log_a[:, time:]))
        metrics["growth_margin_beyond"] = _weighted_metric(
            later_slopes - bound.growth, v, "nats / step", f"the same over steps {time + 1:,} to {end:,}"
        )
    return ProbeResult(metrics=metrics)


def answer_and_target(loaded: LoadedModel, task: Alternation) -> tuple[Tensor, Tensor]:
    """Returns the model's answer and the target, each (time,); every sequence of this task is the same."""
    batch = task.fixed("test", 1, CPU).to(loaded.model.device)
    with torch.no_grad(), eval_mode(loaded.model):
        answer, _ = loaded.model(batch.x)
    return answer[0, :, 0].double(), batch.target[0, :, 0].double()


def trace_sequence(loaded: LoadedModel, task: Alternation) -> Trace:
    """Returns the encoder's trace of the task's only sequence.

    Raises:
        NotAvailableError: if it has no trace.
    """
    model = loaded.model
    batch = task.fixed("test", 1, CPU).to(model.device)
    with torch.no_grad(), eval_mode(model):
        try:
            return model.encoder.trace(model.features(batch.x))
        except NotImplementedError:
            raise NotAvailableError(f"{loaded.name} has no trace") from None


def pair_curve(values: np.ndarray, unit: str, what: str) -> Curve:
    """Returns the means over pairs of steps, the period of the task, as a curve."""
    pairs = [values[start : start + 2].mean() for start in range(0, len(values), 2)]
    return Curve.from_arrays(
        1.5 + 2 * np.arange(len(pairs)), pairs, x_unit="step", y_unit=unit, what=f"{what}, two steps each"
    )


def _amplitude_metric(answer: Tensor, task: Alternation, where: str) -> Metric:
    share = lemma1.alternating_amplitude(answer) / task.amplitude
    return Metric(value=share, unit="1", what=f"amplitude of what alternates in the answer, of c, {where}")


def _weighted_metric(values: Tensor, v: np.ndarray, unit: str, what: str) -> Metric:
    """Returns the mean over units, weighted by v, of values (sequences, units)."""
    table = values.double().numpy(force=True)
    known = np.isfinite(table)
    pairs = np.stack([np.where(known, table, 0.0) * v, known * v], axis=2)
    return Metric.from_interval(statistics.two_way_bootstrap(pairs, statistics.ratio_of_sums), unit, what)
