"""What `workbench analyze` has left beside the runs of a report, put together by probe."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from analysis import probes
from analysis.formats import plural
from analysis.groups import Row, Section
from analysis.naming import shown
from analysis.probed import Probed, ProbedSection
from analysis.probes import Entry
from analysis.tables import identified
from workbench.results import Run

Known = Mapping[Path, Mapping[str, Entry]]
"""By the run's folder, what is known of its model, by probe."""
DEFAULT = "as by default"
COLUMNS = ("probe", "name", "value", "low", "high", "at_least", "unit", "what", "device")


def known(runs: Iterable[Run]) -> Known:
    """What is known of all models that were probed.

    Raises:
        UserError: if a file that should say so cannot be read.
    """
    found = {run.folder: probes.read(run.folder) for run in runs}
    return {folder: entries for folder, entries in found.items() if entries}


def collect(sections: Sequence[Section], known: Known) -> dict[str, tuple[ProbedSection, ...]]:
    """For each probe that was used on some of the runs a probed section for every section, in their order."""
    used = [name for name in probes.PROBES if any(name in entries for entries in known.values())]
    return {name: tuple(_section(section, name, known) for section in sections) for name in used}


def unlike(name: str, known: Known) -> str | None:
    """A sentence where some models were probed otherwise than others, whose findings then stand side by side all the
    same; `None` where all were probed alike."""
    used = [entries[name].settings for entries in known.values() if name in entries and entries[name].findings]
    differing = []
    for key in dict.fromkeys(key for settings in used for key in settings):
        values = Counter(DEFAULT if settings.get(key) is None else shown(settings[key]) for settings in used)
        if len(values) > 1:
            told = (f"{value} ({plural(amount, 'model')})" for value, amount in sorted(values.items()))
            differing.append(f"{key} {', '.join(told)}")
    if not differing:
        return None
    return (
        f"Not all models were probed alike: {'; '.join(differing)}. `workbench analyze` on the whole folder mends it."
    )


def numbers(runs: Iterable[Run], known: Known) -> pd.DataFrame:
    """All numbers of all probes: a line for each run, probe and number."""
    lines = [
        {**identified(run.experiment), "probe": probe, "name": name, **asdict(number), "device": entry.device}
        for run in runs
        for probe, entry in known.get(run.folder, {}).items()
        if entry.findings is not None
        for name, number in entry.findings.numbers.items()
    ]
    columns = [*list(lines[0])[: -len(COLUMNS)], *COLUMNS] if lines else COLUMNS
    return pd.DataFrame(lines, columns=list(columns))


def _section(section: Section, name: str, known: Known) -> ProbedSection:
    rows, absent = [], []
    for row in section.rows:
        entries = [entry for run in row.runs if (entry := known.get(run.folder, {}).get(name)) is not None]
        findings = tuple(entry.findings for entry in entries if entry.findings is not None)
        if findings:
            rows.append(Probed(row=row, findings=findings))
        else:
            absent.append((row.label, _why(row, entries)))
    return ProbedSection(section=section, rows=tuple(rows), absent=tuple(absent))


def _why(row: Row, entries: Sequence[Entry]) -> str:
    if entries:
        return entries[0].reason
    return "not probed" if row.trained else "all its runs diverged"
