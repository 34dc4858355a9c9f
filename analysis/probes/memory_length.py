"""Memory length: recall, memory capacity, effective receptive field and extrapolation.

The formulas and their sources are in `analysis/measures`: recall, memory_capacity, gradients.
"""

import math

import numpy as np
import torch
from torch import Generator, Tensor

from analysis.measures.gradients import (
    bootstrap_mean_curves,
    cumulative_share,
    gradients_by_lag,
    smallest_lag_holding,
)
from analysis.measures.memory_capacity import memory_capacity
from analysis.measures.recall import accuracy_threshold, horizon, recall_curve
from analysis.probes.base import (
    Measure,
    lags_for_curve,
    longest_test_sequences,
    require_trained,
    run_measures,
    source_of,
    with_steps,
)
from analysis.probes.extrapolation import measure_extrapolation
from analysis.probes.models import LoadedModel
from analysis.probes.predictions import passes_through, recalled_answers
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import (
    clustered_proportions,
    expanded_percentiles,
    half_width,
)
from architectures.base import eval_mode
from workbench.seeding import CPU, make_generator
from workbench.seeds import derive_seed
from workbench.tasks import Batch, Task

REVISION = 4
"""Raised whenever the same settings come to give other numbers. 2: the accuracy, or the loss, at the limit tested. 3:
the length up to which the task stays solved. 4: its interval, and more sequences of the long lengths."""
RECALL_SEQUENCES_FACTOR = 5
"""Recall is measured on so many times `settings.sequences` sequences, so that a bin of lags has several answers."""
MIN_SAMPLES = 12_800
"""States that the readouts of memory capacity are fitted to, at least; as many again are held out."""
MAX_SAMPLES_PER_SEQUENCE = 100
SEQUENCES_PER_OUTPUT = 2
"""Sequences, for each output, that readouts are fitted to, at least. If a state moves slowly, the samples of one
sequence are much alike; with fewer sequences noise would then pass for memory, however many the samples."""
GRADIENT_SHARES = (50, 90, 95)
"""Shares of the squared gradient whose lags are measured, in per cent."""


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures everything in `MEASURES` that is available for the model and its task.

    Raises:
        NotAvailableError: if nothing is.
    """
    return run_measures(MEASURES, loaded, settings)


def measure_recall(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures accuracy against lag on test data, and the horizon."""
    require_trained(loaded)
    task = with_steps(loaded.task, settings.length)
    batch = task.fixed("test", RECALL_SEQUENCES_FACTOR * settings.sequences, CPU)
    if batch.recall is None or batch.source is None or batch.target.is_floating_point():
        raise NotAvailableError("the task does not say which step of the input is recalled at which step")
    with source_of(loaded.model, task):
        lag, right, sequence = recalled_answers(loaded.model, batch)
    threshold = accuracy_threshold(chance=1 / len(batch.target[batch.recall].unique()))
    recall = recall_curve(lag, right, sequence)
    shares = recall.shares
    value, low, high = (horizon(recall, ends, threshold) for ends in (shares.share, shares.low, shares.high))
    # If even the smallest measured lag is not recalled, the horizon may be anywhere below it.
    high = float(recall.smallest_lag) if high == 0 else high
    count = np.bincount(sequence)
    counted = count > 0
    total = clustered_proportions(
        np.bincount(sequence, right)[counted], count[counted], np.zeros(counted.sum(), dtype=int), 1
    )
    metrics = {
        "horizon": Metric(
            value=recall.largest_lag if value is None else value,
            low=recall.largest_lag if low is None else low,
            high=recall.largest_lag if high is None else high,
            censored=value is None,
            unit="steps",
            what=f"largest lag up to which accuracy stays above {threshold:.3g}, half way from chance to 1",
        ),
        "recall_accuracy": Metric(
            value=float(total.share[0]),
            low=float(total.low[0]),
            high=float(total.high[0]),
            unit="share",
            what="right answers among all that are to be recalled",
        ),
        # Tells apart those that recall at every lag that was tested.
        "accuracy_at_limit": Metric(
            value=float(shares.share[-1]),
            low=float(shares.low[-1]),
            high=float(shares.high[-1]),
            unit="share",
            what=f"right answers at the largest lags that were tested, about {recall.lag[-1]:,.0f} steps",
        ),
        "smallest_lag": Metric(
            value=recall.smallest_lag, unit="steps", what="smallest lag at which something is recalled"
        ),
        "largest_lag": Metric(
            value=recall.largest_lag, unit="steps", what="largest lag at which something is recalled"
        ),
        "recall_bound": Metric(value=threshold, unit="share", what="accuracy half way from chance to 1"),
    }
    curve = Curve.from_arrays(
        recall.lag,
        shares.share,
        low=shares.low,
        high=shares.high,
        x_unit="steps",
        y_unit="accuracy",
        what="accuracy against the lag from where a symbol was shown to where it is recalled",
    )
    return ProbeResult(metrics=metrics, curves={"recall": curve})


