"""The report of a comparison: one page that stands alone, its figures as files, and a table of all runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import provenance, reading, tables
from analysis.blocks import Chapter
from analysis.chapters import task_chapter
from analysis.formats import plural
from analysis.groups import Section, sections
from workbench.errors import UserError
from workbench.files import write_text
from workbench.results import finished


def write(out: Path) -> Path:
    """Writes `report.html`, `comparison.csv` and `figures/` into a comparison's folder, from its finished runs.

    The same runs give the same bytes, the PNG files apart.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: if the folder has no finished runs, or one that cannot be read.
    """
    runs = list(finished(out))
    if not runs:
        raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")
    found = sections(runs)
    chapters = [
        *(task_chapter(section, out / "figures") for section in found),
        reading.chapter(),
        provenance.configurations(found),
        provenance.machines(found),
    ]
    write_text(out / "comparison.csv", tables.comparison(runs).to_csv(index=False, lineterminator="\n"))
    page = out / "report.html"
    write_text(page, render(title(found), overview(found), chapters))
    return page


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


def title(found: Sequence[Section]) -> str:
    """What was compared."""
    architectures = {row.experiment.architecture.name for section in found for row in section.rows}
    return f"{plural(len(architectures), 'architecture')} on {plural(len(found), 'task')}"


def overview(found: Sequence[Section]) -> str:
    """How much there is to go by."""
    runs = [run for section in found for run in section.runs]
    seeds = sorted({len(row.runs) for section in found for row in section.rows})
    of_each = plural(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    lost = sum(run.diverged for run in runs)
    return f"{plural(len(runs), 'finished run')}, {of_each} of each configuration; {lost or 'none'} diverged."


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
