"""Alignment: does a model look at what is asked for, how long a source can be, and how much of it is stored?"""

import numpy as np
import torch
from torch import Tensor

from analysis.measures.source_weights import Agreement, agreement, join_agreements, source_weights
from analysis.probes.base import Measure, require_trained, run_measures, with_steps
from analysis.probes.models import LoadedModel
from analysis.probes.predictions import iterate_predictions, passes_through
from analysis.probes.result import Curve, Heatmap, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import Proportions, clustered_proportions, mean_interval
from architectures.base import eval_mode
from architectures.state import State
from workbench.free_running import run_free
from workbench.model import Model
from workbench.seeding import CPU
from workbench.tasks import Batch, Task

SEQUENCES_FACTOR = 5
"""Alignment and length are measured on so many times `settings.sequences` sequences."""
MAX_BINS = 20
"""Most lengths of a source that accuracy is told apart for; neighbouring ones are taken together beyond."""


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures everything in `MEASURES` that is available for the model and its task.

    Raises:
        NotAvailableError: if nothing is.
    """
    return run_measures(MEASURES, loaded, settings)


def measure_maps(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Compares the weights of the input's steps with the step that is asked for, on test data."""
    batch, asked, source = asked_batch(loaded.task, settings)
    if not source[asked].max():
        raise NotAvailableError("the source has one step, at which every weight is")
    model, encoder = loaded.model, loaded.model.encoder
    lengths = source_lengths(source, asked)
    longest = int(lengths.argmax())
    # Part by part, as all weights of all sequences may be more than memory holds.
    parts, starts, example = [], [], torch.empty(0, 0)
    with torch.no_grad(), eval_mode(model):
        for places in passes_through(encoder, *batch.x.shape[:2]):
            trace = encoder.trace(model.features(batch[places].x.to(model.device)))
            weights = source_weights(trace, encoder.causal, asked[places].to(model.device))
            if weights is None:
                raise NotAvailableError("it has no attention that says which steps of the input it reads")
            weights = weights.cpu()
            parts.append(agreement(weights, source[places], asked[places]))
            starts.append(places.start)
            if places.start <= longest < places.stop:
                example = weights[parts[-1].sequence == longest - places.start]
    found = join_agreements(parts, starts)
    shares = by_sequence(found, found.strongest)
    metrics = {
        "aligned": share_metric(shares, "answers at which the step with the largest weight is the one asked for"),
        "aligned_first": share_metric(
            by_sequence(found, found.strongest, found.first),
            "the same, of the answers alone that ask for another step than the answer before",
        ),
        "aligned_near": share_metric(
            by_sequence(found, found.near), "answers at which it is the step asked for or one beside it"
        ),
        "source_weight": mean_metric(found, found.weight, "share", "weight of the step asked for, among all"),
        "map_entropy": mean_metric(found, found.entropy, "nats", "entropy of the weights of the input's steps"),
    }
    curves = {}
    if len(np.unique(lengths)) > 1:
        kinds = {"aligned": torch.ones_like(found.first), "aligned_first": found.first}
        for name, counted in kinds.items():
            sequence = found.sequence[counted]
            curve = proportions_against(lengths[sequence.numpy()], found.strongest[counted], sequence)
            curves[name] = length_curve(
                *curve, y_unit="share aligned", what=f"{metrics[name].what}, against the source's length"
            )
    return ProbeResult(metrics=metrics, curves=curves, heatmaps=example_maps(example, source[longest], asked[longest]))