def measure_memory_capacity(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures how much of each past input a linear readout of the output recovers, and the sum."""
    model, task, encoder = loaded.model, loaded.task, loaded.model.encoder
    if not encoder.causal:
        raise NotAvailableError("it is not causal: its output is not a state, as it depends on later steps too")
    num_lags, size = settings.length or task.steps, encoder.output_size
    samples = min(num_lags, MAX_SAMPLES_PER_SEQUENCE)
    sequences = 2 * max(SEQUENCES_PER_OUTPUT * size, math.ceil(max(MIN_SAMPLES, 50 * size) / samples))
    steps = num_lags - 1 + samples
    generator = make_generator(CPU, "memory capacity", settings.seed)
    x, u = random_input(task, task.fixed("test", 100, CPU), sequences, steps, generator)
    with torch.no_grad(), eval_mode(model):
        # Copies: a view of the last steps would keep the outputs of all steps.
        states = torch.cat(
            [
                encoder(model.features(x[places].to(model.device)))[0][:, num_lags - 1 :].clone().cpu()
                for places in passes_through(encoder, sequences, steps)
            ]
        )
    capacity = memory_capacity(states, u, generator)
    half = float(half_width(capacity.r2_by_sequence.sum(1, keepdim=True).numpy())[0])
    metrics = {
        "memory_capacity": Metric(
            value=capacity.total,
            low=max(0.0, capacity.total - half),
            high=capacity.total + half,
            unit="outputs",
            what=f"sum of R^2 over the lags 0 to {num_lags - 1}, of past input read linearly from the output, held out",
        ),
        "states": Metric(value=size, unit="1", what="outputs, the most that memory capacity can be"),
        "capacity_level": Metric(
            value=capacity.noise_level,
            unit="1",
            what="R^2 up to which a lag counts as none: 99 % level of shuffled input",
        ),
    }
    lags = lags_for_curve(num_lags)
    r2, half_widths = capacity.r2.numpy()[lags], half_width(capacity.r2_by_sequence[:, lags].numpy())
    curve = Curve.from_arrays(
        lags,
        r2,
        low=np.maximum(r2 - half_widths, 0),
        high=np.minimum(r2 + half_widths, 1),
        x_unit="steps",
        y_unit="R²",
        what="R^2 of the input at a lag, read linearly from the output, held out",
    )
    return ProbeResult(metrics=metrics, curves={"capacity": curve})


def measure_receptive_field(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the lags within which shares of the last output's squared gradient lie."""
    task, model = with_steps(loaded.task, settings.length), loaded.model
    batch = longest_test_sequences(task, settings.sequences)
    with torch.no_grad():
        x = model.features(batch.x.to(model.device), batch.lengths)
    # A few probe vectors for each sequence are enough, as every sequence has its own.
    directions = max(2, settings.directions // 8)
    generator = make_generator(CPU, "receptive field", settings.seed)
    norms = gradients_by_lag(model.encoder, x, directions, generator, batch.lengths).numpy()
    shares = cumulative_share(norms)
    if not len(shares):
        raise NotAvailableError("its last output has no gradient with respect to the input, or an infinite one")
    has_interval = len(shares) > 1
    mean = shares.mean(0)
    samples = bootstrap_mean_curves(shares, np.random.default_rng(derive_seed("receptive field", settings.seed)))
    metrics = {}
    largest_lag = shares.shape[1] - 1
    for percent in GRADIENT_SHARES:
        low, high = None, None
        if has_interval:
            ends = expanded_percentiles(smallest_lag_holding(samples, percent / 100), len(shares))
            low, high = (float(end) for end in ends)
        value = float(smallest_lag_holding(mean[None], percent / 100)[0])
        metrics[f"field_{percent}"] = Metric(
            value=value,
            low=low,
            high=high,
            # In longer sequences it might lie further back, unless the architecture sees nothing there.
            censored=value >= largest_lag and model.encoder.receptive_field is None,
            unit="steps",
            what=f"lag within which {percent} % of the squared gradient of the last output lies",
        )
    labels = {}
    if (reach := model.encoder.receptive_field) is None:
        labels["reach"] = "unbounded"
    else:
        metrics["reach"] = Metric(value=reach, unit="steps", what="steps that an output can depend on at all")
    lags = lags_for_curve(shares.shape[1])
    lower, upper = expanded_percentiles(samples[:, lags], len(shares)) if has_interval else (None, None)
    curve = Curve.from_arrays(
        lags,
        mean[lags],
        low=lower,
        high=upper,
        x_unit="steps",
        y_unit="share",
        what="share of the squared gradient of the last output within a lag",
    )
    return ProbeResult(metrics=metrics, curves={"gradient_share": curve}, labels=labels)


MEASURES: dict[str, Measure] = {
    "recall": measure_recall,
    "memory_capacity": measure_memory_capacity,
    "receptive_field": measure_receptive_field,
    "extrapolation": measure_extrapolation,
}


def random_input(task: Task, batch: Batch, size: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Returns independent, identically distributed input like that of a task.

    For symbols, x is uniform over the alphabet, and u is the symbol's number, one of many ways to order symbols. For
    features, u drives the first one, uniform with the mean and the standard deviation of that feature in the task's
    data; the others stay at their means, so that there is one input to remember.

    Args:
        task: that the model was built for.
        batch: some of its data.
        size: sequences.
        steps: of each sequence.
        generator: on the CPU.

    Returns:
        x, (size, steps) symbols or (size, steps, input_size) features, and u (size, steps), with a mean of about 0 and
        a variance of about 1.

    Raises:
        NotAvailableError: if the task has only one symbol, or its first feature never changes in its data.
    """
    if task.symbols == 1:
        raise NotAvailableError("the task has one symbol only, so there is nothing in it to remember")
    if task.symbols is not None:
        x = torch.randint(task.symbols, (size, steps), generator=generator)
        u = (x - (task.symbols - 1) / 2) / math.sqrt((task.symbols**2 - 1) / 12)
        return x, u
    values = batch.x.flatten(0, 1).double()
    if batch.lengths is not None:
        values = values[(torch.arange(batch.x.shape[1]) < batch.lengths.unsqueeze(1)).flatten()]
    mean, scale = values.mean(0), values[:, 0].std()
    if not scale > 1e-9 * mean[0].abs():
        raise NotAvailableError("the task's first feature is constant, so there is no scale to drive it with")
    u = (2 * torch.rand((size, steps), generator=generator) - 1) * math.sqrt(3)
    x = mean.float().expand(size, steps, -1).clone()
    x[:, :, 0] += scale.float() * u
    return x, u
