"""`workbench sweep status`: a table of the progress of each study."""

import sys
import time

from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.storage_options import add_location_options

DESCRIPTION = """Show the trials of each study by state, with the best loss and the time left.

Finished trials include those that were pruned or diverged. The table is read from the store, so every machine shows the
same."""

EXAMPLES = """examples:
  workbench sweep status tuned
  workbench sweep status tuned --watch
  workbench sweep status --storage postgresql+psycopg://me@host/sweeps
"""
WATCH_SECONDS = 2.0
CLEAR_SCREEN = "\033[H\033[2J"


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    from sweeps.storage_retry import with_retries
    from sweeps.worker import is_done
    from workbench.cli.sweep.open_sweep import load_sweep
    from workbench.cli.sweep.output import clock_time, status_table

    sweep = load_sweep(values.dir, values.storage)
    while True:
        table = with_retries(lambda: status_table(sweep.snapshots()), warn)
        if not values.watch:
            print(table)
            return 0
        if sys.stdout.isatty():
            print(CLEAR_SCREEN, end="")
        print(f"{clock_time()}\n{table}", flush=True)
        if with_retries(lambda: all(is_done(study) for study in sweep.studies), warn):
            return 0
        time.sleep(WATCH_SECONDS)


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = add_location_options(Parser(prog="workbench sweep status", description=DESCRIPTION, examples=EXAMPLES))
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until all is done")
    return parser
