"""The findings of a probe in the runs of a report, over their seeds."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.formatting import pluralize, within
from analysis.grouping import Row, Section, format_option, run_identity
from analysis.probes import registry
from analysis.probes.registry import ProbeRecord
from analysis.probes.result import Curve, ProbeResult
from analysis.statistics import Estimate, half_width
from workbench.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResults:
    """A row with what one probe found in its runs."""

    row: Row
    results: tuple[ProbeResult, ...]
    """Of the seeds that were probed, by seed."""

    def metric(self, name: str) -> Estimate | None:
        """A number over the seeds; `None` where none has it."""
        found = [each.metrics[name] for each in self.results if name in each.metrics]
        known = [number for number in found if number.value is not None]
        if not known:
            return None
        values = np.array([number.value for number in known], dtype=float)
        own = np.array([(number.low, number.high) for number in known], dtype=float)
        at_least = any(number.censored for number in known)
        half = float(half_width(values[:, None])[0])
        ends = np.array([math.nan, math.nan])
        if half > 0:
            ends = np.array([values.mean() - half, values.mean() + half])
        elif len(known) > 1:
            # Whole steps are often the same for all seeds, which are then no surer than each by itself.
            ends = np.where(np.isnan(own).any(), values.mean(), own.mean(0))
        elif len(self.results) == 1:
            ends = own[0]
        low, high = within(known[0].unit, ends)
        return Estimate(
            value=float(values.mean()),
            low=float(low),
            high=math.inf if at_least and math.isfinite(low) else float(high),
            unit=known[0].unit,
            seeds=len(known),
            censored=at_least,
            seeds_missing=len(self.results) - len(known),
        )

    def curve(self, name: str) -> Curve | None:
        """A curve over the seeds: the mean at each x that all of them have, with Student's interval; for one seed the
        curve as it is."""
        found = [each.curves[name] for each in self.results if name in each.curves]
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

    def label(self, name: str) -> str | None:
        """What most seeds say, the first of them where they are even; `None` where none says anything."""
        said = [each.labels[name] for each in self.results if name in each.labels]
        return max(said, key=said.count) if said else None

    def unavailable(self, name: str) -> str | None:
        """Why something is not available."""
        return next((each.unavailable[name] for each in self.results if name in each.unavailable), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionResults:
    """A section with the rows in which a probe found something, in the section's order."""

    section: Section
    rows: tuple[RowResults, ...]
    absent: tuple[tuple[str, str], ...] = ()
    """Label of every other row, and why it has nothing."""


def with_number(rows: Sequence[RowResults], name: str) -> list[tuple[RowResults, Estimate]]:
    """The rows that have a number, with it, largest first."""
    found = [(row, estimate) for row in rows if (estimate := row.metric(name)) is not None]
    return sorted(found, key=lambda pair: (-pair[1].value, pair[0].row.label))


Known = Mapping[Path, Mapping[str, ProbeRecord]]
"""By the run's folder, what is known of its model, by probe."""
DEFAULT = "as by default"
COLUMNS = ("probe", "name", "value", "low", "high", "at_least", "unit", "what", "device")


def load_probe_records(runs: Iterable[Run]) -> Known:
    """What is known of all models that were probed.

    Raises:
        UserError: if a file that should say so cannot be read.
    """
    found = {run.folder: registry.read_records(run.folder) for run in runs}
    return {folder: entries for folder, entries in found.items() if entries}


def by_probe(sections: Sequence[Section], known: Known) -> dict[str, tuple[SectionResults, ...]]:
    """For each probe that was used on some of the runs a probed section for every section, in their order."""
    used = [name for name in registry.PROBES if any(name in entries for entries in known.values())]
    return {name: tuple(_section(section, name, known) for section in sections) for name in used}


def settings_warning(name: str, known: Known) -> str | None:
    """A sentence where some models were probed otherwise than others, whose findings then stand side by side all the
    same; `None` where all were probed alike."""
    used = [entries[name].settings for entries in known.values() if name in entries and entries[name].result]
    differing = []
    for key in dict.fromkeys(key for settings in used for key in settings):
        values = Counter(DEFAULT if settings.get(key) is None else format_option(settings[key]) for settings in used)
        if len(values) > 1:
            told = (f"{value} ({pluralize(amount, 'model')})" for value, amount in sorted(values.items()))
            differing.append(f"{key} {', '.join(told)}")
    if not differing:
        return None
    return (
        f"Not all models were probed alike: {'; '.join(differing)}. `workbench analyze` on the whole folder mends it."
    )


def metric_table(runs: Iterable[Run], known: Known) -> pd.DataFrame:
    """All numbers of all probes: a line for each run, probe and number."""
    lines = [
        {**run_identity(run.experiment), "probe": probe, "name": name, **number.to_dict(), "device": entry.device}
        for run in runs
        for probe, entry in known.get(run.folder, {}).items()
        if entry.result is not None
        for name, number in entry.result.metrics.items()
    ]
    columns = [*list(lines[0])[: -len(COLUMNS)], *COLUMNS] if lines else COLUMNS
    return pd.DataFrame(lines, columns=list(columns))


def _section(section: Section, name: str, known: Known) -> SectionResults:
    rows, absent = [], []
    for row in section.rows:
        entries = [entry for run in row.runs if (entry := known.get(run.folder, {}).get(name)) is not None]
        findings = tuple(entry.result for entry in entries if entry.result is not None)
        if findings:
            rows.append(RowResults(row=row, results=findings))
        else:
            absent.append((row.label, _why(row, entries)))
    return SectionResults(section=section, rows=tuple(rows), absent=tuple(absent))


def _why(row: Row, entries: Sequence[ProbeRecord]) -> str:
    if entries:
        return entries[0].reason
    return "not probed" if row.trained else "all its runs diverged"
