"""Statistics of gated units: small tables accumulated over parts of the data, and the probe's results from them."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures import gates
from analysis.measures.gates import GateTrace
from analysis.measures.influence import (
    EpisodeInfluence,
    EpisodeLayout,
    bin_centres,
    bin_means,
    bins,
    episode_influence,
    influence_statistics,
)
from analysis.measures.lemma1 import slopes_over_steps
from analysis.probes.result import Curve, Heatmap, Metric, ProbeResult
from analysis.statistics import Statistic, safe_divide
from architectures.trace import influence

NUM_TIME_BINS, NUM_LOG_TIME_BINS, NUM_LAG_BINS = 160, 60, 120
"""Points of a curve over time, over the logarithm of time, and over the lag."""
HEATMAP_SIZE = (48, 160)
"""Units and steps of a heat map, at most."""
MIN_SLOPE_STEPS = 20
"""Steps that a slope over their last decade needs."""
LINEAR_TANH = 0.5
"""Up to here tanh is nearly linear: tanh 0.5 is 0.46."""
STEP, LAG = "step", "lag in steps"
"""Units of the axes over time and over the lag."""


@dataclass(slots=True, kw_only=True)
class GateAccumulator:
    """Accumulates tables of gates over parts of the data; their size does not depend on the number of sequences."""

    steps: int
    """Steps of the sequences."""
    layout: EpisodeLayout | None
    """Layout of the episodes, if the task has episodes."""
    per_unit: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Tables (batch, units) by name, one for each part."""
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    """Sums over sequences by name, (bins of time, units)."""
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    """Numbers of finite values in each of the sums."""
    heatmaps: dict[str, np.ndarray] = field(default_factory=dict)
    """Maps of the first sequence by name, (units, steps), thinned."""
    episodes: list[EpisodeInfluence] = field(default_factory=list)
    """One for each part, if there is a layout."""
    has_discount: bool = False
    """True if there is a discount separate from the retention."""

    @property
    def time_bins(self) -> list[slice]:
        """Bins of curves over time."""
        return bins(self.steps, NUM_TIME_BINS)

    @property
    def log_time_bins(self) -> list[slice]:
        """Bins of curves over the logarithm of time."""
        return bins(self.steps, NUM_LOG_TIME_BINS, log=True)

    def add(self, gates_of_part: GateTrace, lengths: Tensor | None) -> None:
        """Adds the gates of a part, with the lengths of its sequences, (batch,)."""
        part = gates_of_part.mask_padding(lengths)
        self._add_per_unit("log_retention", part.log_retention.nanmean(1))
        self._add_per_unit("retention", part.retention[:, 1:].nanmean(1))
        self._add_per_unit("write", part.write[:, 1:].nanmean(1))
        self._add_per_unit("write_slope", gates.write_slopes(part.log_write))
        for name in ("retention", "write"):
            self._add_over_time(name, getattr(part, name), self.time_bins)
        self._add_over_time("write_log", part.write, self.log_time_bins)
        self._add_influence(part, lengths)
        if part.log_attention is not None:
            self._add_over_time("log_attention", part.log_attention, self.time_bins)
            spread = _largest(part.log_attention) - _smallest(part.log_attention)
            self._add_per_unit("attention_range", spread)
            self._add_per_unit("attention_growth", slopes_over_steps(part.log_attention))
        if part.log_discount is not None:
            self.has_discount = True
            self._add_over_time("discount", part.log_discount.exp(), self.time_bins)
            self._add_per_unit("log_discount", part.log_discount[:, 1:].nanmean(1))
        if part.average is not None:
            # In double precision, which not every device has.
            average = part.average.cpu()
            linear = (average.abs() < LINEAR_TANH).double()
            self._add_per_unit("linear_share", linear.where(average.isfinite(), math.nan).nanmean(1))
        if not self.heatmaps:
            self.heatmaps = _gate_maps(part)
        if self.layout is not None:
            self.episodes.append(episode_influence(part.retention, part.write, self.layout))

    def unit_table(self, name: str) -> np.ndarray:
        """Returns a table of all parts, (sequences, units)."""
        return np.concatenate(self.per_unit[name])

    def time_table(self, name: str) -> np.ndarray:
        """Returns means over sequences, (bins, units); NaN where no sequence has a value."""
        return safe_divide(self.sums[name], self.counts[name])

    def _add_influence(self, part: GateTrace, lengths: Tensor | None) -> None:
        last = _last_steps(part.write, lengths)
        by_step = influence_statistics(part.retention, part.write)
        for name, values in (("entropy", by_step.entropy), ("lag", by_step.lag), ("simpson", by_step.simpson)):
            self._add_over_time(name, values, self.time_bins)
            self._add_per_unit(name, torch.take_along_dim(values, last, dim=1).squeeze(1))
        window = np.exp(self.per_unit["entropy"][-1])
        self._add_per_unit("share", window / (last.numpy(force=True)[:, :, 0] + 1))
        for name, step in influence_steps(self.steps).items():
            weights, _ = influence(part.retention, part.write, step)
            total = weights.sum(1, keepdim=True)
            self._add_over_time(f"influence_{name}", (weights / total.where(total > 0, torch.nan)).flip(1), None)

    def _add_per_unit(self, name: str, values: Tensor | np.ndarray) -> None:
        table = values.numpy(force=True) if isinstance(values, Tensor) else values
        self.per_unit.setdefault(name, []).append(table.astype(float))

    def _add_over_time(self, name: str, values: Tensor, time_bins: list[slice] | None) -> None:
        table = values if time_bins is None else bin_means(values, time_bins)
        known = table.isfinite()
        total = torch.where(known, table, 0.0).sum(0, dtype=torch.float64).numpy(force=True)
        count = known.sum(0).numpy(force=True)
        self.sums[name] = self.sums.get(name, 0.0) + total
        self.counts[name] = self.counts.get(name, 0) + count


