"""The report of a comparison: one page that stands alone, its figures as files, and a table of all runs."""

import importlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import style
from analysis.figures import learning_curves
from analysis.formatting import ABSENT, format_count, format_number, pluralize, printable
from analysis.grouping import Section, sections, task_title
from analysis.probes import aggregate
from analysis.probes.aggregate import Known
from analysis.report import glossary, latex, output_files, ranking, tables
from analysis.report.blocks import Block, Cell, Chapter, Column, Figure, Listing, Table, Text
from analysis.report.fairness import fairness, used_seeds
from analysis.report.output_files import replaced
from analysis.report.summary import summary, winner
from analysis.report.tuning import chapter as tuning
from analysis.report.tuning.fairness import tuning_fairness
from analysis.report.tuning.tables import trials
from analysis.report.tuning.tuned import tuned_tasks
from workbench import study_files
from workbench.errors import UserError
from workbench.files import write_text
from workbench.results import finished
from workbench.study_files import Study


def write(out: Path) -> Path:
    """Writes `report.html`, `comparison.csv`, `figures/` and `tables/` into a comparison's folder, from its finished
    runs; where some were probed, `analysis.csv`; and where architectures were tuned, `tuning.csv`.

    The same runs give the same bytes, the PNG files apart. Figures and tables that only an earlier report had are
    removed.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: if the folder has neither finished runs nor studies, or one that cannot be read.
    """
    runs, tuned = list(finished(out)), study_files.read(out)
    if not runs and not tuned:
        raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")
    found, known = sections(runs, tuned), aggregate.load_probe_records(runs)
    with replaced(out / "figures") as figures, replaced(out / "tables") as tex:
        chapters = [
            *(task_chapter(section, figures) for section in found),
            *(probed(found, known, figures) if known else ()),
            *(tuning.chapter(subject, figures) for subject in tuned_tasks(tuned, found)),
            glossary.chapter(tuned=bool(tuned)),
            *((configurations(found), machines(found, known)) if found else ()),
        ]
        if known:
            chapters.insert(0, ranking.chapter(found, aggregate.by_probe(found, known)))
        latex.write(chapters, tex)
    if known:
        table = aggregate.metric_table(runs, known)
        write_text(out / "analysis.csv", table.to_csv(index=False, lineterminator="\n"))
    if tuned:
        write_text(out / "tuning.csv", trials(tuned).to_csv(index=False, lineterminator="\n"))
    if runs:
        write_text(out / "comparison.csv", tables.comparison(runs).to_csv(index=False, lineterminator="\n"))
    page = out / "report.html"
    write_text(page, render(title(found, tuned), overview(found, known, tuned), chapters))
    return page


def probed(found: Sequence[Section], known: Known, folder: Path) -> list[Chapter]:
    """The chapter of every probe that found something."""
    chapters = []
    taken = {section.anchor for section in found}
    for name, each in aggregate.by_probe(found, known).items():
        with_rows = [section for section in each if section.rows]
        chapter = importlib.import_module(f"analysis.report.{name}").chapter(with_rows, folder) if with_rows else None
        if chapter is not None and (told := aggregate.settings_warning(name, known)) is not None:
            chapter = replace(chapter, blocks=(Text(sentences=(told,), role="unfair"), *chapter.blocks))
        if chapter is not None:
            # A task may be named like a probe.
            chapters.append(replace(chapter, anchor=f"probe-{name}") if chapter.anchor in taken else chapter)
    return chapters


