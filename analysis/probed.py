"""The findings of a probe in the runs of a report, over their seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings import Curve, Findings
from analysis.groups import Row, Section
from analysis.ranges import within
from analysis.statistics import half_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number of a row: the mean over its seeds with Student's interval; for one seed the probe's own interval."""

    value: float
    """NaN where no seed has it."""
    low: float
    """NaN where there is no interval."""
    high: float
    """Infinite where the measurement ended there."""
    unit: str
    seeds: int
    at_least: bool = False
    """Whether for some seed the measurement ended there."""
    lacking: int = 0
    """Seeds that were probed and do not have the number: it is the mean of the others."""

    @property
    def sure(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and not math.isnan(self.high)

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the intervals have a point in common."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A row with what one probe found in its runs."""

    row: Row
    findings: tuple[Findings, ...]
    """Of the seeds that were probed, by seed."""

    def number(self, name: str) -> Estimate | None:
        """A number over the seeds; `None` where none has it."""
        found = [each.numbers[name] for each in self.findings if name in each.numbers]
        known = [number for number in found if number.value is not None]
        if not known:
            return None
        values = np.array([number.value for number in known], dtype=float)
        own = np.array([(number.low, number.high) for number in known], dtype=float)
        at_least = any(number.at_least for number in known)
        half = float(half_width(values[:, None])[0])
        ends = np.array([math.nan, math.nan])
        if half > 0:
            ends = np.array([values.mean() - half, values.mean() + half])
        elif len(known) > 1:
            # Whole steps are often the same for all seeds, which are then no surer than each by itself.
            ends = np.where(np.isnan(own).any(), values.mean(), own.mean(0))
        elif len(self.findings) == 1:
            ends = own[0]
        low, high = within(known[0].unit, ends)
        return Estimate(
            value=float(values.mean()),
            low=float(low),
            high=math.inf if at_least and math.isfinite(low) else float(high),
            unit=known[0].unit,
            seeds=len(known),
            at_least=at_least,
            lacking=len(self.findings) - len(known),
        )

    def curve(self, name: str) -> Curve | None:
        """A curve over the seeds: the mean at each x that all of them have, with Student's interval; for one seed the
        curve as it is."""
        found = [each.curves[name] for each in self.findings if name in each.curves]
        if len(found) < 2:
            return found[0] if found else None
        shared = sorted(set(found[0].x).intersection(*(curve.x for curve in found[1:])))
        places = [{x: index for index, x in enumerate(curve.x)} for curve in found]
        values = np.array(
            [curve.array()[[place[x] for x in shared]] for curve, place in zip(found, places, strict=True)]
        ).reshape(len(found), len(shared))
        mean, half = values.mean(0), half_width(values)
        low, high = within(found[0].y_unit, np.stack([mean - half, mean + half]))
        return Curve.of(
            shared,
            mean,
            x_unit=found[0].x_unit,
            y_unit=found[0].y_unit,
            what=found[0].what,
            low=low,
            high=high,
        )

    def word(self, name: str) -> str | None:
        """What most seeds say, the first of them where they are even; `None` where none says anything."""
        said = [each.words[name] for each in self.findings if name in each.words]
        return max(said, key=said.count) if said else None

    def missing(self, name: str) -> str | None:
        """Why something is not available."""
        return next((each.missing[name] for each in self.findings if name in each.missing), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedSection:
    """A section with the rows in which a probe found something, in the section's order."""

    section: Section
    rows: tuple[Probed, ...]
    absent: tuple[tuple[str, str], ...] = ()
    """Label of every other row, and why it has nothing."""


def with_number(rows: Sequence[Probed], name: str) -> list[tuple[Probed, Estimate]]:
    """The rows that have a number, with it, largest first."""
    found = [(row, estimate) for row in rows if (estimate := row.number(name)) is not None]
    return sorted(found, key=lambda pair: (-pair[1].value, pair[0].row.label))