def influence_steps(steps: int) -> dict[str, int]:
    """Returns the late steps at which the influence of all steps is recorded, by name."""
    candidates = {"last": steps - 1, "half": steps // 2 - 1, "quarter": steps // 4 - 1}
    return {name: step for name, step in candidates.items() if step > 0}


def gate_result(accumulator: GateAccumulator) -> ProbeResult:
    """Returns all metrics, curves and heat maps of a model with gates."""
    metrics = {
        "retention_mean": _mean_metric(accumulator, "retention", "share", "mean retention of a step"),
        "write_mean": _mean_metric(accumulator, "write", "1", "mean weight of what is new at a step"),
        "time_constant_median": _duration_metric(
            accumulator,
            "log_retention",
            gates.median_time_constant,
            "median unit's time constant, -1 / mean log retention",
        ),
        "time_constant_longest": _duration_metric(
            accumulator,
            "log_retention",
            gates.longest_time_constant,
            "largest time constant of any unit",
            # The largest of resampled units is never larger than the largest of all.
            over_units=False,
        ),
        "discount_half_life": _duration_metric(
            accumulator, "log_retention", gates.median_half_life, "median unit's half-life of what it really keeps"
        ),
        "write_slope": _mean_metric(accumulator, "write_slope", "1", "slope of log write on log t, last decade"),
        "frozen_units": _bootstrap_metric(
            accumulator, "write_slope", gates.frozen_share, "share", "units whose own slope is below -2/3"
        ),
        "entropy_last": _mean_metric(accumulator, "entropy", "nats", "entropy of the last step's influence row"),
        "window_last": _bootstrap_metric(
            accumulator, "entropy", effective_window, "steps", "effective window exp(entropy) at the last step"
        ),
        "window_share": _mean_metric(accumulator, "share", "share", "effective window / t at the last step"),
        "lag_last": _mean_metric(accumulator, "lag", "steps", "mean lag of the last step's influence row"),
    }
    labels, unavailable = {}, {}
    slope = metrics["write_slope"]
    if accumulator.steps < MIN_SLOPE_STEPS or slope.value is None or slope.low is None or slope.high is None:
        del metrics["write_slope"], metrics["frozen_units"]
        unavailable["write_slope"] = (
            f"too few steps with a write in {accumulator.steps:,} for a slope over their last decade"
        )
    else:
        labels["freeze"] = gates.diagnose_freeze(slope.low, slope.high)
    if "attention_range" in accumulator.per_unit:
        metrics["attention_range"] = _mean_metric(
            accumulator, "attention_range", "nats", "largest less smallest log a of a unit in a sequence"
        )
        metrics["attention_growth"] = _mean_metric(
            accumulator, "attention_growth", "nats / step", "slope of log a, mean over units"
        )
    if "linear_share" in accumulator.per_unit:
        metrics["linear_share"] = _mean_metric(
            accumulator,
            "linear_share",
            "share",
            f"steps at which the average n / d lies within {LINEAR_TANH} of 0, where tanh is nearly linear",
        )
    if accumulator.has_discount:
        metrics["gamma_half_life"] = _duration_metric(
            accumulator, "log_discount", gates.median_half_life, "median unit's half-life of gamma alone"
        )
    else:
        unavailable["gamma_half_life"] = "it has no discount beside its retention"
    return ProbeResult(
        metrics=metrics,
        curves=gate_curves(accumulator),
        heatmaps=gate_heatmaps(accumulator),
        labels=labels,
        unavailable=unavailable,
    )


def gate_curves(accumulator: GateAccumulator) -> dict[str, Curve]:
    """Returns curves over time, over the lag and over the units."""
    curves = {}
    steps = bin_centres(accumulator.time_bins)
    for name, unit, what in (
        ("retention", "share", "retention"),
        ("write", "weight", "write"),
        ("discount", "share", "gamma"),
        ("log_attention", "nats", "log a"),
    ):
        if name not in accumulator.sums:
            continue
        table = accumulator.time_table(name)
        curves[name] = Curve.from_arrays(
            steps, _mean_over_units(table), x_unit=STEP, y_unit=unit, what=f"{what}, mean over units"
        )
        for percent in (10, 90):
            curves[f"{name}_p{percent}"] = Curve.from_arrays(
                steps,
                _percentile_over_units(table, percent),
                x_unit=STEP,
                y_unit=unit,
                what=f"{what}, {percent} % of units are below",
            )
    curves["write_log"] = Curve.from_arrays(
        bin_centres(accumulator.log_time_bins),
        _mean_over_units(accumulator.time_table("write_log")),
        x_unit=STEP,
        y_unit="weight",
        what="write, mean over units",
    )
    entropy = _mean_over_units(accumulator.time_table("entropy"))
    simpson = _mean_over_units(accumulator.time_table("simpson"))
    for name, values, unit, what in (
        ("entropy", entropy, "nats", "entropy of the influence row"),
        ("effective_window", np.exp(entropy), "steps", "effective window, exp of the mean entropy"),
        ("simpson_window", 1 / simpson, "steps", "effective window, 1 / mean sum of squares"),
        ("mean_lag", _mean_over_units(accumulator.time_table("lag")), "steps", "mean lag of the influence row"),
    ):
        curves[name] = Curve.from_arrays(steps, values, x_unit=STEP, y_unit=unit, what=what)
    tau = np.sort(gates.time_constants(_unit_means(accumulator.unit_table("log_retention"))))
    rank = (np.arange(len(tau)) + 0.5) / len(tau)
    curves["time_constants"] = Curve.from_arrays(
        rank, tau, x_unit="share of units", y_unit="steps", what="time constants of the units, ascending"
    )
    for name, step in influence_steps(accumulator.steps).items():
        curves |= influence_curves(name, _mean_over_units(accumulator.time_table(f"influence_{name}")), step + 1)
    return curves


def influence_curves(name: str, shares: np.ndarray, steps: int) -> dict[str, Curve]:
    """Returns curves of the influence by lag after some steps: its mean in bins of lags, and its sum up to a lag.

    Args:
        name: of the step, as in `influence_steps`.
        shares: (lags,) of the influence; they sum to 1.
        steps: after which it is measured.
    """
    lag_bins = bins(len(shares), NUM_LAG_BINS, log=True)
    ends = [lag_bin.stop - 1 for lag_bin in lag_bins]
    when = f"after {steps:,} steps"
    return {
        f"influence_{name}": Curve.from_arrays(
            bin_centres(lag_bins, first=0.0),
            [shares[lag_bin].mean() for lag_bin in lag_bins],
            x_unit=LAG,
            y_unit="share a step",
            what=f"share of the influence that a step has {when}",
        ),
        f"influence_within_{name}": Curve.from_arrays(
            ends,
            np.cumsum(shares)[ends],
            x_unit=LAG,
            y_unit="share",
            what=f"share of the influence within a lag {when}",
        ),
    }


def gate_heatmaps(accumulator: GateAccumulator) -> dict[str, Heatmap]:
    """Returns heat maps of the first test sequence."""
    units = len(accumulator.sums["retention"][0])
    return {
        name: Heatmap.from_arrays(
            np.round(values, 4) if name == "retention" else _round_significant(values),
            rows=bin_centres(bins(units, HEATMAP_SIZE[0])),
            columns=bin_centres(bins(accumulator.steps, HEATMAP_SIZE[1])),
            row_name="unit, by mean retention",
            column_name=STEP,
            unit="share" if name == "retention" else "weight",
            what=f"{name} in the first test sequence",
        )
        for name, values in accumulator.heatmaps.items()
    }


def effective_window(values: np.ndarray) -> np.ndarray:
    """Returns an effective window, exp of the mean entropy, (samples,), from entropies (samples, units, 1)."""
    return np.asarray(np.exp(statistics.bootstrap_mean(values)))


def _gate_maps(part: GateTrace) -> dict[str, np.ndarray]:
    """Returns retention and write of the first sequence, (units, steps), thinned; units by their mean retention."""
    order = part.retention[0].nanmean(0).argsort(descending=True, stable=True)
    unit_bins, step_bins = bins(len(order), HEATMAP_SIZE[0]), bins(part.write.shape[1], HEATMAP_SIZE[1])
    maps = {}
    for name in ("retention", "write"):
        by_step = bin_means(getattr(part, name)[:1, :, order], step_bins)
        maps[name] = bin_means(by_step, unit_bins, dim=2)[0].t().numpy(force=True)
    return maps


def _last_steps(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns the last valid step of each sequence, (batch, 1, units)."""
    batch, time, _ = values.shape
    end = torch.full((batch,), time, device=values.device) if lengths is None else lengths.to(values.device)
    return (end - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, values.shape[2])


def _largest(values: Tensor) -> Tensor:
    """Returns the largest value over time without NaN, (batch, units); NaN if there is no other."""
    largest = values.nan_to_num(nan=-torch.inf).amax(1)
    return largest.where(largest > -torch.inf, torch.nan)


def _smallest(values: Tensor) -> Tensor:
    return -_largest(-values)


def _mean_metric(accumulator: GateAccumulator, name: str, unit: str, what: str) -> Metric:
    return _bootstrap_metric(accumulator, name, statistics.bootstrap_mean, unit, what)


def _bootstrap_metric(accumulator: GateAccumulator, name: str, statistic: Statistic, unit: str, what: str) -> Metric:
    return Metric.from_interval(statistics.two_way_bootstrap(accumulator.unit_table(name), statistic), unit, what)


def _duration_metric(
    accumulator: GateAccumulator, name: str, statistic: Statistic, what: str, over_units: bool = True
) -> Metric:
    """Returns a time constant or a half-life in steps, censored at the slowest rate that can be measured."""
    interval = statistics.two_way_bootstrap(accumulator.unit_table(name), statistic, over_units)
    longest = math.log(2) / gates.MIN_RATE
    censored = interval.value is not None and interval.value >= longest
    return Metric.from_interval(interval, "steps", what, censored=censored)


def _unit_means(table: np.ndarray) -> np.ndarray:
    """Returns means over sequences without NaN; units without any other value are left out."""
    kept = table[:, np.isfinite(table).any(0)]
    return np.asarray(np.nanmean(kept, axis=0))


def _mean_over_units(table: np.ndarray) -> np.ndarray:
    """Returns means without NaN, (bins,), of a table (bins, units)."""
    return statistics.bootstrap_mean(table[..., None])


def _percentile_over_units(table: np.ndarray, percent: float) -> np.ndarray:
    """Returns percentiles without NaN, (bins,), of a table (bins, units)."""
    known = np.isfinite(table).any(1)
    percentiles = np.full(len(table), np.nan)
    percentiles[known] = np.nanquantile(table[known], percent / 100, axis=1)
    return percentiles


def _round_significant(values: np.ndarray) -> np.ndarray:
    """Rounds to three significant digits."""
    return np.array([[float(f"{value:.3g}") for value in row] for row in values])
