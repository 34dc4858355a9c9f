"""Signal survival: what a model's gates alone pass on of a signal.

It is measured on the task's own sequences, in the units that hold something there, over the steps that the task asks
for; and as a leak, over very many steps that are drawn at random from the task's, compared with a photocopier. What a
network writes again from its own output counts in neither.

The formulas and their source are in `analysis/measures/survival.py`.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from analysis.formatting import clip_to_unit_range
from analysis.measures.survival import (
    ESSAY_RETENTION,
    Span,
    Survival,
    lower_quantile,
    measure_survival,
    photocopier_share,
    shares_kept,
    stacked_retention,
)
from analysis.probes.base import Measure, longest_test_sequences, run_measures, with_steps
from analysis.probes.models import LoadedModel
from analysis.probes.predictions import MAX_STEPS
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import mean_interval
from architectures.base import Encoder, eval_mode
from workbench.model import Model
from workbench.seeding import CPU, make_generator
from workbench.tasks import Batch

REVISION = 3
"""Raised whenever the same settings come to give other numbers. 2: the share held on the task's own sequences. 3: the
copies of clockwork networks, RHNs and encoders with one fixed vector."""
HOLDS = 0.01
"""A unit holds if its gates leave, on average over the task's own sequences, at least this share at the task's lag. It
is the hundredth of `hundredth_left`. A leaky unit has lost far more by then; an average over up to 100 steps, which
weighs all of them alike, has not."""
NUM_STREAMS = 4
"""Sequences followed at the same time: the interval comes from their spread."""
POOL_SEQUENCES = 100
"""Test sequences whose steps the input is drawn from."""
NUM_LAGS = 61
"""Lags, evenly spaced on a logarithmic axis."""
LN10 = math.log(10)


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the share held on the task's sequences, the leak of the gates, and the copies that a signal passes.

    Raises:
        NotAvailableError: if none of them is available.
    """
    return run_measures(MEASURES, loaded, settings)


