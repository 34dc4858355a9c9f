"""Discount dynamics: what a model keeps and writes over time, for how long, and what a hierarchy attends to.

The formulas and their sources are in `analysis/measures`: gates, influence, attention_maps.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures.attention_maps import AttentionLevel, attention_levels, attention_rollout, entropy
from analysis.measures.gates import gate_trace
from analysis.measures.influence import (
    EpisodeInfluence,
    EpisodeLayout,
    bin_centres,
    bin_means,
    bins,
    dropped_share,
    forgetting_margin,
)
from analysis.probes.base import with_steps
from analysis.probes.gate_statistics import (
    HEATMAP_SIZE,
    LAG,
    STEP,
    GateAccumulator,
    effective_window,
    gate_result,
    influence_curves,
    influence_steps,
)
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Heatmap, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import safe_divide
from architectures.base import eval_mode
from architectures.residual import ResidualEncoder
from architectures.trace import Trace
from architectures.transformer import MAX_MAPPED_STEPS, FoX, Transformer
from workbench.seeding import CPU
from workbench.tasks import Task
from workbench.tasks.multicopy import MultiCopy

MAX_OFFSETS = 64
"""Rows of the heat map of an attention map, at most."""
MAX_ELEMENTS = 1 << 21
"""Elements that one quantity of a trace may have; sequences are traced in parts accordingly, which bounds memory."""
POSITION = "step since an episode's start"
"""Unit of an axis over the steps of an episode."""


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures gates and attention maps of the model on test sequences of its task.

    Raises:
        NotAvailableError: if it has neither.
    """
    task, encoder = task_with_length(loaded, settings), loaded.model.encoder
    layout, reason = None, "only on multicopy does something go out of use"
    if isinstance(task, MultiCopy):
        reason = "there is no second episode"
        if task.copies > 1:
            layout = EpisodeLayout(items=task.items, gap=task.gap)
    gates, maps = GateAccumulator(steps=task.steps, layout=layout), AttentionMapAccumulator(task.steps, encoder.causal)
    for trace, lengths in iterate_traces(loaded, task, settings.sequences):
        if (gates_of_part := gate_trace(trace)) is not None:
            gates.add(gates_of_part, lengths)
        if trace.maps:
            maps.add(trace.maps, lengths, trace.spacings)
    results, unavailable = [], {}
    if gates.per_unit:
        results.append(gate_result(gates))
    else:
        unavailable["retention"] = f"{loaded.name} has no gates that keep and write"
    if gates.per_unit and layout is not None:
        results.append(episode_result(gates.episodes, layout))
    if maps.shapes:
        results.append(maps.result())
    else:
        attends = isinstance(encoder, Transformer | FoX)
        too_long = f" of more than {MAX_MAPPED_STEPS:,} steps, which take memory of their square" if attends else ""
        unavailable["attention_maps"] = f"{loaded.name} has no attention maps{too_long}"
    if gates.per_unit and layout is None:
        unavailable["dropped_after_use"] = reason
    if not results:
        raise NotAvailableError(f"{loaded.name} has neither gates that keep and write nor attention maps")
    return ProbeResult.merge([ProbeResult(unavailable=unavailable), *results])


