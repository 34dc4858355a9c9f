"""How much of a signal is left after a hundred thousand steps: the photocopier of the RWA essay, and what each
architecture's own gates leave.

The formulas and their source are in `analysis/measures/survival.py`.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from analysis.formatting import within
from analysis.measures.survival import ESSAY_RETENTION, Survival, photocopier, quantile, survival
from analysis.probes.base import CPU, Part, run_measures, with_steps
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import mean_interval
from workbench.model import Model
from workbench.seeding import seeded
from workbench.tasks import Batch


def gates(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """The share of what each unit held after its first step that is left, out to the longest lag, on steps drawn
    independently from the task's test sequences."""
    encoder = subject.model.encoder
    if encoder.receptive_field is not None:
        raise NotAvailableError(
            f"it has no gates: it reads its last {encoder.receptive_field:,} steps again and again, and nothing before"
        )
    if not encoder.causal:
        raise NotAvailableError("it is not causal, and carries nothing from step to step")
    points = tuple(int(lag) for lag in lags(settings.longest))
    batch = with_steps(subject.task, settings.length).fixed("test", POOL, CPU)
    try:
        found = survival(encoder, drawn(subject.model, batch, settings), points)
    except ValueError as error:
        raise NotAvailableError(str(error)) from None
    return ProbeResult(metrics=numbers(found), curves=curves(found))


