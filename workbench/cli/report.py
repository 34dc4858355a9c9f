"""`workbench report`: writes the report of a folder of results again, or sets two folders side by side."""

from pathlib import Path
from typing import Any

from workbench.cli.options import existing_folder
from workbench.cli.output import align_columns
from workbench.cli.parser import Parser
from workbench.cli.wandb_mirror import update_mirror
from workbench.errors import UserError
from workbench.files import ensure_writable

DESCRIPTION = """Write DIR/report.html, DIR/comparison.csv and DIR/figures from all finished runs below DIR.

With two folders, show what changed from the first, the base, to the second: losses, seeds that solved the task, seconds
a step, settings, and runs that should have given the same results. The table is printed, and a page is written. The
reports of the two folders stay as they are."""
EXAMPLES = """examples:
  workbench report results
  workbench report results --format svg,png,pdf --palette colorblind
  workbench report before after --out changes.html
"""
MAX_FOLDERS = 2


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    if len(values.dir) > MAX_FOLDERS:
        raise UserError(f"name one folder, or two to set side by side, not {len(values.dir)}")
    folders = [existing_folder(path) for path in values.dir]
    if len(folders) == MAX_FOLDERS:
        return compare_reports(folders[0], folders[1], values)
    if values.out is not None:
        raise UserError("--out goes with two folders; the report of one is in that folder")
    return write_again(folders[0], values)


def write_again(out: Path, values: Any) -> int:
    """Writes the report of a folder; returns the exit status."""
    from analysis import palettes, style

    formats = style.DEFAULT_FORMATS if values.format is None else style.parse_formats(values.format)
    palettes.check_palette(values.palette)
    ensure_writable(out)
    from analysis.report.build import write_report

    with palettes.use_palette(values.palette), style.use_formats(formats):
        print(write_report(out))
    update_mirror(out)
    return 0


def compare_reports(base: Path, other: Path, values: Any) -> int:
    """Prints what changed from one folder to another, and writes the page; returns the exit status."""
    from analysis import palettes
    from analysis.report import changes, side_by_side

    if base.samefile(other):
        raise UserError(f"{base} and {other} are the same folder; name two to set side by side")
    if values.format is not None:
        raise UserError("--format goes with one folder: side by side there are no figures")
    page = side_by_side.default_page(base, other) if values.out is None else Path(values.out)
    with palettes.use_palette(values.palette):
        found = changes.compare_folders(base, other)
        side_by_side.check_page(page, [base, other])
        side_by_side.write_page(page, base, other, found)
    print(f"A: {base}\nB: {other}\n")
    for task, rows in side_by_side.text_tables(found):
        print(f"{task}\n{align_columns(rows, left=(0, len(rows[0]) - 1))}\n")
    print("\n".join(side_by_side.describe_changes(found)))
    for line in side_by_side.describe_missing(found):
        print(line)
    print(side_by_side.describe_repeated(found))
    for run in found.unequal:
        print(f"  {side_by_side.describe_unequal(run)}")
    print(page)
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench report", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "dir", nargs="+", type=str, help="the folder that was named as --out; or two, the base first", metavar="DIR"
    )
    parser.add_argument(
        "--format",
        type=str | None,
        default=None,
        help="formats of the files in DIR/figures: svg, png, pdf, or several with commas; by default svg,png",
        metavar="FORMATS",
    )
    parser.add_argument(
        "--palette",
        type=str,
        default="workbench",
        help="colors of figures and tables: workbench, one that color-blind people can tell apart; grey, for print; or "
        "a qualitative palette of seaborn or matplotlib, such as colorblind or tab10",
        metavar="NAME",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="the page on two folders; by default report-against-A.html in the second, A the name of the first",
        metavar="FILE",
    )
    return parser
