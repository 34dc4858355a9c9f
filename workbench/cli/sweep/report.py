"""`workbench sweep report`: the report of what has been found so far."""

from pathlib import Path

from sweeps import export
from sweeps.retry import with_retries
from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.load import find_sweep, with_folder
from workbench.cli.wandb_mirror import renew
from workbench.errors import UserError

DESCRIPTION = """Write DIR/report.html, DIR/tuning.csv, DIR/figures and DIR/tables.

From the trials in the store and all finished runs below DIR; it can be made while the sweep is still running."""

EXAMPLES = """examples:
  workbench sweep report tuned
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    if values.dir is None:
        raise UserError("name the folder of a sweep: workbench sweep report DIR")
    found = find_sweep(values.dir, values.storage)
    out = Path(values.dir)
    with_retries(lambda: [export.write_studies(out, opened, found.seeds) for opened in found.studies], warn)
    from analysis.report.build import write

    print(write(out))
    renew(out)
    return 0


def parser() -> Parser:
    """The command's options."""
    return with_folder(Parser(prog="workbench sweep report", description=DESCRIPTION, examples=EXAMPLES))
