"""Report of a comparison: one self-contained HTML page, its figures and tables as files, and CSV tables."""

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from analysis.figures import learning_curves
from analysis.figures.histories import Histories
from analysis.formatting import ABSENT, format_count, format_number, make_printable, pluralize
from analysis.grouping import Section, build_sections
from analysis.probes import aggregate
from analysis.probes.aggregate import RecordsByFolder
from analysis.report import across_tasks, glossary, latex, ranking, state_sizes, tables
from analysis.report.blocks import Block, Cell, Chapter, Column, Listing, Table, Text
from analysis.report.fairness import check_fairness, format_used_seeds
from analysis.report.first_screen.curves import curve_panels, thin_panels
from analysis.report.first_screen.screen import build_screen, memory_by_anchor
from analysis.report.output_files import replace_files, save_and_inline
from analysis.report.page import Page, render_page
from analysis.report.square import build_square, short_titles
from analysis.report.summary import headline, summary
from analysis.report.tuning import chapter as tuning
from analysis.report.tuning.fairness import check_tuning_fairness
from analysis.report.tuning.tables import trials_table
from analysis.report.tuning.tuned_tasks import tuned_tasks
from analysis.report.up_to_date import LIBRARIES, is_up_to_date, made_from
from analysis.run_tables import comparison_table, curves_table
from analysis.variant_names import task_title
from workbench import study_files
from workbench.errors import UserError
from workbench.files import write_text
from workbench.locks import file_lock
from workbench.results import count_trials, finished_runs
from workbench.study_files import Study

MACHINE_KEYS = ("processor", "device", "threads", "torch")
"""Entries of `timing.json` that describe a machine."""
LOCK_FILE = ".report.lock"
"""Held by the process that writes the report, while others wait."""


def write_report(out: Path, *, shared: bool = False) -> Path:
    """Writes `report.html`, `comparison.csv`, `curves.csv`, `figures/` and `tables/` into a comparison's folder.

    `analysis.csv` is written if some runs were probed, and `tuning.csv` if architectures were tuned. The same runs
    give the same bytes, except for the PNG files. Figures and tables that only an earlier report had are removed.

    Args:
        out: folder with finished runs or studies.
        shared: whether the report that is there will do, if it was made from the same results: by another process
            that shares the folder, or by the same command before.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: if the folder has neither finished runs nor studies, or one that cannot be read.
    """
    # Before anything is locked, as the folder may be any.
    check_reportable(out)
    with file_lock(out / LOCK_FILE):
        # Before the runs are read: what is finished meanwhile is for the next report.
        mark = made_from(out)
        if not (shared and is_up_to_date(out, mark)):
            _write_report(out, mark)
    return out / "report.html"


def check_reportable(out: Path) -> None:
    """Raises a `UserError` if a folder has neither finished runs nor studies."""
    if next(finished_runs(out), None) or study_files.read_studies(out):
        return
    if trials := count_trials(out):
        raise UserError(
            f"the {pluralize(trials, 'finished run')} in {out} only served to choose learning rates; the same "
            "command goes on, and trains the seeds that a report is about"
        )
    raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")


def _write_report(out: Path, mark: str) -> None:
    runs, studies = list(finished_runs(out)), study_files.read_studies(out)
    sections, records = build_sections(runs, studies), aggregate.load_probe_records(runs)
    results = aggregate.by_probe(sections, records)
    # What was logged is read once for all that shows it.
    histories = {section.anchor: learning_curves.load_histories(section) for section in sections}
    with replace_files(out / "figures") as figures_folder, replace_files(out / "tables") as tables_folder:
        chapters = [
            *(task_chapter(section, histories[section.anchor], figures_folder) for section in sections),
            *(probe_chapters(sections, records, figures_folder) if records else ()),
            *(tuning.chapter(task, figures_folder) for task in tuned_tasks(studies, sections)),
            glossary.chapter(tuned=bool(studies)),
            *((configurations_chapter(sections), machines_chapter(sections, records)) if sections else ()),
        ]
        if records:
            chapters.insert(0, ranking.chapter(sections, results))
        if (over_all := across_tasks.chapter(sections, figures_folder)) is not None:
            chapters.insert(0, over_all)
        latex.write_tables(chapters, tables_folder)
        figure_files = [path.name for path in figures_folder.iterdir()]
    if records:
        table = aggregate.metric_table(runs, records)
        write_text(out / "analysis.csv", table.to_csv(index=False, lineterminator="\n"))
    if studies:
        write_text(out / "tuning.csv", trials_table(studies).to_csv(index=False, lineterminator="\n"))
    if runs:
        write_text(out / "comparison.csv", comparison_table(runs).to_csv(index=False, lineterminator="\n"))
        write_text(out / "curves.csv", curves_table(runs).to_csv(index=False, lineterminator="\n"))
    memory = memory_by_anchor(results)
    screens = [
        build_screen(section, out, memory.get(section.anchor), histories[section.anchor]) for section in sections
    ]
    page = Page(
        title=report_title(sections, studies),
        overview=overview(sections, records, studies),
        chapters=chapters,
        made_from=mark,
        screens=screens,
        square=build_square(sections, memory, screens),
        short_titles=short_titles(sections),
        curves=thin_panels(
            {
                section.anchor: panels
                for section in sections
                if (panels := curve_panels(section, histories[section.anchor]))
            }
        ),
        figure_files=figure_files,
        table_files=[f"{name}.tex" for name in table_names(chapters)],
    )
    write_text(out / "report.html", render_page(page))


