"""Content of a workspace: the records of a folder of results, the names logged in them, and the report's figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import style
from analysis.dashboards.mirror import sources
from analysis.dashboards.mirror.naming import WandbTable
from analysis.dashboards.mirror.record import Record, comparison_record, run_record
from analysis.dashboards.workspace import titles
from analysis.dashboards.workspace.titles import METRIC_SUFFIXES
from analysis.grouping import Section, build_sections
from analysis.report.tuning.tuned_tasks import tuned_tasks
from architectures.suggest import did_you_mean
from workbench import study_files
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.results import Run
from workbench.study_files import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that a workspace and a report can show, limited to the chosen tasks."""

    out: Path
    records: tuple[Record, ...]
    """Records of runs and trials."""
    comparison: Record | None
    figures: tuple[titles.FigureTitle, ...]
    sections: tuple[Section, ...]
    """Sections of the comparison's report."""
    studies: tuple[Study, ...]
    runs: tuple[Run, ...]
    """The finished runs, without trials."""
    tasks: tuple[str, ...]
    """The chosen tasks; empty if all are shown."""
    colors: Mapping[str, str]
    """By architecture; the same whatever tasks are chosen."""

    @property
    def logged(self) -> frozenset[str]:
        """Every name under which some run logs a value, including the best values of metrics."""
        names: set[str] = set()
        for record in self.records if self.comparison is None else (*self.records, self.comparison):
            names |= {name for row in record.history for name in row}
            names |= {name for name, value in record.summary.items() if value is not None}
            names |= {*record.tables, *record.images, *record.pages}
            names |= {f"{name}.{direction}" for name, direction in record.best.items()}
        return frozenset(names)

    @property
    def tables(self) -> Mapping[str, frozenset[str]]:
        """The columns that each table of curves has in some run, by name of the table."""
        columns: dict[str, set[str]] = {}
        for record in self.records:
            for name, table in record.tables.items():
                columns.setdefault(name, set()).update(filled_columns(table))
        return {name: frozenset(columns[name]) for name in sorted(columns)}

    @property
    def probes(self) -> Mapping[str, tuple[str, ...]]:
        """The names of each probe's metrics, by probe."""
        metrics: dict[str, set[str]] = {}
        for name in self.logged:
            kind, _, rest = name.partition("/")
            probe, _, metric = rest.partition("/")
            owner, _, suffix = metric.rpartition("/")
            if kind == "probe" and not (owner and suffix in METRIC_SUFFIXES):
                metrics.setdefault(probe, set()).add(metric)
        for name in self.tables:
            metrics.setdefault(name.split("/")[1], set())
        return {probe: tuple(sorted(metrics[probe])) for probe in sorted(metrics)}


def load_content(out: Path, tasks: tuple[str, ...] = ()) -> Content:
    """Reads a folder of results.

    Args:
        out: the folder.
        tasks: to show; all of them if empty.

    Raises:
        UserError: if there is nothing to show, a file cannot be read, or there is no such task.
    """
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    try:
        return _load_content(out, tasks)
    except UserError:
        raise
    except (ValueError, TypeError, LookupError) as error:
        # Files that were edited or cut short can fail in many ways.
        raise UserError(
            f"a file in {out} cannot be read ({type(error).__name__}: {describe_error(error)[:200]}); "
            f"workbench report {out} may say which"
        ) from None


def _load_content(out: Path, tasks: tuple[str, ...]) -> Content:
    runs = list(sources.load_runs(out))
    if not runs:
        raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")
    all_tasks = sorted({run.experiment.task.name for run, _ in runs})
    for task in tasks:
        if task not in all_tasks:
            raise UserError(f"no run in {out} is on a task {task!r}{did_you_mean(task, all_tasks)}")
    studies = list(study_files.read_studies(out))
    untuned = [run for run, trial_info in runs if trial_info is None]
    sections = build_sections(untuned, studies)
    comparison = comparison_record(out, "comparison")
    images = [] if comparison is None else list(comparison.images)
    figures = titles.place_figures(images, sections, tuned_tasks(studies, sections))
    architectures = {run.experiment.architecture.name for run, _ in runs} | {study.architecture for study in studies}
    chosen = set(tasks or all_tasks)
    return Content(
        out=out,
        records=tuple(run_record(run, trial_info) for run, trial_info in runs if run.experiment.task.name in chosen),
        comparison=comparison,
        figures=tuple(figure for figure in figures if not tasks or figure.task is None or figure.task in chosen),
        sections=tuple(section for section in sections if section.rows[0].experiment.task.name in chosen),
        studies=tuple(study for study in studies if study.task in chosen),
        runs=tuple(run for run in untuned if run.experiment.task.name in chosen),
        tasks=tuple(dict.fromkeys(tasks)),
        colors={name: line_style.color for name, line_style in style.line_styles(architectures).items()},
    )


def filled_columns(table: WandbTable) -> set[str]:
    """Returns the columns of a table that are not empty."""
    return {name for index, name in enumerate(table.columns) if any(row[index] is not None for row in table.rows)}


def architecture_name(record: Record) -> str:
    """Returns the architecture of a record's run."""
    part: Mapping[str, Any] = record.config["architecture"]
    return str(part["name"])
