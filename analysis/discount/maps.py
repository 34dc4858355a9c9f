"""What a hierarchy of attention looks at, as findings."""

import math

import numpy as np
import torch
from torch import Tensor

from analysis.discount.gated import LAG, STEP, as_number, effective, influence_curves
from analysis.discount.gathered import PICTURE
from analysis.findings import Curve, Findings, Grid, Number
from analysis.measures import two_way
from analysis.measures.attention_maps import Level, entropy, levels, rollout
from analysis.measures.bins import centres, means, spaced
from analysis.measures.divided import divided

OFFSETS = 64
"""Rows of a map's picture, at most."""


class Maps:
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
            self._sum(f"{name}_picture", picture(level), None, over=(0,))
        if self.causal:
            for name, step in (
                ("last", self.steps - 1),
                ("half", self.steps // 2 - 1),
                ("quarter", self.steps // 4 - 1),
            ):
                if step > 0:
                    there = None if lengths is None else (lengths.to(maps[0].device) > step).unsqueeze(1)
                    self._sum(f"influence_{name}", rollout(maps, step), there, over=(0,))

    def findings(self) -> Findings:
        """All numbers, curves and grids that a hierarchy has."""
        numbers: dict[str, Number] = {}
        curves: dict[str, Curve] = {}
        grids: dict[str, Grid] = {}
        for name, (window, spacing, onward) in self.sizes.items():
            where = f"{name.split('_')[1]}" + ("" if onward else ", looking ahead")
            table = np.concatenate(self.entropies[name])
            seen = min(window, -(-self.steps // spacing))
            numbers[f"attention_entropy_{name}"] = as_number(
                two_way.two_way(table, two_way.mean),
                "nats",
                f"entropy of the attention of level {where}; at most ln {seen} = {math.log(seen):.4g}",
            )
            numbers[f"attention_window_{name}"] = as_number(
                two_way.two_way(table, effective),
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
            grids[f"map_{name}"] = Grid.of(
                self._mean(f"{name}_picture").T,
                rows=spacing * centres(spaced(window, OFFSETS), first=0.0),
                columns=centres(spaced(self.steps, PICTURE[1])),
                row_name=LAG,
                column_name=STEP,
                unit="weight",
                what=f"attention of level {where}, mean over sequences and heads",
            )
        for name, step in (("last", self.steps - 1), ("half", self.steps // 2 - 1), ("quarter", self.steps // 4 - 1)):
            if f"influence_{name}" in self.sums:
                curves |= influence_curves(name, self._mean(f"influence_{name}"), step + 1)
        return Findings(numbers=numbers, curves=curves, grids=grids)

    def _sum(self, name: str, values: Tensor, there: Tensor | None, over: tuple[int, ...]) -> None:
        kept = torch.ones_like(values) if there is None else there.to(values.dtype).expand_as(values)
        kept = kept * values.isfinite()
        total = (values.nan_to_num() * kept).sum(over, dtype=torch.float64)
        self.sums[name] = self.sums.get(name, 0.0) + total.numpy(force=True)
        self.counts[name] = self.counts.get(name, 0.0) + kept.sum(over).numpy(force=True)

    def _mean(self, name: str) -> np.ndarray:
        total, count = self.sums[name], self.counts[name]
        return divided(total, count)


def picture(level: Level) -> Tensor:
    """(batch, steps, offsets) of a level's map, mean over heads, thinned."""
    time, window = level.map.shape[2:]
    thin = means(level.map.mean(1), spaced(time, PICTURE[1]))
    return means(thin, spaced(window, OFFSETS), dim=2)
