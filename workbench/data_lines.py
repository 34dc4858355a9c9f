"""Lines about the data of tasks that read files: what it was taken for."""

from collections.abc import Iterable

from workbench import tasks
from workbench.config import Experiment
from workbench.errors import UserError


def describe_data(experiments: Iterable[Experiment]) -> list[str]:
    """Returns a line about the data of each task that is read from a file: what it was taken for.

    Args:
        experiments: what is to be trained.
    """
    lines = []
    parts = {(experiment.task.path, str(experiment.task)): experiment.task for experiment in experiments}
    for part in parts.values():
        try:
            summary = tasks.build(part.name, **part.arguments).summary
        except (UserError, ValueError, TypeError):
            # It was built a moment ago; what is wrong now is told where it is trained.
            continue
        if summary is not None:
            lines.append("".join(char if char.isprintable() else " " for char in summary))
    return lines
