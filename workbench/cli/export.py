"""`workbench export`: packs results into one file."""

from pathlib import Path

from workbench.cli.options import check_required, existing_folder
from workbench.cli.output import format_bytes, warn
from workbench.cli.parser import Parser
from workbench.errors import UserError

DESCRIPTION = """Pack the results in DIR into one file, which workbench import merges into a folder on another machine.

It holds every finished run (configuration, metrics, result, timing, results of probes), the comparisons, the studies of
a sweep and its sweep.db, the results of workbench analyze --untrained, and the report with its figures and tables.
Trained weights go along with --checkpoints; unfinished runs and W&B records stay here. A manifest lists every file with
its size and its SHA-256. The same results give the same bytes."""

EXAMPLES = """examples:
  workbench export results --to results.tar.gz
  workbench export results --to results.tar.gz --checkpoints     (to probe the models there, too)
  workbench import results.tar.gz --out results                  (on the other machine)
"""
SUFFIXES = (".tar.gz", ".tgz")


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    check_required(values.as_dict(), "dir", "to")
    target, out = check_target(values.to), existing_folder(values.dir)
    from workbench.archive_writer import write_archive

    export = write_archive(out, target, checkpoints=values.checkpoints)
    if export.unfinished:
        warn(f"{export.unfinished} unfinished runs are left out")
    print(f"{target}: {export.runs} finished runs, {export.files} files, {format_bytes(export.bytes)}")
    return 0


def check_target(path: str) -> Path:
    """Returns the file that the archive is to be written to.

    Raises:
        UserError: if it has another suffix, exists, or is in a folder that does not.
    """
    target = Path(path)
    if not path.endswith(SUFFIXES) or target.name in SUFFIXES:
        raise UserError(f"--to names the archive, FILE{' or FILE'.join(SUFFIXES)}, not {path!r}")
    if target.exists():
        raise UserError(f"{target} exists already; name another file, or remove it first")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}, which --to names")
    return target


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench export", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, nargs="?", help="the folder that was named as --out", metavar="DIR")
    parser.add_argument("--to", type=str, default=None, help="the archive, which must not exist yet", metavar="FILE")
    parser.add_argument("--checkpoints", action="store_true", help="with the trained weights")
    return parser
