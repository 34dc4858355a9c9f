"""What is gathered of gated units while traces go by: small tables, whatever the length of the sequences."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from analysis.measures.bins import means, spaced
from analysis.measures.divided import divided
from analysis.measures.episodes import Episodes, Layout, episodes
from analysis.measures.freeze import write_slopes
from analysis.measures.gates import Gates
from analysis.measures.growth import slopes
from analysis.measures.influence_rows import rows
from architectures.trace import influence

POINTS, LOG_POINTS = 160, 60
"""Points of a curve over time, and of one over the logarithm of time."""
PICTURE = (48, 160)
"""Units and steps of a heat map, at most."""


@dataclass(slots=True, kw_only=True)
class Gathered:
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
        return spaced(self.steps, POINTS)

    @property
    def log_times(self) -> list[slice]:
        """The bins of curves over the logarithm of time."""
        return spaced(self.steps, LOG_POINTS, log=True)

    @property
    def looks(self) -> dict[str, int]:
        """The steps at which influence is looked at, late ones, by name."""
        return {"last": self.steps - 1, "half": self.steps // 2 - 1, "quarter": self.steps // 4 - 1}

    def add(self, gates: Gates, lengths: Tensor | None) -> None:
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
            self.pictures = pictures(gates)
        if self.layout is not None:
            self.episodes.append(episodes(gates.retention, gates.write, self.layout))

    def unit(self, name: str) -> np.ndarray:
        """(sequences, units) of all parts."""
        return np.concatenate(self.per_unit[name])

    def time(self, name: str) -> np.ndarray:
        """(bins, units): the mean over sequences; NaN where there is none."""
        total, count = self.sums[name], self.counts[name]
        return divided(total, count)

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


def pictures(gates: Gates) -> dict[str, np.ndarray]:
    """Retention and write of the first sequence, (units, steps), units by their mean retention, thinned."""
    order = gates.retention[0].nanmean(0).argsort(descending=True, stable=True)
    units, steps = spaced(len(order), PICTURE[0]), spaced(gates.write.shape[1], PICTURE[1])
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
