"""`workbench sweep status`: how far a sweep has come."""

import sys
import time

from sweeps.retry import with_retries
from sweeps.worker import is_complete
from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.load import find_sweep, with_folder
from workbench.cli.sweep.output import clock_time, status_table

DESCRIPTION = """How many trials are finished, running, waiting, pruned, diverged and failed; the best; the time left.

Finished counts what was pruned or diverged too. The table is read from the store, so every machine shows the same."""

EXAMPLES = """examples:
  workbench sweep status tuned
  workbench sweep status tuned --watch
  workbench sweep status --storage postgresql+psycopg://me@host/sweeps
"""
WATCH_SECONDS = 2.0
CLEAR = "\033[H\033[2J"


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    found = find_sweep(values.dir, values.storage)
    while True:
        table = with_retries(lambda: status_table(found.snapshots()), warn)
        if not values.watch:
            print(table)
            return 0
        if sys.stdout.isatty():
            print(CLEAR, end="")
        print(f"{clock_time()}\n{table}", flush=True)
        if with_retries(lambda: all(is_complete(opened) for opened in found.studies), warn):
            return 0
        time.sleep(WATCH_SECONDS)


def parser() -> Parser:
    """The command's options."""
    made = with_folder(Parser(prog="workbench sweep status", description=DESCRIPTION, examples=EXAMPLES))
    made.add_argument("--watch", action="store_true", help="again every two seconds, until all is done")
    return made