def measure_length(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures accuracy against the length of the source, with right inputs and with answers that are fed back."""
    require_trained(loaded)
    batch, asked, source = asked_batch(loaded.task, settings)
    if batch.target.is_floating_point():
        raise NotAvailableError("the task's answers are numbers, of which none is right or wrong")
    lengths = source_lengths(source, asked)
    if len(np.unique(lengths)) < 2:
        raise NotAvailableError("all sources of the task have one length")
    forced = torch.cat([answers.argmax(-1).cpu() for _, answers in iterate_predictions(loaded.model, batch)])
    kinds = {"": ("accuracy", forced)}
    if loaded.task.prompt is not None:
        kinds["free_"] = ("accuracy of answers fed back", free_answers(loaded.model, loaded.task, batch))
    sequence, step = asked.nonzero(as_tuple=True)
    metrics, curves = {}, {}
    for prefix, (name, answers) in kinds.items():
        right = (answers == batch.target)[sequence, step]
        centers, shares = proportions_against(lengths[sequence.numpy()], right, sequence)
        curves[f"{prefix}length"] = length_curve(
            centers, shares, y_unit=name, what=f"{name} against the source's length"
        )
        for end, place in (("shortest", 0), ("longest", -1)):
            metrics[f"{prefix}accuracy_{end}"] = share_metric(
                shares, f"{name} at sources of about {centers[place]:.3g} steps, the {end}", place
            )
    return ProbeResult(metrics=metrics, curves=curves)


def measure_stored(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures how many steps a memory stores, of those that it counts on what is stored, on test data."""
    task, model = with_steps(loaded.task, settings.length), loaded.model
    batch = task.fixed("test", settings.sequences, CPU)
    parts = []
    with torch.no_grad(), eval_mode(model):
        for places in passes_through(model.encoder, *batch.x.shape[:2]):
            part = batch[places].to(model.device)
            gates = model.encoder.trace(model.features(part.x, part.lengths), lengths=part.lengths).gates or {}
            if "stored" not in gates:
                raise NotAvailableError("it has no memory that chooses what it stores")
            parts.append(gates["stored"][..., 0].cpu())
    stored = torch.cat(parts).numpy()
    time = stored.shape[1]
    last = time - 1 if batch.lengths is None else batch.lengths.numpy() - 1
    mean = mean_interval(stored[np.arange(len(stored)), last] / (last + 1))
    half = mean.half_width or 0.0
    has_interval = mean.half_width is not None
    metric = Metric(
        value=mean.mean,
        low=mean.mean - half if has_interval else None,
        high=mean.mean + half if has_interval else None,
        unit="share",
        what="steps of a sequence that are stored, at its end",
    )
    curve = Curve.from_arrays(
        np.arange(1, time + 1), stored.mean(0), x_unit="steps", y_unit="steps", what="steps that are stored so far"
    )
    return ProbeResult(metrics={"stored_share": metric}, curves={"stored": curve})


MEASURES: dict[str, Measure] = {"maps": measure_maps, "length": measure_length, "stored": measure_stored}


def asked_batch(task: Task, settings: ProbeSettings) -> tuple[Batch, Tensor, Tensor]:
    """Returns test data with the steps that ask, and the step of the input that is asked for at each of them.

    Raises:
        NotAvailableError: if the task does not say.
    """
    task = with_steps(task, settings.length)
    batch = task.fixed("test", SEQUENCES_FACTOR * settings.sequences, CPU)
    if batch.source is None or batch.lengths is not None:
        raise NotAvailableError("the task does not say which step of the input is asked for at which step")
    return batch, batch.source >= 0 if batch.recall is None else batch.recall, batch.source


def source_lengths(source: Tensor, asked: Tensor) -> np.ndarray:
    """Returns how many different steps are asked for in each sequence."""
    return np.array([len(row[ask].unique()) for row, ask in zip(source, asked, strict=True)])


def free_answers(model: Model, task: Task, batch: Batch) -> Tensor:
    """Returns the answers of a model whose own answers are its next inputs, (batch, time)."""

    def predict(x: Tensor, state: State) -> tuple[Tensor, State]:
        prediction: tuple[Tensor, State] = model(x, None, state)
        return prediction

    answers = []
    with torch.no_grad(), eval_mode(model):
        for places in passes_through(model.encoder, *batch.x.shape[:2]):
            part = batch[places].to(model.device)
            answers.append(run_free(predict, task, part, model.encoder.causal).argmax(-1).cpu())
    return torch.cat(answers)


def by_sequence(found: Agreement, right: Tensor, of: Tensor | None = None) -> Proportions:
    """Returns the share of all answers, whose interval knows that those of one sequence are not independent.

    Args:
        found: of all answers.
        right: true for those that count as right.
        of: true for those that count at all; by default all.
    """
    chosen = torch.ones_like(right) if of is None else of
    sequence = found.sequence[chosen].numpy()
    counts = np.bincount(sequence)
    counted = counts > 0
    return clustered_proportions(
        np.bincount(sequence, right[chosen].numpy())[counted], counts[counted], np.zeros(counted.sum(), dtype=int), 1
    )


def share_metric(shares: Proportions, what: str, place: int = 0) -> Metric:
    """Returns one of some shares as a metric."""
    value, low, high = (float(values[place]) for values in (shares.share, shares.low, shares.high))
    return Metric(value=value, low=low, high=high, unit="share", what=what)


def mean_metric(found: Agreement, values: Tensor, unit: str, what: str) -> Metric:
    """Returns the mean over sequences of the mean of each."""
    sequence = found.sequence.numpy()
    counts = np.bincount(sequence)
    mean = mean_interval((np.bincount(sequence, values.numpy()) / np.maximum(counts, 1))[counts > 0])
    half = mean.half_width
    low, high = (None, None) if half is None else (mean.mean - half, mean.mean + half)
    return Metric(value=mean.mean, low=low, high=high, unit=unit, what=what)


def proportions_against(lengths: np.ndarray, right: Tensor, sequence: Tensor) -> tuple[np.ndarray, Proportions]:
    """Returns the mean length in each bin of lengths, and the share of right answers there.

    Args:
        lengths: of the source of each answer, (answers,).
        right: whether each answer is right.
        sequence: its sequence.
    """
    known = np.unique(lengths)
    bins = np.digitize(lengths, [part[0] for part in np.array_split(known, min(MAX_BINS, len(known)))]) - 1
    centers = np.bincount(bins, lengths) / np.bincount(bins)
    clusters, place = np.unique(np.stack([bins, sequence.numpy()]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    shares = clustered_proportions(
        np.bincount(place, right.numpy()), np.bincount(place).astype(float), clusters[0].astype(int), len(centers)
    )
    return centers, shares


def length_curve(centers: np.ndarray, shares: Proportions, *, y_unit: str, what: str) -> Curve:
    """Returns shares against the length of a source as a curve."""
    return Curve.from_arrays(
        centers, shares.share, low=shares.low, high=shares.high, x_unit="steps", y_unit=y_unit, what=what
    )


def example_maps(weights: Tensor, source: Tensor, asked: Tensor) -> dict[str, Heatmap]:
    """Returns the weights of one sequence at its steps that ask, (answers, steps), and the truth beside."""
    steps = asked.nonzero().flatten()
    if len(steps) < 2:
        return {}
    columns = torch.arange(int(source[steps].max()) + 1)
    true = (source[steps].unsqueeze(1) == columns).double()
    shown = {"map": (weights[:, columns].double(), "weight"), "truth": (true, "1 at the step asked for")}
    return {
        name: Heatmap.from_arrays(
            values,
            rows=steps + 1,
            columns=columns + 1,
            row_name="step of the answer",
            column_name="step of the source",
            unit="share",
            what=f"{what} of each step of a source, at the steps of its answer",
        )
        for name, (values, what) in shown.items()
    }
