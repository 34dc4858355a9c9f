"""`workbench import`: unpacks results that `workbench export` has packed, and merges them into a folder."""

from pathlib import Path

from workbench.cli.options import check_required, refuse_inside
from workbench.cli.output import warn
from workbench.cli.parser import Parser

DESCRIPTION = """Merge the results in FILE, which workbench export wrote, into the folder OUT.

Everything is checked first: every file by its size and its SHA-256, every run by its configuration. A damaged file, one
that holds anything else, or a finished run that differs from the one in OUT, is refused, and nothing is changed. Each
run is placed whole or not at all. Of runs that OUT has already, only what is missing is added: results of probes, or
trained weights. A report that OUT has is kept; workbench report makes it again. Nothing in FILE is executed."""

EXAMPLES = """examples:
  workbench import results.tar.gz --out results
  workbench import from-the-cluster.tar.gz --out results && workbench report results
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    check_required(values.as_dict(), "file", "out")
    out = Path(values.out)
    refuse_inside(out)
    from workbench.archive_merge import import_archive

    done = import_archive(Path(values.file), out)
    for path in done.kept:
        warn(f"{out / path} is another in {values.file}: it is kept as it is")
    stale = not done.report_placed and (done.placed or done.completed)
    hint = f"; workbench report {out} makes the report again" if stale else ""
    added = f" ({done.completed} of them got what they lacked)" if done.completed else ""
    print(f"{out}: {done.placed} runs placed, {done.present} were there already{added}{hint}")
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench import", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("file", type=str, nargs="?", help="an archive that workbench export wrote", metavar="FILE")
    parser.add_argument(
        "--out", type=str, default=None, help="the folder of results; it is made if it is missing", metavar="DIR"
    )
    return parser
