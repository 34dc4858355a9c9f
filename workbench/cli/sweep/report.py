"""`workbench sweep report`: writes the report of a sweep, which may still be running."""

from pathlib import Path

from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.storage_options import add_location_options
from workbench.cli.wandb_mirror import update_mirror
from workbench.errors import UserError

DESCRIPTION = """Write DIR/report.html, DIR/tuning.csv, DIR/figures and DIR/tables.

From the trials in the store and all finished runs below DIR; it can be written while the sweep is still running."""

EXAMPLES = """examples:
  workbench sweep report tuned
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    if values.dir is None:
        raise UserError("name the folder of a sweep: workbench sweep report DIR")
    from analysis.report.build import write_report
    from sweeps import export
    from sweeps.storage_retry import with_retries
    from workbench.cli.sweep.open_sweep import load_sweep

    sweep = load_sweep(values.dir, values.storage)
    out = Path(values.dir)
    with_retries(lambda: [export.write_study(out, study, sweep.seeds) for study in sweep.studies], warn)
    print(write_report(out))
    update_mirror(out)
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    return add_location_options(Parser(prog="workbench sweep report", description=DESCRIPTION, examples=EXAMPLES))
