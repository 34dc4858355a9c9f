"""What is gathered of gated units while traces go by: small tables, whatever the length of the sequences."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from analysis import statistics
from analysis.measures import gates
from analysis.measures.gates import GateTrace, write_slopes
from analysis.measures.influence import Episodes, Layout, bins, centres, episodes, means, rows
from analysis.measures.lemma1 import slopes
from analysis.probes.result import Curve, Heatmap, Metric, ProbeResult, metric_of_interval
from analysis.statistics import Statistic, safe_divide
from architectures.trace import influence

POINTS, LOG_POINTS = 160, 60
"""Points of a curve over time, and of one over the logarithm of time."""
PICTURE = (48, 160)
"""Units and steps of a heat map, at most."""


@dataclass(slots=True, kw_only=True)
class GateAccumulator:
    """Tables of all parts so far. A table over time is a sum over sequences and how many there were."""

    steps: int
    layout: Layout | None
    """Of the episodes, where the task has some."""
    per_unit: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """(batch, units)."""
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    """(bins, units)."""
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    """(units, steps) of the first sequence, thinned."""
    episodes: list[Episodes] = field(default_factory=list)
    discounted: bool = False
    """Whether there is a discount beside the retention."""

    @property
    def times(self) -> list[slice]:
        """The bins of curves over time."""
        return bins(self.steps, POINTS)

    @property
    def log_times(self) -> list[slice]:
        """The bins of curves over the logarithm of time."""
        return bins(self.steps, LOG_POINTS, log=True)

    @property
    def looks(self) -> dict[str, int]:
        """The steps at which influence is looked at, late ones, by name."""
        return {"last": self.steps - 1, "half": self.steps // 2 - 1, "quarter": self.steps // 4 - 1}

    def add(self, gates: GateTrace, lengths: Tensor | None) -> None:
        """Takes in a part."""
        gates = gates.within(lengths)
        end = _last(gates.write, lengths)
        found = rows(gates.retention, gates.write)
        self._unit("log_retention", gates.log_retention.nanmean(1))
        self._unit("retention", gates.retention[:, 1:].nanmean(1))
        self._unit("write", gates.write[:, 1:].nanmean(1))
        self._unit("write_slope", write_slopes(gates.log_write))
        for name, at in (("entropy", found.entropy), ("lag", found.lag), ("simpson", found.simpson)):
            self._time(name, at, self.times)
            self._unit(name, torch.take_along_dim(at, end, dim=1).squeeze(1))
        self._unit("share", np.exp(self.per_unit["entropy"][-1]) / (end.numpy(force=True)[:, :, 0] + 1))
        for name in ("retention", "write"):
            self._time(name, getattr(gates, name), self.times)
        self._time("write_log", gates.write, self.log_times)
        if gates.log_attention is not None:
            self._time("log_attention", gates.log_attention, self.times)
            spread = _least(gates.log_attention, 1.0) - _least(gates.log_attention, -1.0)
            self._unit("attention_range", spread)
            self._unit("attention_growth", slopes(gates.log_attention))
        if gates.log_discount is not None:
            self.discounted = True
            self._time("discount", gates.log_discount.exp(), self.times)
            self._unit("log_discount", gates.log_discount[:, 1:].nanmean(1))
        for name, at_step in self.looks.items():
            if at_step > 0:
                row, _ = influence(gates.retention, gates.write, at_step)
                whole = row.sum(1, keepdim=True)
                self._time(f"influence_{name}", (row / whole.where(whole > 0, torch.nan)).flip(1), None)
        if not self.pictures:
            self.pictures = retention_maps(gates)
        if self.layout is not None:
            self.episodes.append(episodes(gates.retention, gates.write, self.layout))

    def unit(self, name: str) -> np.ndarray:
        """(sequences, units) of all parts."""
        return np.concatenate(self.per_unit[name])

    def time(self, name: str) -> np.ndarray:
        """(bins, units): the mean over sequences; NaN where there is none."""
        total, count = self.sums[name], self.counts[name]
        return safe_divide(total, count)

    def _unit(self, name: str, values: Tensor | np.ndarray) -> None:
        table = values.numpy(force=True) if isinstance(values, Tensor) else values
        self.per_unit.setdefault(name, []).append(table.astype(float))

    def _time(self, name: str, values: Tensor, parts: list[slice] | None) -> None:
        table = values if parts is None else means(values, parts)
        known = table.isfinite()
        total = torch.where(known, table, 0.0).sum(0, dtype=torch.float64).numpy(force=True)
        count = known.sum(0).numpy(force=True)
        self.sums[name] = self.sums.get(name, 0.0) + total
        self.counts[name] = self.counts.get(name, 0) + count


def retention_maps(gates: GateTrace) -> dict[str, np.ndarray]:
    """Retention and write of the first sequence, (units, steps), units by their mean retention, thinned."""
    order = gates.retention[0].nanmean(0).argsort(descending=True, stable=True)
    units, steps = bins(len(order), PICTURE[0]), bins(gates.write.shape[1], PICTURE[1])
    return {
        name: means(means(getattr(gates, name)[:1, :, order], steps), units, dim=2)[0].t().numpy(force=True)
        for name in ("retention", "write")
    }


def _last(values: Tensor, lengths: Tensor | None) -> Tensor:
    """(batch, 1, 1): the last valid step of each sequence."""
    batch, time, _ = values.shape
    end = torch.full((batch,), time, device=values.device) if lengths is None else lengths.to(values.device)
    return (end - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, values.shape[2])


def _least(values: Tensor, sign: float) -> Tensor:
    """The largest value over time (sign 1) or the smallest (sign -1), NaN left out; (batch, units)."""
    found = (sign * values).nan_to_num(nan=-torch.inf).amax(1)
    return (sign * found).where(found > -torch.inf, torch.nan)


STEP = "step"
LAG = "lag in steps"
LAGS = 120
"""Points of a curve over the lag."""
FEW = 20
"""Steps that a slope over the last decade needs."""


def findings(found: GateAccumulator) -> ProbeResult:
    """All numbers, curves and grids that a model with gates has."""
    missing = {}
    numbers = {
        "retention_mean": _number(found, "retention", statistics.bootstrap_mean, "share", "mean retention of a step"),
        "write_mean": _number(found, "write", statistics.bootstrap_mean, "1", "mean weight of what is new at a step"),
        "time_constant_median": _lasting(
            found,
            "log_retention",
            gates.median_time_constant,
            "median unit's time constant, -1 / mean log retention",
        ),
        "time_constant_longest": _lasting(
            found,
            "log_retention",
            gates.longest_time_constant,
            "largest time constant of any unit",
            # Of units drawn again, the largest is never larger.
            over_units=False,
        ),
        "discount_half_life": _lasting(
            found, "log_retention", gates.median_half_life, "median unit's half-life of what it really keeps"
        ),
        "write_slope": _number(
            found, "write_slope", statistics.bootstrap_mean, "1", "slope of log write on log t, last decade"
        ),
        "frozen_units": _number(
            found, "write_slope", gates.frozen_share, "share", "units whose own slope is below -2/3"
        ),
        "entropy_last": _number(
            found, "entropy", statistics.bootstrap_mean, "nats", "entropy of the last step's influence row"
        ),
        "window_last": _number(found, "entropy", effective, "steps", "effective window exp(entropy) at the last step"),
        "window_share": _number(
            found, "share", statistics.bootstrap_mean, "share", "effective window / t at the last step"
        ),
        "lag_last": _number(
            found, "lag", statistics.bootstrap_mean, "steps", "mean lag of the last step's influence row"
        ),
    }
    words = {}
    slope = numbers["write_slope"]
    if found.steps < FEW or slope.value is None or slope.low is None or slope.high is None:
        numbers.pop("write_slope")
        numbers.pop("frozen_units")
        missing["write_slope"] = f"too few steps with a write in {found.steps:,} for a slope over their last decade"
    else:
        words["freeze"] = gates.diagnosis(slope.low, slope.high)
    if "attention_range" in found.per_unit:
        numbers["attention_range"] = _number(
            found,
            "attention_range",
            statistics.bootstrap_mean,
            "nats",
            "largest less smallest log a of a unit in a sequence",
        )
        numbers["attention_growth"] = _number(
            found, "attention_growth", statistics.bootstrap_mean, "nats / step", "slope of log a, mean over units"
        )
    if found.discounted:
        numbers["gamma_half_life"] = _lasting(
            found, "log_discount", gates.median_half_life, "median unit's half-life of gamma alone"
        )
    else:
        missing["gamma_half_life"] = "it has no discount beside its retention"
    return ProbeResult(metrics=numbers, curves=curves(found), heatmaps=grids(found), labels=words, unavailable=missing)


def curves(found: GateAccumulator) -> dict[str, Curve]:
    """Curves over time, over the lag and over the units."""
    made = {}
    steps = centres(found.times)
    for name, unit, what in (
        ("retention", "share", "retention"),
        ("write", "weight", "write"),
        ("discount", "share", "gamma"),
        ("log_attention", "nats", "log a"),
    ):
        if name not in found.sums:
            continue
        table = found.time(name)
        made[name] = Curve.of(steps, _mean(table), x_unit=STEP, y_unit=unit, what=f"{what}, mean over units")
        for share in (10, 90):
            made[f"{name}_p{share}"] = Curve.of(
                steps, _quantile(table, share), x_unit=STEP, y_unit=unit, what=f"{what}, {share} % of units are below"
            )
    made["write_log"] = Curve.of(
        centres(found.log_times),
        _mean(found.time("write_log")),
        x_unit=STEP,
        y_unit="weight",
        what="write, mean over units",
    )
    entropy = _mean(found.time("entropy"))
    for name, values, unit, what in (
        ("entropy", entropy, "nats", "entropy of the influence row"),
        ("effective_window", np.exp(entropy), "steps", "effective window, exp of the mean entropy"),
        ("simpson_window", 1 / _mean(found.time("simpson")), "steps", "effective window, 1 / mean sum of squares"),
        ("mean_lag", _mean(found.time("lag")), "steps", "mean lag of the influence row"),
    ):
        made[name] = Curve.of(steps, values, x_unit=STEP, y_unit=unit, what=what)
    tau = np.sort(gates.time_constants(_columns(found.unit("log_retention"))))
    rank = (np.arange(len(tau)) + 0.5) / len(tau)
    made["time_constants"] = Curve.of(
        rank, tau, x_unit="share of units", y_unit="steps", what="time constants of the units, ascending"
    )
    for name, at in found.looks.items():
        if f"influence_{name}" in found.sums:
            mass = _mean(found.time(f"influence_{name}"))
            made |= influence_curves(name, mass, at + 1)
    return made


def influence_curves(name: str, mass: np.ndarray, steps: int) -> dict[str, Curve]:
    """Influence by lag at one step, (lags,) shares that sum to 1: its mean in bins of lags, and its sum up to a lag."""
    parts = bins(len(mass), LAGS, log=True)
    ends = [part.stop - 1 for part in parts]
    at = f"after {steps:,} steps"
    return {
        f"influence_{name}": Curve.of(
            centres(parts, first=0.0),
            [mass[part].mean() for part in parts],
            x_unit=LAG,
            y_unit="share a step",
            what=f"share of the influence that a step has {at}",
        ),
        f"influence_within_{name}": Curve.of(
            ends, np.cumsum(mass)[ends], x_unit=LAG, y_unit="share", what=f"share of the influence within a lag {at}"
        ),
    }


def grids(found: GateAccumulator) -> dict[str, Heatmap]:
    """Heat maps of the first test sequence."""
    units, steps = len(found.sums["retention"][0]), found.steps
    return {
        name: Heatmap.of(
            np.round(values, 4) if name == "retention" else _significant(values),
            rows=centres(bins(units, PICTURE[0])),
            columns=centres(bins(steps, PICTURE[1])),
            row_name="unit, by mean retention",
            column_name=STEP,
            unit="share" if name == "retention" else "weight",
            what=f"{name} in the first test sequence",
        )
        for name, values in found.pictures.items()
    }


def effective(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) entropies -> exp of their mean: an effective window."""
    return np.asarray(np.exp(statistics.bootstrap_mean(values)))