def measure_gate_survival(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the share that is left of what each unit held after its first step, up to the longest lag.

    The input consists of steps drawn independently from the task's test sequences.
    """
    encoder = loaded.model.encoder
    require_state(encoder)
    if encoder.state_size(2 * settings.longest) > encoder.state_size(settings.longest):
        # Nor could it be measured: every step would read all before it.
        raise NotAvailableError("it carries every step that it has read, and reads them again: nothing has to survive")
    copies = tuple(int(lag) for lag in lags_up_to(settings.longest))
    batch = with_steps(loaded.task, settings.length).fixed("test", POOL_SEQUENCES, CPU)
    try:
        survival = measure_survival(encoder, input_sampler(loaded.model, batch, settings), copies)
    except ValueError as error:
        raise NotAvailableError(str(error)) from None
    return ProbeResult(metrics=survival_metrics(survival), curves=survival_curves(survival))


def measure_held(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures, on test sequences of the task, the share of a signal that the units that hold still hold.

    The signal has to be kept from where it is read to where it is needed: from each symbol to its recall, if the task
    says so, else from the first step of a sequence to its last. A unit holds if it keeps `HOLDS` or more of it.
    """
    model = loaded.model
    require_state(model.encoder)
    batch = longest_test_sequences(with_steps(loaded.task, settings.length), settings.sequences)
    spans = task_spans(batch)
    if not spans:
        raise NotAvailableError("its sequences have one step only")
    size = max(1, MAX_STEPS // 4 // batch.x.shape[1])
    shares = []
    with torch.no_grad(), eval_mode(model):
        for first in range(0, len(batch.x), size):
            part = batch[first : first + size].to(model.device)
            try:
                retention = stacked_retention(
                    model.encoder.trace(model.features(part.x, part.lengths), None, part.lengths)
                )
            except ValueError as error:
                raise NotAvailableError(str(error)) from None
            for index in range(len(part.x)):
                own = [replace(span, sequence=index) for span in spans if span.sequence == first + index]
                if own:
                    shares.append(shares_kept(retention, own).mean(0).numpy())
    lag = float(np.median([span.end - span.start for span in spans]))
    return ProbeResult(metrics=held_metrics(np.stack(shares), lag))


def task_spans(batch: Batch) -> list[Span]:
    """Returns the steps over which a task's sequences have to be remembered: from source to recall, else all steps."""
    if batch.recall is not None and batch.source is not None:
        sequence, end = batch.recall.nonzero(as_tuple=True)
        columns = (sequence, batch.source[sequence, end], end)
        return [Span(sequence=n, start=a, end=b) for n, a, b in zip(*(c.tolist() for c in columns), strict=True)]
    count, time = batch.x.shape[:2]
    lengths = [time] * count if batch.lengths is None else batch.lengths.tolist()
    return [Span(sequence=n, start=0, end=length - 1) for n, length in enumerate(lengths) if length > 1]


def held_metrics(shares: np.ndarray, lag: float) -> dict[str, Metric]:
    """Returns the share of units that hold, and the share of a signal that these still hold at the task's lag.

    Args:
        shares: (sequences, units) share left at the end, the mean over the spans of each sequence.
        lag: median steps of the spans.
    """
    holds = shares.mean(0) >= HOLDS
    over = f"on the task's own sequences, over {lag:,.0f} steps"
    metrics = {
        "task_lag": Metric(value=lag, unit="steps", what="steps from where something is read to where it is needed"),
        "units_holding": Metric(
            value=float(holds.mean()), unit="share", what=f"units whose gates leave {HOLDS:.0%} or more {over}"
        ),
    }
    if holds.any():
        # A gain above 1 is no share, but a custom architecture may have one.
        what = f"left of a signal by the gates of the units that hold, {over}"
        metrics["held"] = _mean_metric(shares[:, holds].mean(1), "share", what)
        metrics["held_best"] = _mean_metric(
            shares[:, int(shares.mean(0).argmax())], "share", f"left of a signal by the gates of the best unit, {over}"
        )
    return metrics


def require_state(encoder: Encoder) -> None:
    """Raises NotAvailableError for an encoder that carries nothing from step to step, or nothing but its last steps."""
    if encoder.receptive_field is not None:
        raise NotAvailableError(
            f"it has no gates: it reads its last {encoder.receptive_field:,} steps again and again, and nothing before"
        )
    if not encoder.causal:
        raise NotAvailableError("it is not causal, and carries nothing from step to step")


def measure_copies(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the copies by lag, and what the essay's photocopier leaves after as many; none beyond a finite reach."""
    encoder = loaded.model.encoder
    reach = encoder.receptive_field
    lags = [int(lag) for lag in lags_up_to(settings.longest) if reach is None or lag < reach]
    if reach is not None and reach - 1 not in lags and 1 < reach <= settings.longest:
        lags.append(reach - 1)
    copies = [encoder.path_length(lag) for lag in lags]
    what = "copies that a signal passes on its way from a lag to the output"
    metrics = {
        "copies": Metric(
            value=copies[-1],
            unit="copies",
            what=f"{what}, at {lags[-1]:,} steps, the largest lag that it sees or is asked for",
        ),
        "essay_left": Metric(
            value=photocopier_share(ESSAY_RETENTION, copies[-1]),
            unit="share",
            what=f"what a photocopier that keeps {ESSAY_RETENTION} would leave after as many copies",
        ),
    }
    if reach is not None:
        metrics["reach"] = Metric(value=reach, unit="steps", what="steps that an output can depend on at all")
    curve = Curve.from_arrays(lags, copies, x_unit="steps", y_unit="copies", what=what)
    return ProbeResult(metrics=metrics, curves={"copies": curve})


MEASURES: dict[str, Measure] = {
    "held": measure_held,
    "survival": measure_gate_survival,
    "copies": measure_copies,
}


def lags_up_to(longest: int) -> np.ndarray:
    """Returns lags from 1 to the longest, evenly spaced on a logarithmic axis, and all powers of ten among them."""
    powers = 10 ** np.arange(int(math.log10(longest)) + 1)
    return np.unique(np.concatenate([np.geomspace(1, longest, NUM_LAGS).round(), powers])).astype(int)


def input_sampler(model: Model, batch: Batch, settings: ProbeSettings) -> Callable[[int], Tensor]:
    """Returns a function that draws so many steps at random from all valid ones: (streams, steps, features)."""
    valid = torch.ones(batch.x.shape[:2], dtype=torch.bool)
    if batch.lengths is not None:
        valid = torch.arange(batch.x.shape[1]) < batch.lengths.unsqueeze(1)
    pool, generator = batch.x[valid], make_generator(CPU, "signal survival", settings.seed)

    def draw_steps(steps: int) -> Tensor:
        places = torch.randint(len(pool), (NUM_STREAMS, steps), generator=generator)
        return model.features(pool[places].to(model.device))

    return draw_steps


def survival_metrics(survival: Survival) -> dict[str, Metric]:
    """Returns the shares left after round numbers of steps, and the steps to a half and to a hundredth."""
    longest = survival.copies[-1]
    to_half, to_hundredth = survival.steps_to_half, survival.steps_to_hundredth
    metrics = {
        "half_left": _steps_metric(
            lower_quantile(to_half, 0.5), longest, "after which half of a signal is left, median unit"
        ),
        "hundredth_left": _steps_metric(
            lower_quantile(to_hundredth, 0.5), longest, "after which 1 % of a signal is left, median unit"
        ),
        "half_left_best": _steps_metric(to_half.amax(-1), longest, "after which half of a signal is left, best unit"),
        "retention": _mean_metric(survival.retention.mean(1).numpy(), "share", "mean retention over units and steps"),
    }
    median = lower_quantile(survival.log_share, 0.5).numpy()
    for place, copies in enumerate(survival.copies):
        if copies >= 100 and (copies == longest or math.log10(copies) % 1 == 0):
            what = f"left of a signal after {copies:,} steps, median unit"
            log = _mean_metric(median[place] / LN10, "log10", f"logarithm to base 10 of what is {what}")
            metrics[f"log10_left_{copies}"] = log
            low, value, high = (None if end is None else _power_of_ten(end) for end in (log.low, log.value, log.high))
            metrics[f"left_{copies}"] = Metric(
                value=0.0 if value is None else value,
                low=low,
                high=None if high is None else min(high, 1.0),
                unit="share",
                what=what,
            )
    metrics[f"calculated_left_{longest}"] = Metric(
        value=photocopier_share(float(survival.retention.mean()), longest),
        unit="share",
        what=f"what a photocopier of this mean retention would leave after {longest:,} copies",
    )
    return metrics


def survival_curves(survival: Survival) -> dict[str, Curve]:
    """Returns logarithms of the share left against the steps.

    They are those of the median unit, of the tenth of units that keeps least and the tenth that keeps most, of the
    best unit, and of a photocopier with the same mean retention.
    """
    copies = np.array(survival.copies)
    log_share = survival.log_share / LN10
    retention = float(survival.retention.mean())
    photocopier = (copies * math.log10(retention) if retention > 0 else copies * -math.inf)[:, None]

    def mean_curve(values: np.ndarray, what: str, has_interval: bool = True) -> Curve:
        """Returns the mean over streams of values (copies, streams); missing where a stream is not finite."""
        means = [mean_interval(row) for row in values]
        return Curve.from_arrays(
            copies,
            [mean.mean if mean.n == values.shape[1] else math.nan for mean in means],
            x_unit="steps",
            y_unit="log10 of the share left",
            what=what,
            low=[mean.low for mean in means] if has_interval else None,
            high=[mean.high for mean in means] if has_interval else None,
        )

    return {
        "left": mean_curve(lower_quantile(log_share, 0.5).numpy(), "share left, median unit"),
        "left_tenth": mean_curve(
            lower_quantile(log_share, 0.1).numpy(), "share left in the tenth of units that keeps least"
        ),
        "left_ninetieth": mean_curve(
            lower_quantile(log_share, 0.9).numpy(), "share left in the tenth of units that keeps most"
        ),
        "left_best": mean_curve(log_share.amax(-1).numpy(), "share left, best unit"),
        "calculated": mean_curve(
            photocopier, "share that a photocopier of the same mean retention would leave", has_interval=False
        ),
    }


def _power_of_ten(exponent: float) -> float:
    # Shares below 1e-400 are 0 anyway.
    return float(10.0 ** max(exponent, -400.0))


def _mean_metric(values: np.ndarray, unit: str, what: str) -> Metric:
    """Returns the mean over streams; without a value if a gate has closed completely in one of them."""
    mean = mean_interval(values)
    if mean.excluded:
        return Metric(value=None, unit=unit, what=what)
    if mean.half_width is None:
        return Metric(value=mean.mean, unit=unit, what=what)
    low, high = clip_to_unit_range(unit, np.array([mean.low, mean.high]))
    return Metric(value=mean.mean, low=float(low), high=float(high), unit=unit, what=what)


def _steps_metric(steps: Tensor, longest: int, what: str) -> Metric:
    """Returns the mean over streams of a number of steps, which counts as `longest` if it is infinite."""
    mean = mean_interval(steps.clamp(max=longest).numpy())
    return Metric(
        value=mean.mean,
        low=None if mean.half_width is None else max(mean.low, 1.0),
        high=None if mean.half_width is None else min(mean.high, float(longest)),
        unit="steps",
        what=f"steps {what}",
        censored=bool(steps.isinf().any()),
    )