def hops(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Copies by lag, and what the essay's photocopier leaves after as many. Beyond a finite reach, nothing is."""
    encoder = subject.model.encoder
    reach = encoder.receptive_field
    seen = [int(lag) for lag in lags(settings.longest) if reach is None or lag < reach]
    if reach is not None and reach - 1 not in seen and 1 < reach <= settings.longest:
        seen.append(reach - 1)
    copies = [encoder.path_length(lag) for lag in seen]
    what = "copies that a signal passes on its way from a lag to the output"
    numbers = {
        "copies": Metric(
            value=copies[-1],
            unit="copies",
            what=f"{what}, at {seen[-1]:,} steps, the largest lag that it sees or is asked for",
        ),
        "essay_left": Metric(
            value=photocopier(ESSAY_RETENTION, copies[-1]),
            unit="share",
            what=f"what a photocopier that keeps {ESSAY_RETENTION} would leave after as many copies",
        ),
    }
    if reach is not None:
        numbers["reach"] = Metric(value=reach, unit="steps", what="steps that an output can depend on at all")
    curve = Curve.of(seen, copies, x_unit="steps", y_unit="copies", what=what)
    return ProbeResult(metrics=numbers, curves={"copies": curve})


PARTS: dict[str, Part] = {"survival": gates, "copies": hops}


def measure(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """The survival in the gates, and the copies that a signal has to pass.

    Raises:
        NotAvailableError: if neither can be had.
    """
    return run_measures(PARTS, subject, settings)


STREAMS = 4
"""Sequences followed at once: the spread between them is the interval."""
POOL = 100
"""Test sequences whose steps the input is drawn from."""
LN10 = math.log(10)


def drawn(model: Model, batch: Batch, settings: ProbeSettings) -> Callable[[int], Tensor]:
    """Draws steps, each at random among all valid ones of the batch: (streams, steps, features)."""
    valid = torch.ones(batch.x.shape[:2], dtype=torch.bool)
    if batch.lengths is not None:
        valid = torch.arange(batch.x.shape[1]) < batch.lengths.unsqueeze(1)
    pool, generator = batch.x[valid], seeded(CPU, "signal survival", settings.seed)

    def draw(steps: int) -> Tensor:
        chosen = torch.randint(len(pool), (STREAMS, steps), generator=generator)
        return model.features(pool[chosen].to(model.device))

    return draw


def numbers(found: Survival) -> dict[str, Metric]:
    """What is left after round numbers of steps, and after how many steps half and a hundredth are."""
    longest = found.copies[-1]
    median = quantile(found.log, 0.5).numpy()
    named = {
        "half_left": _reached(quantile(found.half, 0.5), longest, "after which half of a signal is left, median unit"),
        "hundredth_left": _reached(
            quantile(found.hundredth, 0.5), longest, "after which 1 % of a signal is left, median unit"
        ),
        "half_left_best": _reached(found.half.amax(-1), longest, "after which half of a signal is left, best unit"),
        "retention": _interval(found.retention.mean(1).numpy(), "share", "mean retention over units and steps"),
    }
    for place, copies in enumerate(found.copies):
        if copies >= 100 and (copies == longest or math.log10(copies) % 1 == 0):
            what = f"left of a signal after {copies:,} steps, median unit"
            log = _interval(median[place] / LN10, "log10", f"logarithm to base 10 of what is {what}")
            named[f"log10_left_{copies}"] = log
            low, value, high = (None if end is None else _power(end) for end in (log.low, log.value, log.high))
            named[f"left_{copies}"] = Metric(
                value=0.0 if value is None else value,
                low=low,
                high=None if high is None else min(high, 1.0),
                unit="share",
                what=what,
            )
    mean = float(found.retention.mean())
    named[f"calculated_left_{longest}"] = Metric(
        value=photocopier(mean, longest),
        unit="share",
        what=f"what a photocopier of this mean retention would leave after {longest:,} copies",
    )
    return named


def curves(found: Survival) -> dict[str, Curve]:
    """The share left against the steps, as a logarithm: of the median unit, of the tenth that keeps least and of the
    tenth that keeps most, of the best, and of the photocopier of the same mean retention."""
    at = np.array(found.copies)
    log = found.log / LN10

    def curve(values: np.ndarray, what: str, sure: bool = True) -> Curve:
        means = [mean_interval(row) for row in values]
        ends = {name: [getattr(each, name) for each in means] if sure else None for name in ("low", "high")}
        middle = [each.mean if each.n == values.shape[1] else math.nan for each in means]
        return Curve.of(at, middle, x_unit="steps", y_unit="log10 of the share left", what=what, **ends)

    mean = float(found.retention.mean())
    return {
        "left": curve(quantile(log, 0.5).numpy(), "share left, median unit"),
        "left_tenth": curve(quantile(log, 0.1).numpy(), "share left in the tenth of units that keeps least"),
        "left_ninetieth": curve(quantile(log, 0.9).numpy(), "share left in the tenth of units that keeps most"),
        "left_best": curve(log.amax(-1).numpy(), "share left, best unit"),
        "calculated": curve(
            (at * math.log10(mean) if mean > 0 else at * -math.inf)[:, None],
            "share that a photocopier of the same mean retention would leave",
            sure=False,
        ),
    }


def _power(log: float) -> float:
    return float(10.0 ** max(log, -400.0))


def _interval(values: np.ndarray, unit: str, what: str) -> Metric:
    """The mean over streams; none where a gate shut altogether in one of them."""
    found = mean_interval(values)
    if found.excluded:
        return Metric(value=None, unit=unit, what=what)
    if found.half is None:
        return Metric(value=found.mean, unit=unit, what=what)
    low, high = within(unit, np.array([found.low, found.high]))
    return Metric(value=found.mean, low=float(low), high=float(high), unit=unit, what=what)


def _reached(steps: Tensor, longest: int, what: str) -> Metric:
    """The mean over streams of a number of steps, at least the longest where it was not reached."""
    found = mean_interval(steps.clamp(max=longest).numpy())
    ended = bool(steps.isinf().any())
    return Metric(
        value=found.mean,
        low=None if found.half is None else max(found.low, 1.0),
        high=None if found.half is None else min(found.high, float(longest)),
        unit="steps",
        what=f"steps {what}",
        censored=ended,
    )


POINTS = 61
"""Lags, evenly spaced on a logarithmic axis."""


def lags(longest: int) -> np.ndarray:
    """Lags from 1 to the longest, all powers of ten among them."""
    tens = 10 ** np.arange(int(math.log10(longest)) + 1)
    return np.unique(np.concatenate([np.geomspace(1, longest, POINTS).round(), tens])).astype(int)