def _number(found: GateAccumulator, name: str, statistic: Statistic, unit: str, what: str) -> Metric:
    return metric_of_interval(statistics.two_way_bootstrap(found.unit(name), statistic), unit, what)


def _lasting(found: GateAccumulator, name: str, statistic: Statistic, what: str, over_units: bool = True) -> Metric:
    interval = statistics.two_way_bootstrap(found.unit(name), statistic, over_units)
    slowest = math.log(2) / gates.SLOWEST
    return metric_of_interval(
        interval, "steps", what, at_least=interval.value is not None and interval.value >= slowest
    )


def _columns(table: np.ndarray) -> np.ndarray:
    """Means over sequences, NaN left out; units that have none are left out too."""
    kept = table[:, np.isfinite(table).any(0)]
    return np.asarray(np.nanmean(kept, axis=0))


def _mean(table: np.ndarray) -> np.ndarray:
    """(bins, units) -> (bins,)."""
    return statistics.bootstrap_mean(table[..., None])


def _quantile(table: np.ndarray, share: float) -> np.ndarray:
    known = np.isfinite(table).any(1)
    found = np.full(len(table), np.nan)
    found[known] = np.nanquantile(table[known], share / 100, axis=1)
    return found


def _significant(values: np.ndarray) -> np.ndarray:
    """Three significant digits."""
    return np.array([[float(f"{value:.3g}") for value in row] for row in values])
