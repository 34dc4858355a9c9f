"""Lines about the data, on stderr, before anything is trained: what it was taken for, and what has changed."""

import sys
from collections.abc import Iterable
from pathlib import Path

from workbench.changed_data import describe_changes
from workbench.cli.output import warn
from workbench.config import Experiment
from workbench.data_lines import describe_data


def tell_about_data(experiments: Iterable[Experiment], out: Path) -> None:
    """Prints a line about the data of each task that is read from a file, and one if it has changed since earlier runs.

    Args:
        experiments: what is to be trained.
        out: the folder of results.
    """
    experiments = list(experiments)
    for line in describe_data(experiments):
        print(line, file=sys.stderr)
    for line in describe_changes(experiments, out):
        warn(line)
