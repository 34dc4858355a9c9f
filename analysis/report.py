"""The report of a comparison: one page that stands alone, its figures as files, and a table of all runs."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import collected, latex, probes, provenance, ranking, reading, tables
from analysis.blocks import Chapter, Text
from analysis.chapters import task_chapter
from analysis.collected import Known
from analysis.formats import plural
from analysis.groups import Section, sections
from analysis.naming import described
from analysis.replaced import replaced
from analysis.tuning import chapter as tuning
from analysis.tuning.subject import subjects
from analysis.tuning.trials import trials
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
    found, known = sections(runs, tuned), collected.known(runs)
    with replaced(out / "figures") as figures, replaced(out / "tables") as tex:
        chapters = [
            *(task_chapter(section, figures) for section in found),
            *(probed(found, known, figures) if known else ()),
            *(tuning.chapter(subject, figures) for subject in subjects(tuned, found)),
            reading.chapter(tuned=bool(tuned)),
            *((provenance.configurations(found), provenance.machines(found, known)) if found else ()),
        ]
        if known:
            chapters.insert(0, ranking.chapter(found, collected.collect(found, known)))
        latex.write(chapters, tex)
    if known:
        table = collected.numbers(runs, known)
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
    for name, each in collected.collect(found, known).items():
        with_rows = [section for section in each if section.rows]
        chapter = probes.load(name).chapter(with_rows, folder) if with_rows else None
        if chapter is not None and (told := collected.unlike(name, known)) is not None:
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
    tasks = {section.title for section in found} | {described(study.task, study.task_options) for study in tuned}
    return f"{plural(len(architectures), 'architecture')} on {plural(len(tasks), 'task')}"


def overview(found: Sequence[Section], known: Known, tuned: Sequence[Study] = ()) -> str:
    """How much there is to go by.

    Args:
        found: the sections.
        known: what is known of the models that were probed.
        tuned: the studies.
    """
    tried = sum(len(study.finished) for study in tuned)
    searched = f" {plural(tried, 'finished trial')} in {plural(len(tuned), 'study', 'studies')}." if tuned else ""
    if not found:
        return f"No run on fresh seeds has finished yet.{searched}"
    runs = [run for section in found for run in section.runs]
    seeds = sorted({len(row.runs) for section in found for row in section.rows})
    of_each = plural(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    lost = sum(run.diverged for run in runs)
    said = f"{plural(len(runs), 'finished run')}, {of_each} of each configuration; {lost or 'none'} diverged.{searched}"
    trained = [run for run in runs if not run.diverged]
    probed = sum(run.folder in known for run in trained)
    if probed == len(trained):
        return said
    some = f" {probed} of {plural(len(trained), 'model')} {'is' if probed == 1 else 'are'} probed;" if probed else ""
    return f"{said}{some} `workbench analyze` on this folder adds what {'the others' if probed else 'they'} remember."


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m analysis.report DIR`."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description="Write the report of a comparison.")
    parser.add_argument("out", type=Path, metavar="DIR", help="the folder that the comparison wrote to")
    try:
        print(write(parser.parse_args(arguments).out))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
