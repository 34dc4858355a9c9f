"""All that a workspace is built from: the records of a folder, and what is logged in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import style
from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.naming import WandbTable
from analysis.dashboards.mirror.record import Record, run_record, whole_record
from analysis.dashboards.workspace import titles
from analysis.dashboards.workspace.titles import ENDS
from analysis.grouping import Section, sections
from analysis.report.tuning.tuned import tuned_tasks
from architectures.suggest import did_you_mean
from workbench import study_files
from workbench.errors import UserError
from workbench.files import one_line
from workbench.results import Run
from workbench.study_files import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What there is to show."""

    out: Path
    records: tuple[Record, ...]
    """Of runs and trials, on the tasks that were chosen."""
    whole: Record | None
    figures: tuple[titles.FigureTitle, ...]
    sections: tuple[Section, ...]
    """Of the report, on these tasks."""
    studies: tuple[Study, ...]
    runs: tuple[Run, ...]
    """The finished runs of these tasks; trials are not among them."""
    tasks: tuple[str, ...]
    """The tasks that were chosen; none where all are shown."""
    colours: Mapping[str, str]
    """By architecture. The same whatever tasks are chosen."""

    @property
    def logged(self) -> frozenset[str]:
        """Every name under which a value is logged in some run, the best values of metrics among them."""
        names: set[str] = set()
        for record in self.records if self.whole is None else (*self.records, self.whole):
            names |= {name for row in record.history for name in row}
            names |= {name for name, value in record.summary.items() if value is not None}
            names |= {*record.tables, *record.images, *record.pages}
            names |= {f"{name}.{which}" for name, which in record.best.items()}
        return frozenset(names)

    @property
    def tables(self) -> Mapping[str, frozenset[str]]:
        """By name of a table of curves, the columns that it has in some run."""
        found: dict[str, set[str]] = {}
        for record in self.records:
            for name, table in record.tables.items():
                found.setdefault(name, set()).update(fill_missing(table))
        return {name: frozenset(found[name]) for name in sorted(found)}

    @property
    def probes(self) -> Mapping[str, tuple[str, ...]]:
        """By probe, the names of its numbers."""
        found: dict[str, set[str]] = {}
        for name in self.logged:
            kind, _, rest = name.partition("/")
            probe, _, number = rest.partition("/")
            whose, _, end = number.rpartition("/")
            if kind == "probe" and not (whose and end in ENDS):
                found.setdefault(probe, set()).add(number)
        for name in self.tables:
            found.setdefault(name.split("/")[1], set())
        return {probe: tuple(sorted(found[probe])) for probe in sorted(found)}


def content(out: Path, tasks: tuple[str, ...] = ()) -> Content:
    """Reads a folder of results.

    Args:
        out: the folder.
        tasks: those to be shown; all of them if empty.

    Raises:
        UserError: if there is nothing to show, a file cannot be read, or there is no such task.
    """
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    try:
        return _content(out, tasks)
    except (ValueError, TypeError, LookupError) as error:
        # Files that were edited, or cut short, may fail in any way where they are read.
        raise UserError(
            f"a file in {out} cannot be read ({type(error).__name__}: {one_line(error)[:200]}); "
            f"workbench report {out} may say which"
        ) from None


def _content(out: Path, tasks: tuple[str, ...]) -> Content:
    found_runs = list(sources.runs(out))
    if not found_runs:
        raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")
    known = sorted({run.experiment.task.name for run, _ in found_runs})
    for task in tasks:
        if task not in known:
            raise UserError(f"no run in {out} is on a task {task!r}{did_you_mean(task, known)}")
    every = list(study_files.read(out))
    fresh = [run for run, tried in found_runs if tried is None]
    chapters = sections(fresh, every)
    whole = whole_record(out, "comparison")
    drawn = titles.place_figures([] if whole is None else list(whole.images), chapters, tuned_tasks(every, chapters))
    names = {run.experiment.architecture.name for run, _ in found_runs} | {study.architecture for study in every}
    shown = set(tasks or known)
    return Content(
        out=out,
        records=tuple(run_record(run, tried) for run, tried in found_runs if run.experiment.task.name in shown),
        whole=whole,
        figures=tuple(each for each in drawn if not tasks or each.task is None or each.task in shown),
        sections=tuple(each for each in chapters if each.rows[0].experiment.task.name in shown),
        studies=tuple(study for study in every if study.task in shown),
        runs=tuple(run for run in fresh if run.experiment.task.name in shown),
        tasks=tuple(dict.fromkeys(tasks)),
        colours={name: look.colour for name, look in style.line_styles(names).items()},
    )


def fill_missing(table: WandbTable) -> set[str]:
    """The columns of a table that have something in them."""
    return {name for place, name in enumerate(table.columns) if any(row[place] is not None for row in table.rows)}


def architecture(record: Record) -> str:
    """Whose run it is."""
    part: Mapping[str, Any] = record.config["architecture"]
    return str(part["name"])
