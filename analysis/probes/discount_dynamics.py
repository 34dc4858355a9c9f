"""How a model discounts its past: what its units keep and write over time, how long that lasts, whether they freeze,
and what a hierarchy attends to.

The formulas and their sources are in `analysis/measures`, each in the file of its name.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures import influence
from analysis.measures.attention_maps import AttentionLevel, entropy, levels, rollout
from analysis.measures.gates import gate_traces
from analysis.measures.influence import Episodes, Layout, bins, centres, means
from analysis.probes import gate_statistics
from analysis.probes.base import with_steps
from analysis.probes.gate_statistics import LAG, PICTURE, STEP, GateAccumulator, effective, influence_curves
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Heatmap, Metric, NotAvailableError, ProbeResult, metric_of_interval
from analysis.probes.settings import ProbeSettings
from analysis.statistics import safe_divide
from architectures.base import evaluating
from architectures.trace import Trace
from workbench.tasks import Task
from workbench.tasks.multicopy import MultiCopy


def measure(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Gates and attention maps of the model on test sequences of its task.

    Raises:
        NotAvailableError: if it has neither.
    """
    task, encoder = probed_task(subject, settings), subject.model.encoder
    layout, reason = None, "only on multicopy does something go out of use"
    if isinstance(task, MultiCopy):
        layout, reason = Layout(items=task.items, gap=task.gap), "there is no second episode"
        layout = layout if task.copies > 1 else None
    found, maps = GateAccumulator(steps=task.steps, layout=layout), AttentionMapAccumulator(task.steps, encoder.causal)
    for trace, lengths in traces(subject, task, settings.sequences):
        if (of_part := gate_traces(trace)) is not None:
            found.add(of_part, lengths)
        if trace.maps:
            maps.add(trace.maps, lengths)
    parts = []
    if found.per_unit:
        parts.append(gate_statistics.findings(found))
        if found.layout is not None:
            parts.append(findings(found.episodes, found.layout))
    if maps.sizes:
        parts.append(maps.findings())
    if not parts:
        raise NotAvailableError(f"{subject.name} has neither gates that keep and write nor attention maps")
    missing = {} if found.per_unit else {"retention": f"{subject.name} has no gates that keep and write"}
    if not maps.sizes:
        missing["attention_maps"] = f"{subject.name} is no hierarchy of attention"
    if found.per_unit and found.layout is None:
        missing["dropped_after_use"] = reason
    return ProbeResult(
        metrics={name: value for part in parts for name, value in part.metrics.items()},
        curves={name: value for part in parts for name, value in part.curves.items()},
        heatmaps={name: value for part in parts for name, value in part.heatmaps.items()},
        labels={name: value for part in parts for name, value in part.labels.items()},
        unavailable={**missing, **{name: value for part in parts for name, value in part.unavailable.items()}},
    )


POSITION = "step since an episode's start"


def findings(parts: Sequence[Episodes], layout: Layout) -> ProbeResult:
    """All numbers and curves of what is held of past episodes."""
    shown, used, left, needed, held, earlier, each = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("shown", "used", "left", "needed", "held", "earlier", "by_episode")
    )
    pair = np.stack([left, used], axis=2)
    span = layout.items + layout.gap + 1
    numbers = {
        "dropped_after_use": metric_of_interval(
            statistics.two_way_bootstrap(pair, influence.dropped),
            "share",
            f"what was held of an episode's symbols after its last step of recall, that is gone {span} steps later, "
            "at the next mark",
        ),
        "kept_until_used": metric_of_interval(
            statistics.two_way_bootstrap(np.stack([used, shown], axis=2), statistics.ratio_of_sums),
            "share",
            f"what was held of an episode's symbols after the last of them, that is left {span} steps later, after its "
            "last step of recall",
        ),
        "forgets_on_purpose": metric_of_interval(
            statistics.two_way_bootstrap(np.stack([needed - left, used], axis=2), influence.margin),
            # No share: it is negative where less is kept while it is needed.
            "1",
            f"share kept over {span} steps while it was needed, less share kept over the next {span}; 0 for any steady "
            "forgetting",
        ),
        "held_over": metric_of_interval(
            statistics.two_way_bootstrap(earlier[:, :, -1], statistics.bootstrap_mean),
            "share",
            "influence of all earlier episodes at an episode's last step",
        ),
    }
    total = each.sum(0)
    by_episode = safe_divide(total[:, 0] - total[:, 1], total[:, 0])
    curves = {
        "held_symbols": Curve.of(
            np.arange(1, held.shape[1] + 1),
            np.nanmean(held, axis=0),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that an episode's symbols have, to the end of the next episode",
        ),
        "held_over": Curve.of(
            np.arange(1, layout.steps + 1),
            np.nanmean(earlier, axis=(0, 1)),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that all earlier episodes have",
        ),
        "dropped_by_episode": Curve.of(
            np.arange(1, len(by_episode) + 1),
            by_episode,
            x_unit="episode",
            y_unit="share",
            what="share of what was held after an episode's recall that is gone at the next mark",
        ),
    }
    return ProbeResult(metrics=numbers, curves=curves)


OFFSETS = 64
"""Rows of a map's picture, at most."""


