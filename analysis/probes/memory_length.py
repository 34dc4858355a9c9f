"""How far back a model remembers: recall, memory capacity, effective receptive field, extrapolation.

The formulas and their sources are in `analysis/measures`: recall, proportions, capacity, noise, receptive, gradients.
"""

import math

import numpy as np
import torch
from torch import Generator, Tensor

from analysis.formatting import TIMES
from analysis.measures import recall as measured
from analysis.measures.gradients import cumulative, ends, holding, lag_gradients, resampled
from analysis.measures.memory_capacity import capacity
from analysis.measures.recall import STEPS, recalls, scores
from analysis.probes.base import (
    CPU,
    Part,
    full_length,
    refuse_untrained,
    run_measures,
    thinned,
    with_length_factor,
    with_steps,
)
from analysis.probes.errors import LACKING, reason
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import clustered_proportions, half_width, mean_interval
from architectures.base import evaluating
from workbench.files import one_line
from workbench.seeding import seed_of, seeded
from workbench.tasks import Batch, Task


def memory_capacity(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
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
        "memory_capacity": Metric(
            value=found.total,
            low=max(0.0, found.total - half),
            high=found.total + half,
            unit="outputs",
            what=f"sum of R^2 over the lags 0 to {lags - 1}, of past input read linearly from the output, held out",
        ),
        "states": Metric(value=size, unit="1", what="outputs, the most that memory capacity can be"),
        "capacity_level": Metric(
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
    return ProbeResult(metrics=numbers, curves={"capacity": curve})


def extrapolation(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Loss and accuracy on sequences longer than those of training."""
    refuse_untrained(subject)
    missing, found = {}, []
    with_length_factor(subject.task, 1)
    for factor in FACTORS:
        try:
            longer = with_length_factor(subject.task, factor)
            if factor > 1 and longer.steps > LONGEST:
                raise NotAvailableError(f"{longer.steps:,} steps are more than the {LONGEST:,} that are tested")
            size = max(4, min(settings.sequences, TOGETHER // longer.steps))
            found.append((factor, longer, scores(subject.model, longer, longer.fixed("test", size, CPU))))
        except NotAvailableError as error:
            missing[f"extrapolation_{factor}"] = one_line(error)
        except Exception as error:
            # One length too many for a model leaves the shorter ones.
            missing[f"extrapolation_{factor}"] = reason(error, subject.model.device)
    if not found:
        raise NotAvailableError(LACKING if LACKING in missing.values() else next(iter(missing.values())))
    at = np.array([factor for factor, _, _ in found])
    losses = [mean_interval(each.loss) for _, _, each in found]
    trivial = np.array([task.trivial_loss for _, task, _ in found])
    # A loss that is no number for one sequence is none for the mean.
    whole = np.array([np.isfinite(each.loss).all() for _, _, each in found])
    loss, low, high = (
        np.where(whole, [getattr(each, name) for each in losses], np.nan) for name in ("mean", "low", "high")
    )
    value, sure, possible = (reached(at, end < trivial) for end in (loss, high, low))
    number = Metric(
        value=value,
        low=sure,
        high=possible,
        censored=bool(value == at[-1]),
        unit=f"{TIMES} the training length",
        what="longest sequences up to which the loss stays below the trivial one",
    )
    axis = {"x_unit": f"{TIMES} the training length"}
    curves = {
        "extrapolation_loss": Curve.of(
            at, loss, low=low, high=high, y_unit="loss", what="loss on longer sequences", **axis
        ),
        "extrapolation_trivial": Curve.of(
            at, trivial, y_unit="loss", what="loss of the best answer without memory on these", **axis
        ),
    }
    right = [(each.right, each.total) for _, _, each in found if each.right is not None]
    if len(right) == len(found):
        group = np.repeat(np.arange(len(right)), [len(each) for each, _ in right])
        shares = clustered_proportions(
            np.concatenate([each for each, _ in right]), np.concatenate([each for _, each in right]), group, len(right)
        )
        curves["extrapolation_accuracy"] = Curve.of(
            at,
            shares.share,
            low=shares.low,
            high=shares.high,
            y_unit="accuracy",
            what="accuracy on longer sequences",
            **axis,
        )
    return ProbeResult(metrics={"extrapolation": number}, curves=curves, unavailable=missing)


def recall(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Accuracy against lag on test data, and the horizon."""
    refuse_untrained(subject)
    task = with_steps(subject.task, settings.length)
    batch = task.fixed("test", RECALLED * settings.sequences, CPU)
    if batch.recall is None or batch.source is None or batch.target.is_floating_point():
        raise NotAvailableError("the task does not say at which step that was shown which is to be recalled")
    lag, right, sequence = recalls(subject.model, batch)
    chance = 1 / len(batch.target[batch.recall].unique())
    found, bound = measured.recall_curve(lag, right, sequence), measured.threshold(chance)
    value, low, high = (
        measured.horizon(found, end, bound) for end in (found.shares.share, found.shares.low, found.shares.high)
    )
    # Not recalled at the smallest lag that was tested: it may be at any below that.
    high = float(found.smallest) if high == 0 else high
    count = np.bincount(sequence)
    total = clustered_proportions(
        np.bincount(sequence, right)[count > 0], count[count > 0], np.zeros((count > 0).sum(), dtype=int), 1
    )
    numbers = {
        "horizon": Metric(
            value=found.largest if value is None else value,
            low=found.largest if low is None else low,
            high=found.largest if high is None else high,
            censored=value is None,
            unit="steps",
            what=f"largest lag up to which accuracy stays above {bound:.3g}, half way from chance to 1",
        ),
        "recall_accuracy": Metric(
            value=float(total.share[0]),
            low=float(total.low[0]),
            high=float(total.high[0]),
            unit="share",
            what="right answers among all that are to be recalled",
        ),
        "smallest_lag": Metric(value=found.smallest, unit="steps", what="smallest lag at which something is recalled"),
        "largest_lag": Metric(value=found.largest, unit="steps", what="largest lag at which something is recalled"),
        "recall_bound": Metric(value=bound, unit="share", what="accuracy half way from chance to 1"),
    }
    curve = Curve.of(
        found.lag,
        found.shares.share,
        low=found.shares.low,
        high=found.shares.high,
        x_unit="steps",
        y_unit="accuracy",
        what="accuracy against the lag from where a symbol was shown to where it is recalled",
    )
    return ProbeResult(metrics=numbers, curves={"recall": curve})


def receptive_field(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Within which lags the squared gradient of the last output lies."""
    task, model = with_steps(subject.task, settings.length), subject.model
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
        numbers[f"field_{share}"] = Metric(
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
        numbers["reach"] = Metric(value=reach, unit="steps", what="steps that an output can depend on at all")
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
    return ProbeResult(metrics=numbers, curves={"gradient_share": curve}, labels=words)


PARTS: dict[str, Part] = {
    "recall": recall,
    "memory_capacity": memory_capacity,
    "receptive_field": receptive_field,
    "extrapolation": extrapolation,
}


def measure(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """All four measures, as far as the model and its task let themselves be measured.

    Raises:
        NotAvailableError: if not one of them does.
    """
    return run_measures(PARTS, subject, settings)


def noise(task: Task, like: Batch, size: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Independent and identically distributed input of a task's kind.

    For symbols, all of the alphabet alike, and as u the symbol's number, which is one way of many to put it on a line.
    For features, u itself as the first: uniform with the mean and the deviation that the feature has in the task's
    data; the others stand at their means, so that there is one input to remember.

    Args:
        task: what the model was made for.
        like: some of its data.
        size: sequences.
        steps: of each.
        generator: on the CPU.

    Returns:
        x, (size, steps) symbols or (size, steps, input_size) features, and u (size, steps), of mean about 0 and
        variance about 1.

    Raises:
        NotAvailableError: if the task has one symbol, or its first feature never changes in its data.
    """
    if task.symbols == 1:
        raise NotAvailableError("the task has one symbol only, so there is nothing in it to remember")
    if task.symbols is not None:
        x = torch.randint(task.symbols, (size, steps), generator=generator)
        u = (x - (task.symbols - 1) / 2) / math.sqrt((task.symbols**2 - 1) / 12)
        return x, u
    values = like.x.flatten(0, 1).double()
    if like.lengths is not None:
        values = values[(torch.arange(like.x.shape[1]) < like.lengths.unsqueeze(1)).flatten()]
    mean, scale = values.mean(0), values[:, 0].std()
    if not scale > 1e-9 * mean[0].abs():
        raise NotAvailableError("the task's first feature is constant, so there is no scale to drive it with")
    u = (2 * torch.rand((size, steps), generator=generator) - 1) * math.sqrt(3)
    x = mean.float().expand(size, steps, -1).clone()
    x[:, :, 0] += scale.float() * u
    return x, u


SAMPLES = 12_800
"""States that readouts are fitted to, at least; as many again are held out."""
LATEST = 100
"""Samples of one sequence, at most."""
INDEPENDENT = 2
"""Sequences that readouts are fitted to, at least, for each output. The samples of one sequence are much alike where a
state moves slowly; fewer sequences would then let noise pass for memory, however many the samples."""

FACTORS = (1, 2, 4, 8, 16)
"""Of the training length."""
LONGEST = 20_000
"""Steps of the longest sequences that are tested."""
TOGETHER = 1 << 16
"""Steps of all sequences of one length together, save that there are four sequences at least."""


def reached(at: np.ndarray, below: np.ndarray) -> float:
    """The largest factor up to which all is well; 0 if nothing is."""
    bad = np.flatnonzero(~below)
    last = (bad[0] if len(bad) else len(at)) - 1
    return float(at[last]) if last >= 0 else 0.0


RECALLED = 5
"""Times `settings.sequences`: the sequences that recall is counted in, so that a bin of lags has several."""

SHARES = (50, 90, 95)
"""Per cent of the squared gradient."""