def render(title: str, overview: str, chapters: Sequence[Chapter]) -> str:
    """The page. Everything is escaped but the figures, which are elements already."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(title=title, overview=overview, chapters=chapters) + "\n"


def title(found: Sequence[Section], tuned: Sequence[Study] = ()) -> str:
    """What was compared."""
    architectures = {row.experiment.architecture.name for section in found for row in section.rows}
    architectures |= {study.architecture for study in tuned}
    tasks = {section.title for section in found} | {task_title(study.task, study.task_options) for study in tuned}
    return f"{pluralize(len(architectures), 'architecture')} on {pluralize(len(tasks), 'task')}"


def overview(found: Sequence[Section], known: Known, tuned: Sequence[Study] = ()) -> str:
    """How much there is to go by.

    Args:
        found: the sections.
        known: what is known of the models that were probed.
        tuned: the studies.
    """
    tried = sum(len(study.finished) for study in tuned)
    searched = f" {pluralize(tried, 'finished trial')} in {pluralize(len(tuned), 'study', 'studies')}." if tuned else ""
    if not found:
        return f"No run on fresh seeds has finished yet.{searched}"
    runs = [run for section in found for run in section.runs]
    seeds = sorted({len(row.runs) for section in found for row in section.rows})
    of_each = pluralize(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    lost = sum(run.diverged for run in runs)
    said = (
        f"{pluralize(len(runs), 'finished run')}, {of_each} of each configuration; {lost or 'none'} diverged.{searched}"
    )
    trained = [run for run in runs if not run.diverged]
    probed = sum(run.folder in known for run in trained)
    if probed == len(trained):
        return said
    some = f" {probed} of {pluralize(len(trained), 'model')} {'is' if probed == 1 else 'are'} probed;" if probed else ""
    return f"{said}{some} `workbench analyze` on this folder adds what {'the others' if probed else 'they'} remember."


def task_chapter(section: Section, folder: Path) -> Chapter:
    """What came of one variant of a task.

    Args:
        section: the variant, with its runs.
        folder: where its figure is written to, as SVG and PNG.
    """
    fair, sentences = tuning_fairness(section) if section.studies else fairness(section)
    blocks: list[Block] = [Text(sentences=summary(section), role="summary")]
    if drawn := learning_curves.panels(section):
        text = style.save(learning_curves.draw(section, drawn), folder, section.anchor)
        image = output_files.inline(text, section.anchor, learning_curves.described(section, drawn))
        blocks.append(Figure(svg=image, caption=learning_curves.caption(drawn)))
    blocks.append(tables.results(section))
    blocks.append(Text(sentences=sentences, role="fair" if fair else "unfair", lead="Fairness."))
    published = tables.published(section)
    blocks.append(published or Text(sentences=("none for this variant.",), lead="Published figures:"))
    return Chapter(anchor=section.anchor, title=section.title, blocks=tuple(blocks), outline=winner(section))


LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn")


def configurations(sections: Sequence[Section]) -> Chapter:
    """The resolved configuration of each row, section by section."""
    blocks: list[Block] = []
    for section in sections:
        blocks.append(Text(sentences=(), lead=section.title))
        for row in section.rows:
            resolved = row.experiment.to_dict()
            del resolved["seed"]
            blocks.append(
                Listing(
                    title=f"{row.label}: {row.experiment.identity}, seeds {used_seeds(row)}",
                    text=yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=100),
                )
            )
    return Chapter(anchor="configurations", title="Configurations", blocks=tuple(blocks))


def machines(sections: Sequence[Section], known: Known) -> Chapter:
    """The machines and versions that the runs were made with, what their models were probed on, and the versions that
    the report was made with.

    Args:
        sections: of the report.
        known: what is known of the models that were probed.
    """
    timings = [run.timing for section in sections for run in section.runs]
    keys = ("processor", "device", "threads", "torch")
    made = Counter(tuple(printable(str(timing.get(key, ABSENT))) for key in keys) for timing in timings)
    seconds = Counter[tuple[str, ...]]()
    for timing in timings:
        seconds[tuple(printable(str(timing.get(key, ABSENT))) for key in keys)] += timing.get("seconds", 0)
    table = Table(
        caption="Machines that trained",
        columns=(
            Column(heading="processor", kind="prose"),
            *(Column(heading=key, kind="text") for key in keys[1:]),
            Column(heading="runs"),
            Column(heading="seconds"),
        ),
        lines=tuple(
            (
                *(Cell(text=value) for value in values),
                Cell(text=format_count(runs)),
                Cell(text=format_number(seconds[values])),
            )
            for values, runs in sorted(made.items())
        ),
    )
    models = Counter(
        device
        for entries in known.values()
        for device in {printable(each.device) for each in entries.values() if each.result is not None}
    )
    probed = ", ".join(f"{device} ({pluralize(amount, 'model')})" for device, amount in sorted(models.items()))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return Chapter(
        anchor="machines",
        title="Machines and versions",
        blocks=(
            table,
            *([Text(sentences=(f"{probed}.",), lead="Probed on")] if probed else []),
            Text(sentences=(f"{libraries}.",), lead="Report made with"),
        ),
    )
