"""Lines about the data, on stderr, before anything is trained: what it was taken for, and what has changed."""

import sys
from collections.abc import Iterable
from pathlib import Path

from workbench import tasks
from workbench.changed_data import describe_changes
from workbench.cli.output import warn
from workbench.config import Experiment
from workbench.errors import UserError


def tell_about_data(experiments: Iterable[Experiment], out: Path) -> None:
    """Prints a line about the data of each task that is read from a file, and one if it has changed since earlier runs.

    Args:
        experiments: what is to be trained.
        out: the folder of results.
    """
    experiments = list(experiments)
    parts = {(experiment.task.path, str(experiment.task)): experiment.task for experiment in experiments}
    for part in parts.values():
        try:
            summary = tasks.build(part.name, **part.arguments).summary
        except (UserError, ValueError, TypeError):
            # It was built a moment ago; what is wrong now is told where it is trained.
            continue
        if summary is not None:
            print("".join(char if char.isprintable() else " " for char in summary), file=sys.stderr)
    for line in describe_changes(experiments, out):
        warn(line)