def task_with_length(loaded: LoadedModel, settings: ProbeSettings) -> Task:
    """Returns the task with sequences of the length in the settings.

    A `multicopy` gets as many whole copies as fit into that length, and at least two.

    Raises:
        NotAvailableError: if the task cannot have that length.
    """
    task = loaded.task
    if isinstance(task, MultiCopy) and settings.length is not None:
        return replace(task, copies=max(2, settings.length // task.unit))
    return with_steps(task, settings.length)


def iterate_traces(loaded: LoadedModel, task: Task, sequences: int) -> Iterator[tuple[Trace, Tensor | None]]:
    """Yields traces of the task's test sequences, part by part, each with its lengths.

    Raises:
        NotAvailableError: if the architecture has no trace.
    """
    model = loaded.model
    batch = task.fixed("test", sequences, CPU)
    per_sequence = batch.x.shape[1] * model.encoder.output_size
    # Attention maps may be far larger than the output: the first sequence shows by how much.
    may_attend = model.encoder.receptive_field is not None or isinstance(model.encoder, ResidualEncoder)
    size = 1 if may_attend else max(1, MAX_ELEMENTS // per_sequence)
    start = 0
    while start < len(batch.x):
        part = batch[start : start + size].to(model.device)
        with torch.no_grad(), eval_mode(model):
            try:
                trace = model.encoder.trace(model.features(part.x, part.lengths), lengths=part.lengths)
            except NotImplementedError:
                raise NotAvailableError(f"{loaded.name} has no trace") from None
        yield trace, part.lengths
        start += size
        if start == 1:
            largest = max([per_sequence, *(attention_map.numel() for attention_map in trace.maps or ())])
            size = max(1, MAX_ELEMENTS // largest)


def episode_result(parts: Sequence[EpisodeInfluence], layout: EpisodeLayout) -> ProbeResult:
    """Returns all metrics and curves of the influence of past episodes."""
    after_input, after_recall, at_next_mark, expected, held_share, earlier_share, sums = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in (
            "after_input",
            "after_recall",
            "at_next_mark",
            "expected_at_next_mark",
            "held_share",
            "earlier_share",
            "by_episode",
        )
    )
    span = layout.items + layout.gap + 1
    metrics = {
        "dropped_after_use": Metric.from_interval(
            statistics.two_way_bootstrap(np.stack([at_next_mark, after_recall], axis=2), dropped_share),
            "share",
            f"what was held of an episode's symbols after its last step of recall, that is gone {span} steps later, "
            "at the next mark",
        ),
        "kept_until_used": Metric.from_interval(
            statistics.two_way_bootstrap(np.stack([after_recall, after_input], axis=2), statistics.ratio_of_sums),
            "share",
            f"what was held of an episode's symbols after the last of them, that is left {span} steps later, after its "
            "last step of recall",
        ),
        "forgets_on_purpose": Metric.from_interval(
            statistics.two_way_bootstrap(np.stack([expected - at_next_mark, after_recall], axis=2), forgetting_margin),
            # Not a share: it is negative if less is kept while it is needed.
            "1",
            f"share kept over {span} steps while it was needed, less share kept over the next {span}; 0 for any steady "
            "forgetting",
        ),
        "held_over": Metric.from_interval(
            statistics.two_way_bootstrap(earlier_share[:, :, -1], statistics.bootstrap_mean),
            "share",
            "influence of all earlier episodes at an episode's last step",
        ),
    }
    recalled, left = sums.sum(0).T
    by_episode = safe_divide(recalled - left, recalled)
    curves = {
        "held_symbols": Curve.from_arrays(
            np.arange(1, held_share.shape[1] + 1),
            np.nanmean(held_share, axis=0),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that an episode's symbols have, to the end of the next episode",
        ),
        "held_over": Curve.from_arrays(
            np.arange(1, layout.steps + 1),
            np.nanmean(earlier_share, axis=(0, 1)),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that all earlier episodes have",
        ),
        "dropped_by_episode": Curve.from_arrays(
            np.arange(1, len(by_episode) + 1),
            by_episode,
            x_unit="episode",
            y_unit="share",
            what="share of what was held after an episode's recall that is gone at the next mark",
        ),
    }
    return ProbeResult(metrics=metrics, curves=curves)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelShape:
    """Shape of an attention map."""

    window: int
    """Entries of a window."""
    spacing: int
    """Steps between neighbouring entries."""
    looks_back: bool


class AttentionMapAccumulator:
    """Accumulates attention maps over parts of the data.

    Args:
        steps: of the sequences.
        causal: whether the encoder is causal.
    """

    def __init__(self, steps: int, causal: bool) -> None:
        self.steps, self.causal = steps, causal
        self.shapes: dict[str, LevelShape] = {}
        self.entropies: dict[str, list[np.ndarray]] = {}
        """Mean entropies of each level by name, (batch, heads), one for each part."""
        self.sums: dict[str, np.ndarray] = {}
        self.counts: dict[str, np.ndarray] = {}

    def add(self, maps: tuple[Tensor, ...], lengths: Tensor | None, spacings: tuple[int, ...] | None = None) -> None:
        """Adds the maps of a part, with the lengths of its sequences, (batch,), and the spacings of its trace."""
        for level in attention_levels(maps, self.causal, spacings):
            name = f"level_{level.number}" + ("" if level.looks_back else "_ahead")
            full = level.has_full_window(lengths)
            self.shapes[name] = LevelShape(
                window=level.map.shape[3], spacing=level.spacing, looks_back=level.looks_back
            )
            mean_entropy = entropy(level.map).where(full.unsqueeze(1), torch.nan).nanmean(2)
            self.entropies.setdefault(name, []).append(mean_entropy.numpy(force=True).astype(float))
            self._add(f"{name}_mean", level.map.mean(1), full.unsqueeze(2), over=(0, 1))
            self._add(f"{name}_image", map_image(level), None, over=(0,))
        if self.causal:
            for name, step in influence_steps(self.steps).items():
                reached = None if lengths is None else (lengths.to(maps[0].device) > step).unsqueeze(1)
                self._add(f"influence_{name}", attention_rollout(maps, step, spacings), reached, over=(0,))

    def result(self) -> ProbeResult:
        """Returns all metrics, curves and heat maps of a hierarchy."""
        metrics: dict[str, Metric] = {}
        curves: dict[str, Curve] = {}
        heatmaps: dict[str, Heatmap] = {}
        for name, shape in self.shapes.items():
            title = name.split("_")[1] + ("" if shape.looks_back else ", looking ahead")
            entropies = np.concatenate(self.entropies[name])
            most = min(shape.window, -(-self.steps // shape.spacing))
            metrics[f"attention_entropy_{name}"] = Metric.from_interval(
                statistics.two_way_bootstrap(entropies, statistics.bootstrap_mean),
                "nats",
                f"entropy of the attention of level {title}; at most ln {most} = {math.log(most):.4g}",
            )
            metrics[f"attention_window_{name}"] = Metric.from_interval(
                statistics.two_way_bootstrap(entropies, effective_window),
                "outputs",
                f"effective window of level {title}, exp(entropy); at most {most}",
            )
            curves[f"attention_{name}"] = Curve.from_arrays(
                shape.spacing * np.arange(most),
                self._mean(f"{name}_mean")[:most],
                x_unit=LAG,
                y_unit="weight",
                what=f"mean attention of level {title} to the outputs below, by how far away they are",
            )
            heatmaps[f"map_{name}"] = Heatmap.from_arrays(
                self._mean(f"{name}_image").T,
                rows=shape.spacing * bin_centres(bins(shape.window, MAX_OFFSETS), first=0.0),
                columns=bin_centres(bins(self.steps, HEATMAP_SIZE[1])),
                row_name=LAG,
                column_name=STEP,
                unit="weight",
                what=f"attention of level {title}, mean over sequences and heads",
            )
        if self.causal:
            for name, step in influence_steps(self.steps).items():
                curves |= influence_curves(name, self._mean(f"influence_{name}"), step + 1)
        return ProbeResult(metrics=metrics, curves=curves, heatmaps=heatmaps)

    def _add(self, name: str, values: Tensor, valid: Tensor | None, over: tuple[int, ...]) -> None:
        weights = torch.ones_like(values) if valid is None else valid.to(values.dtype).expand_as(values)
        weights = weights * values.isfinite()
        total = (values.nan_to_num() * weights).sum(over, dtype=torch.float64)
        self.sums[name] = self.sums.get(name, 0.0) + total.numpy(force=True)
        self.counts[name] = self.counts.get(name, 0.0) + weights.sum(over).numpy(force=True)

    def _mean(self, name: str) -> np.ndarray:
        return safe_divide(self.sums[name], self.counts[name])


def map_image(level: AttentionLevel) -> Tensor:
    """Returns a level's map as an image, (batch, steps, offsets): mean over heads, thinned."""
    time, window = level.map.shape[2:]
    by_step = bin_means(level.map.mean(1), bins(time, HEATMAP_SIZE[1]))
    return bin_means(by_step, bins(window, MAX_OFFSETS), dim=2)