def table_names(chapters: Sequence[Chapter]) -> list[str]:
    """Returns the name of the file of each table, in the order of the chapters."""
    return latex.table_names(
        chapters, [block for chapter in chapters for block in chapter.blocks if isinstance(block, Table)]
    )


def report_title(sections: Sequence[Section], studies: Sequence[Study] = ()) -> str:
    """Returns the title of a report: the numbers of architectures and tasks."""
    architectures = {row.experiment.architecture.name for section in sections for row in section.rows}
    architectures |= {study.architecture for study in studies}
    tasks = {section.title for section in sections}
    placed = [study for section in sections for study in section.studies]
    tasks |= {task_title(study.task, study.task_options) for study in studies if study not in placed}
    return f"{pluralize(len(architectures), 'architecture')} on {pluralize(len(tasks), 'task')}"


def overview(sections: Sequence[Section], records: RecordsByFolder, studies: Sequence[Study] = ()) -> str:
    """Returns the first paragraph of a report: the numbers of runs, seeds, diverged runs, trials and probed models.

    Args:
        sections: sections of the report.
        records: records of the models that were probed.
        studies: studies of the tuned architectures.
    """
    trials = sum(len(study.finished_trials) for study in studies)
    tuning_text = ""
    if studies:
        tuning_text = f" {pluralize(trials, 'finished trial')} in {pluralize(len(studies), 'study', 'studies')}."
    if not sections:
        return f"No run on fresh seeds has finished yet.{tuning_text}"
    runs = [run for section in sections for run in section.runs]
    counts = sorted({len(row.runs) for section in sections for row in section.rows})
    seeds = pluralize(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    diverged = sum(run.diverged for run in runs)
    text = f"{pluralize(len(runs), 'finished run')}, {seeds} of each configuration; {diverged or 'none'} diverged."
    text += tuning_text
    trained = [run for run in runs if not run.diverged]
    probed = sum(run.folder in records for run in trained)
    if probed == len(trained):
        return text
    if probed:
        text += f" {probed} of {pluralize(len(trained), 'model')} {'is' if probed == 1 else 'are'} probed;"
    return f"{text} `workbench analyze` on this folder adds what {'the others' if probed else 'they'} remember."


def task_chapter(section: Section, histories: Histories, folder: Path) -> Chapter:
    """Returns the chapter on one variant of a task: summary, learning curves, results, fairness, published figures.

    Args:
        section: the variant, with its runs.
        histories: its learning curves (`analysis.figures.histories.load_histories`).
        folder: folder of the figure files.
    """
    fair, sentences = check_tuning_fairness(section) if section.studies else check_fairness(section)
    blocks: list[Block] = [Text(sentences=summary(section), role="summary")]
    if histories:
        drawing = learning_curves.draw_learning_curves(section, histories)
        caption, text = (
            learning_curves.caption(histories, tuple(section.floors)),
            learning_curves.alt_text(section, histories),
        )
        name = f"{section.anchor}-learning-curves"
        blocks.append(save_and_inline(drawing, folder, name, caption=caption, alt_text=text))
    blocks.append(tables.results_table(section))
    blocks += state_sizes.blocks(section, folder)
    blocks.append(Text(sentences=sentences, role="fair" if fair else "unfair", lead="Fairness."))
    published = tables.published_table(section)
    blocks.append(published or Text(sentences=("none for this variant.",), lead="Published figures:"))
    return Chapter(anchor=section.anchor, title=section.title, blocks=tuple(blocks), outline=headline(section))


def probe_chapters(sections: Sequence[Section], records: RecordsByFolder, folder: Path) -> list[Chapter]:
    """Returns the chapter of every probe that has results.

    Args:
        sections: sections of the report.
        records: records of the models that were probed.
        folder: folder of the figure files.
    """
    chapters = []
    task_anchors = {section.anchor for section in sections}
    for name, results in aggregate.by_probe(sections, records).items():
        with_rows = [section for section in results if section.rows]
        chapter = importlib.import_module(f"analysis.report.{name}").chapter(with_rows, folder) if with_rows else None
        if chapter is None:
            continue
        if (warning := aggregate.settings_warning(name, records)) is not None:
            chapter = replace(chapter, blocks=(Text(sentences=(warning,), role="unfair"), *chapter.blocks))
        # A task may have the same name as a probe.
        chapters.append(replace(chapter, anchor=f"probe-{name}") if chapter.anchor in task_anchors else chapter)
    return chapters


def configurations_chapter(sections: Sequence[Section]) -> Chapter:
    """Returns the chapter with the resolved configurations: what all rows of a section share, and what each has own."""
    blocks: list[Block] = []
    for section in sections:
        blocks.append(Text(sentences=(), lead=section.title))
        configurations = [row.experiment.to_dict() for row in section.rows]
        for configuration in configurations:
            del configuration["seed"]
        shared = shared_entries(configurations) if len(configurations) > 1 else {}
        if shared:
            blocks.append(Listing(title="All rows", text=dump_yaml(shared)))
        for row, configuration in zip(section.rows, configurations, strict=True):
            blocks.append(
                Listing(
                    title=f"{row.label}, seeds {format_used_seeds(row)}",
                    note=row.experiment.identity,
                    text=dump_yaml(remove_entries(configuration, shared)),
                )
            )
    return Chapter(anchor="configurations", title="Configurations", blocks=tuple(blocks))


def shared_entries(configurations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the entries that nested configurations have in common."""
    first, *others = configurations
    shared: dict[str, Any] = {}
    for key, value in first.items():
        values = [other[key] for other in others if key in other]
        if len(values) < len(others):
            continue
        if all(value == other for other in values):
            shared[key] = value
        elif isinstance(value, Mapping) and all(isinstance(other, Mapping) for other in values):
            inner = shared_entries([value, *values])
            shared |= {key: inner} if inner else {}
    return shared


def remove_entries(configuration: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a nested configuration without some of its entries."""
    kept: dict[str, Any] = {}
    for key, value in configuration.items():
        if key not in entries:
            kept[key] = value
        elif value != entries[key]:
            kept[key] = remove_entries(value, entries[key])
    return kept


def dump_yaml(value: Mapping[str, Any]) -> str:
    """Returns a configuration as YAML."""
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=100)


def machines_chapter(sections: Sequence[Section], records: RecordsByFolder) -> Chapter:
    """Returns the chapter on the machines of training and probing, and on the versions of libraries.

    Args:
        sections: sections of the report.
        records: records of the models that were probed.
    """
    devices = Counter(
        device
        for by_probe in records.values()
        for device in {make_printable(record.device) for record in by_probe.values() if record.result is not None}
    )
    probed_on = ", ".join(f"{device} ({pluralize(count, 'model')})" for device, count in sorted(devices.items()))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return Chapter(
        anchor="machines",
        title="Machines and versions",
        blocks=(
            machines_table([run.timing for section in sections for run in section.runs]),
            *([Text(sentences=(f"{probed_on}.",), lead="Probed on")] if probed_on else []),
            Text(sentences=(f"{libraries}.",), lead="Report made with"),
        ),
    )


def machines_table(timings: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the machines that trained, with their numbers of runs and seconds.

    Args:
        timings: contents of `timing.json` of each run.
    """
    runs = Counter[tuple[str, ...]]()
    seconds = Counter[tuple[str, ...]]()
    for timing in timings:
        machine = tuple(make_printable(str(timing.get(key, ABSENT))) for key in MACHINE_KEYS)
        runs[machine] += 1
        seconds[machine] += timing.get("seconds", 0)
    return Table(
        caption="Machines that trained",
        columns=(
            Column(heading="processor", kind="prose"),
            *(Column(heading=key, kind="text") for key in MACHINE_KEYS[1:]),
            Column(heading="runs"),
            Column(heading="seconds"),
        ),
        rows=tuple(
            (
                *(Cell(text=value) for value in machine),
                Cell(text=format_count(count)),
                Cell(text=format_number(seconds[machine])),
            )
            for machine, count in sorted(runs.items())
        ),
    )
