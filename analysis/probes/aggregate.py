"""Probe results of the runs of a report, over their seeds, and the table of all metrics, `analysis.csv`."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.formatting import clip_to_unit_range, pluralize
from analysis.grouping import Row, Section
from analysis.probes import registry
from analysis.probes.records import ProbeRecord, read_records
from analysis.probes.result import Curve, ProbeResult
from analysis.statistics import Estimate, half_width
from analysis.variant_names import format_option, identity_columns
from workbench.results import Run

RecordsByFolder = Mapping[Path, Mapping[str, ProbeRecord]]
"""Records of the probed models, by the run's folder and by probe."""
DEFAULT = "default"
"""Text for a setting that was not given."""
OVER_UNITS = ("discount_dynamics", "alternation")
"""Probes whose own intervals are over units too. Every seed has other units, so that this part of the error differs
from seed to seed, and is in the spread of the seeds already."""
METRIC_COLUMNS = ("probe", "name", "value", "low", "high", "at_least", "unit", "what", "device")
"""Columns of `analysis.csv` after those that identify the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResults:
    """Results of one probe on the runs of a row."""

    row: Row
    results: tuple[ProbeResult, ...]
    """Results of the probed seeds, in order of seed."""
    shared_error: bool = True
    """True if the probe's own intervals are over test sequences or random numbers that all seeds share."""

    def metric(self, name: str) -> Estimate | None:
        """Returns a metric over the seeds; `None` if no seed has it.

        The estimate of several seeds is their mean with Student's interval; that of a single one is its value with the
        interval of the probe.

        All seeds are probed with the same test sequences. Whatever these happen to favour shifts all seeds alike: it
        does not show in their spread, and more seeds do not average it out. So, where the probe's own intervals are
        over what the seeds share (`shared_error`), neither side of the interval over seeds is narrower than the root
        mean square of that side of the seeds' own intervals, undivided by the number of seeds. This is exact if the
        seeds err together, and wider than need be if they err on different sequences, which cannot be told from their
        intervals alone.
        """
        metrics = [result.metrics[name] for result in self.results if name in result.metrics]
        metrics = [metric for metric in metrics if metric.value is not None]
        if not metrics:
            return None
        values = np.array([metric.value for metric in metrics], dtype=float)
        probe_ends = np.array([(metric.low, metric.high) for metric in metrics], dtype=float)
        censored = any(metric.censored for metric in metrics)
        half = float(half_width(values[:, None])[0])
        ends = np.array([math.nan, math.nan])
        if half > 0:
            ends = np.array([values.mean() - half, values.mean() + half])
        elif len(metrics) > 1:
            # Whole steps are often the same for all seeds, which are then no more certain than each of them alone.
            ends = np.where(np.isnan(probe_ends).any(), values.mean(), probe_ends.mean(0))
        elif len(self.results) == 1:
            ends = probe_ends[0]
        if len(metrics) > 1 and self.shared_error:
            ends = _widen(ends, values, probe_ends)
        unit = metrics[0].unit
        low, high = clip_to_unit_range(unit, ends)
        return Estimate(
            value=float(values.mean()),
            low=float(low),
            high=math.inf if censored and math.isfinite(low) else float(high),
            unit=unit,
            seeds=len(metrics),
            censored=censored,
            seeds_missing=len(self.results) - len(metrics),
        )

    def curve(self, name: str) -> Curve | None:
        """Returns a curve over the seeds; `None` if no seed has it.

        The curve of several seeds is their mean at each x that all of them have, with Student's interval, at least as
        wide as that of a metric has to be; that of a single one is unchanged.
        """
        curves = [result.curves[name] for result in self.results if name in result.curves]
        if len(curves) < 2:
            return curves[0] if curves else None
        first = curves[0]
        shared = sorted(set(first.x).intersection(*(curve.x for curve in curves[1:])))
        places = [{x: index for index, x in enumerate(curve.x)} for curve in curves]
        values = np.array(
            [curve.to_array()[[place[x] for x in shared]] for curve, place in zip(curves, places, strict=True)]
        ).reshape(len(curves), len(shared))
        mean, half = values.mean(0), half_width(values)
        ends = np.stack([mean - half, mean + half])
        if self.shared_error:
            own = np.array(
                [
                    [curve.to_array(end)[[place[x] for x in shared]] for end in ("low", "high")]
                    for curve, place in zip(curves, places, strict=True)
                ]
            ).reshape(len(curves), 2, len(shared))
            ends = (
                np.stack([_widen(ends[:, i], values[:, i], own[..., i]) for i in range(len(shared))], axis=1)
                if shared
                else ends
            )
        low, high = clip_to_unit_range(first.y_unit, ends)
        return Curve.from_arrays(
            shared, mean, x_unit=first.x_unit, y_unit=first.y_unit, what=first.what, low=low, high=high
        )

    def least(self, name: str) -> float | None:
        """Returns the least value of a metric over the seeds; `None` if some seed lacks it."""
        metrics = [result.metrics.get(name) for result in self.results]
        values = [metric.value for metric in metrics if metric is not None and metric.value is not None]
        return min(values) if values and len(values) == len(metrics) else None

    def label(self, name: str) -> str | None:
        """Returns the label that most seeds have, the first one of a tie; `None` if no seed has it."""
        labels = [result.labels[name] for result in self.results if name in result.labels]
        return max(labels, key=labels.count) if labels else None

    def unavailable(self, name: str) -> str | None:
        """Returns why something is not available, by the first seed that gives a reason; `None` if none does."""
        return next((result.unavailable[name] for result in self.results if name in result.unavailable), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionResults:
    """Results of one probe on the rows of a section."""

    section: Section
    rows: tuple[RowResults, ...]
    """Rows with a result, in the section's order."""
    absent: tuple[tuple[str, str], ...] = ()
    """Label of every other row, and why it has no result."""


def rows_with_metric(rows: Sequence[RowResults], name: str) -> list[tuple[RowResults, Estimate]]:
    """Returns the rows that have a metric, with its estimate, largest first."""
    pairs = [(row, estimate) for row in rows if (estimate := row.metric(name)) is not None]
    return sorted(pairs, key=lambda pair: (-pair[1].value, pair[0].row.label))


def load_probe_records(runs: Iterable[Run]) -> RecordsByFolder:
    """Reads the records of all runs that were probed.

    Raises:
        UserError: if an `analysis.json` cannot be read.
    """
    records = {run.folder: read_records(run.folder) for run in runs}
    return {folder: by_name for folder, by_name in records.items() if by_name}


def by_probe(sections: Sequence[Section], records: RecordsByFolder) -> dict[str, tuple[SectionResults, ...]]:
    """Returns, for each probe that was applied to any run, its results for every section, in order."""
    applied = [name for name in registry.PROBES if any(name in by_name for by_name in records.values())]
    return {name: tuple(_section_results(section, name, records) for section in sections) for name in applied}


def settings_warning(name: str, records: RecordsByFolder) -> str | None:
    """Returns a warning if models were probed with different settings, as their results are compared anyway.

    Args:
        name: of the probe.
        records: of all models.
    """
    settings_of_models = [
        by_name[name].settings for by_name in records.values() if name in by_name and by_name[name].result
    ]
    differences = []
    for key in dict.fromkeys(key for settings in settings_of_models for key in settings):
        counts = Counter(
            DEFAULT if settings.get(key) is None else format_option(settings[key]) for settings in settings_of_models
        )
        if len(counts) > 1:
            values = (f"{value} ({pluralize(count, 'model')})" for value, count in sorted(counts.items()))
            differences.append(f"{key} {', '.join(values)}")
    if not differences:
        return None
    return (
        f"Not all models were probed alike: {'; '.join(differences)}. "
        "`workbench analyze` on the whole folder fixes this."
    )


def metric_table(runs: Iterable[Run], records: RecordsByFolder) -> pd.DataFrame:
    """Returns the table of all metrics, a row for each run, probe and metric."""
    rows = [
        {**identity_columns(run.experiment), "probe": probe, "name": name, **metric.to_dict(), "device": record.device}
        for run in runs
        for probe, record in records.get(run.folder, {}).items()
        if record.result is not None
        for name, metric in record.result.metrics.items()
    ]
    columns = [*list(rows[0])[: -len(METRIC_COLUMNS)], *METRIC_COLUMNS] if rows else METRIC_COLUMNS
    return pd.DataFrame(rows, columns=list(columns))


def _section_results(section: Section, name: str, records: RecordsByFolder) -> SectionResults:
    rows, absent = [], []
    for row in section.rows:
        row_records = [record for run in row.runs if (record := records.get(run.folder, {}).get(name)) is not None]
        results = tuple(record.result for record in row_records if record.result is not None)
        if results:
            rows.append(RowResults(row=row, results=results, shared_error=name not in OVER_UNITS))
        else:
            absent.append((row.label, _absence_reason(row, row_records)))
    return SectionResults(section=section, rows=tuple(rows), absent=tuple(absent))


def _widen(ends: np.ndarray, values: np.ndarray, probe_ends: np.ndarray) -> np.ndarray:
    """Moves both ends of an interval over seeds apart to the root mean square distance of the seeds' own ends.

    Args:
        ends: (2,) of the interval of the mean.
        values: (seeds,).
        probe_ends: (seeds, 2) of the seeds' own intervals; a side that some seed lacks is left as it is.
    """
    distance = np.sqrt(((probe_ends - values[:, None]) ** 2).mean(0))
    mean = values.mean()
    # NaN compares as false.
    low = np.where(mean - distance[0] < ends[0], mean - distance[0], ends[0])
    high = np.where(mean + distance[1] > ends[1], mean + distance[1], ends[1])
    return np.array([low, high])


def _absence_reason(row: Row, row_records: Sequence[ProbeRecord]) -> str:
    if row_records:
        return row_records[0].reason
    return "not probed" if row.trained_runs else "all its runs diverged"
