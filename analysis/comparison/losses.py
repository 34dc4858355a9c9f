"""Comparison of a section's rows by their test losses: means, order, letters, and the best if there is one."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from analysis.comparison.intervals import Scale, from_scale, loss_interval, loss_scale, to_scale
from analysis.comparison.pairs import Groups, display_letters, is_best, tell_apart
from analysis.grouping import Row, Section
from workbench.results import Run

MIN_SEEDS = 4
"""Fewer seeds than this are shown one by one, and what is said of them is indicative."""
UNLEARNED = 0.95
"""Share of the trivial loss from which a row has learned nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A row's place in a comparison."""

    row: Row
    values: tuple[float, ...]
    """The test loss of each seed; of a diverged one the loss that it is counted at."""
    num_diverged: int
    """The number of diverged seeds."""
    center: float
    """The mean loss: geometric, on a log scale."""
    low: float | None
    """The lower end of its 95 % interval; `None` for fewer than two seeds."""
    high: float | None
    """The upper end, likewise."""
    rank: int
    """1 for the lowest mean loss; equal means share a rank."""
    letters: str
    """Rows that share a letter are not told apart; empty where some row has too few seeds to tell."""

    @property
    def n(self) -> int:
        """The number of seeds."""
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How far two rows are apart."""

    scale: Scale
    """`log`: a factor; `linear`: a difference."""
    size: float
    """The worse row's mean loss divided by the better one's, or the difference; at least 1, or at least 0."""
    low: float | None
    """The lower end of the 95 % interval of the size; `None` without seeds enough."""
    high: float | None
    p: float | None
    """p-value of the two rows' test; `None` likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossComparison:
    """The rows of a section by their test losses."""

    standings: tuple[Standing, ...]
    """The lowest mean loss first."""
    scale: Scale
    trivial_loss: float | None
    best: Standing | None
    """The first row, if it is told apart from each of the others; `None` where seeds are too few or nothing learned."""
    apart: np.ndarray
    """(rows, rows) which pairs are told apart."""
    groups: Groups
    diverged_as: float | None
    """The loss that diverged seeds are counted at; `None` if no seed diverged."""

    @property
    def learned(self) -> bool:
        """True if some row is below the loss of the best answer without memory, or that loss is unknown."""
        if self.trivial_loss is None:
            return True
        if self.scale == "linear" or self.trivial_loss <= 0:
            return any(standing.center < self.trivial_loss for standing in self.standings)
        return any(standing.center < UNLEARNED * self.trivial_loss for standing in self.standings)

    @property
    def indicative(self) -> bool:
        """True if some row has too few seeds for more than an indication."""
        return any(standing.n < MIN_SEEDS for standing in self.standings)

    @property
    def tied(self) -> tuple[Standing, ...]:
        """The rows whose mean loss is exactly that of the first, the first among them."""
        return tuple(standing for standing in self.standings if standing.rank == 1)

    @property
    def leaders(self) -> tuple[Standing, ...]:
        """The first row, and those that are not told apart from it; none where nothing was learned.

        Where seeds are too few for a test, those with a seed that is no worse than the worst of the first row.
        """
        if not self.learned:
            return ()
        first = self.standings[0]
        if self.indicative:
            return tuple(standing for standing in self.standings if min(standing.values) <= max(first.values))
        return tuple(row for place, row in enumerate(self.standings) if not place or not self.apart[0, place])

    def effect(self, better: int, worse: int) -> Effect:
        """Returns how far the row at one place is behind that at another, counted from 0."""
        difference = self.groups.difference(better, worse)
        ends = difference.low, difference.high
        low, high = (None if end is None else _effect_size(end, self.scale) for end in ends)
        return Effect(
            scale=self.scale,
            size=_effect_size(difference.value, self.scale),
            low=low,
            high=high,
            p=difference.p,
        )

    def largest_p(self) -> float | None:
        """Returns the largest p-value between the first row and another; `None` if a pair has no test."""
        values = [self.groups.difference(0, place).p for place in range(1, len(self.standings))]
        return None if not values or None in values else max(value for value in values if value is not None)


def test_loss(run: Run) -> float:
    """Returns the test loss of a run; NaN if it diverged."""
    return run.test_metric("loss")


def _effect_size(difference: float, scale: Scale) -> float:
    """Returns a difference on the scale as a factor or a difference."""
    return from_scale(min(difference, 700.0), scale) if scale == "log" else difference


def compare_losses(section: Section, costs: Callable[[Run], float] | None = None) -> LossComparison | None:
    """Compares the rows of a section by their test losses; `None` if every run diverged.

    Losses are compared on a log scale, unless one is negative. Diverged seeds are not left out, which would flatter a
    row that diverges: each counts as the largest loss of the section, or as the trivial loss if that is larger.

    Args:
        section: the rows.
        costs: what is compared in place of the test loss, on a linear scale: of a run, a number of which less is
            better, NaN for a diverged one. Then there is no trivial answer to compare with.
    """
    trivial_loss = section.trivial_loss if costs is None else None
    cost = costs or test_loss
    losses = {row.label: [cost(run) for run in row.runs] for row in section.rows}
    finite = [loss for values in losses.values() for loss in values if math.isfinite(loss)]
    if not finite:
        return None
    has_diverged = any(not math.isfinite(loss) for values in losses.values() for loss in values)
    worst = max([*finite, *([trivial_loss] if trivial_loss is not None else [])])
    scale = loss_scale(finite) if costs is None else "linear"
    counted = {label: [loss if math.isfinite(loss) else worst for loss in values] for label, values in losses.items()}
    intervals = {label: loss_interval(values, scale) for label, values in counted.items()}
    rows = sorted(section.rows, key=lambda row: (intervals[row.label].mean, row.label))
    groups = Groups.of([to_scale(counted[row.label], scale) for row in rows])
    p_values = groups.p_values()
    apart = tell_apart(p_values, first=0)
    enough = all(len(values) >= MIN_SEEDS for values in counted.values())
    letters = display_letters(apart) if enough else [""] * len(rows)
    standings: list[Standing] = []
    for place, row in enumerate(rows):
        interval = intervals[row.label]
        is_tie = bool(standings) and standings[-1].center == interval.mean
        standings.append(
            Standing(
                row=row,
                values=tuple(counted[row.label]),
                num_diverged=row.num_diverged,
                center=interval.mean,
                low=interval.low,
                high=interval.high,
                rank=standings[-1].rank if is_tie else place + 1,
                letters=letters[place],
            )
        )
    comparison = LossComparison(
        standings=tuple(standings),
        scale=scale,
        trivial_loss=trivial_loss,
        best=None,
        apart=apart,
        groups=groups,
        diverged_as=worst if has_diverged else None,
    )
    if not is_best(p_values, first=0) or comparison.indicative or not comparison.learned:
        return comparison
    return replace(comparison, best=comparison.standings[0])