class AttentionMapAccumulator:
    """Gathers attention maps while traces go by.

    Args:
        steps: of the sequences.
        causal: whether the encoder is.
    """

    def __init__(self, steps: int, causal: bool) -> None:
        self.steps, self.causal = steps, causal
        self.entropies: dict[str, list[np.ndarray]] = {}
        self.sums: dict[str, np.ndarray] = {}
        self.counts: dict[str, np.ndarray] = {}
        self.sizes: dict[str, tuple[int, int, bool]] = {}

    def add(self, maps: tuple[Tensor, ...], lengths: Tensor | None) -> None:
        """Takes in a part."""
        for level in levels(maps, self.causal):
            name = f"level_{level.number}" + ("" if level.onward else "_ahead")
            full = level.full(lengths)
            self.sizes[name] = (level.map.shape[3], level.spacing, level.onward)
            at = full.unsqueeze(1)
            spread = entropy(level.map).where(at, torch.nan).nanmean(2)
            self.entropies.setdefault(name, []).append(spread.numpy(force=True).astype(float))
            self._sum(f"{name}_mean", level.map.mean(1), full.unsqueeze(2), over=(0, 1))
            self._sum(f"{name}_picture", map_image(level), None, over=(0,))
        if self.causal:
            for name, step in (
                ("last", self.steps - 1),
                ("half", self.steps // 2 - 1),
                ("quarter", self.steps // 4 - 1),
            ):
                if step > 0:
                    there = None if lengths is None else (lengths.to(maps[0].device) > step).unsqueeze(1)
                    self._sum(f"influence_{name}", rollout(maps, step), there, over=(0,))

    def findings(self) -> ProbeResult:
        """All numbers, curves and grids that a hierarchy has."""
        numbers: dict[str, Metric] = {}
        curves: dict[str, Curve] = {}
        grids: dict[str, Heatmap] = {}
        for name, (window, spacing, onward) in self.sizes.items():
            where = f"{name.split('_')[1]}" + ("" if onward else ", looking ahead")
            table = np.concatenate(self.entropies[name])
            seen = min(window, -(-self.steps // spacing))
            numbers[f"attention_entropy_{name}"] = metric_of_interval(
                statistics.two_way_bootstrap(table, statistics.bootstrap_mean),
                "nats",
                f"entropy of the attention of level {where}; at most ln {seen} = {math.log(seen):.4g}",
            )
            numbers[f"attention_window_{name}"] = metric_of_interval(
                statistics.two_way_bootstrap(table, effective),
                "outputs",
                f"effective window of level {where}, exp(entropy); at most {seen}",
            )
            curves[f"attention_{name}"] = Curve.of(
                spacing * np.arange(seen),
                self._mean(f"{name}_mean")[:seen],
                x_unit=LAG,
                y_unit="weight",
                what=f"mean attention of level {where} to the outputs below, by how far away they are",
            )
            grids[f"map_{name}"] = Heatmap.of(
                self._mean(f"{name}_picture").T,
                rows=spacing * centres(bins(window, OFFSETS), first=0.0),
                columns=centres(bins(self.steps, PICTURE[1])),
                row_name=LAG,
                column_name=STEP,
                unit="weight",
                what=f"attention of level {where}, mean over sequences and heads",
            )
        for name, step in (("last", self.steps - 1), ("half", self.steps // 2 - 1), ("quarter", self.steps // 4 - 1)):
            if f"influence_{name}" in self.sums:
                curves |= influence_curves(name, self._mean(f"influence_{name}"), step + 1)
        return ProbeResult(metrics=numbers, curves=curves, heatmaps=grids)

    def _sum(self, name: str, values: Tensor, there: Tensor | None, over: tuple[int, ...]) -> None:
        kept = torch.ones_like(values) if there is None else there.to(values.dtype).expand_as(values)
        kept = kept * values.isfinite()
        total = (values.nan_to_num() * kept).sum(over, dtype=torch.float64)
        self.sums[name] = self.sums.get(name, 0.0) + total.numpy(force=True)
        self.counts[name] = self.counts.get(name, 0.0) + kept.sum(over).numpy(force=True)

    def _mean(self, name: str) -> np.ndarray:
        total, count = self.sums[name], self.counts[name]
        return safe_divide(total, count)


def map_image(level: AttentionLevel) -> Tensor:
    """(batch, steps, offsets) of a level's map, mean over heads, thinned."""
    time, window = level.map.shape[2:]
    thin = means(level.map.mean(1), bins(time, PICTURE[1]))
    return means(thin, bins(window, OFFSETS), dim=2)


ELEMENTS = 1 << 21
"""Numbers in one quantity of a trace, at most: more sequences than that has room for are looked at in parts."""


def probed_task(subject: LoadedModel, settings: ProbeSettings) -> Task:
    """The task with sequences of the length asked for: of `multicopy`, as many whole copies as that has room for, and
    two at least.

    Raises:
        NotAvailableError: if the task's length cannot be chosen so.
    """
    task = subject.task
    if isinstance(task, MultiCopy) and settings.length is not None:
        return dataclasses.replace(task, copies=max(2, settings.length // task.unit))
    return with_steps(task, settings.length)


def traces(subject: LoadedModel, task: Task, sequences: int) -> Iterator[tuple[Trace, Tensor | None]]:
    """Traces of the task's test sequences, part by part, each with its lengths.

    Raises:
        NotAvailableError: if the architecture has no trace.
    """
    model = subject.model
    batch = task.fixed("test", sequences, torch.device("cpu"))
    size = max(1, ELEMENTS // (batch.x.shape[1] * model.encoder.output_size))
    for start in range(0, len(batch.x), size):
        part = batch[start : start + size].to(model.device)
        with torch.no_grad(), evaluating(model):
            try:
                yield model.encoder.trace(model.features(part.x), lengths=part.lengths), part.lengths
            except NotImplementedError:
                raise NotAvailableError(f"{subject.name} has no trace") from None
