"""Runs that were trained on what a file, or the code of a task, no longer holds: they stay, and others are trained."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.config import Experiment, Part
from workbench.custom_parts import is_custom, split_revision
from workbench.errors import UserError
from workbench.experiment_file import read_experiment
from workbench.run_folder import run_path


def describe_changes(experiments: Iterable[Experiment], out: Path) -> list[str]:
    """Returns a line for each task whose data, or code, has changed since all runs of it in a folder of results.

    Args:
        experiments: what is to be trained.
        out: the folder of results.
    """
    tasks = {(task.name, str(task.options)): task for task in (experiment.task for experiment in experiments)}
    lines = []
    for task in tasks.values():
        earlier = list(same_but_for_source(task, out))
        changed = {what for source, _ in earlier if (what := what_differs(task, source)) is not None}
        if not changed or any(source == task.source for source, _ in earlier):
            continue
        count = sum(runs for _, runs in earlier)
        what = "code and the data" if len(changed) > 1 else changed.pop()
        runs, kept = ("the run", "it is") if count == 1 else (f"the {count} runs", "they are")
        lines.append(
            f"the {what} of {task.name} changed since {runs} of it in {out}: {kept} kept, and with what is there now "
            "it is trained anew"
        )
    return lines


def what_differs(task: Part, source: str | None) -> str | None:
    """Returns what a task was trained with otherwise, code or data; `None` if neither, or if it cannot be told.

    Args:
        task: as it is now.
        source: of a run of the same name and options.
    """
    now, before = split_revision(task.source)[1] or "", split_revision(source)[1] or ""
    if now == before:
        return None
    if not is_custom(task.name):
        return "data"
    return "code" if now.partition("-")[0] != before.partition("-")[0] else "data"


def same_but_for_source(task: Part, out: Path) -> Iterator[tuple[str | None, int]]:
    """Yields the source of every configuration of a task with the same options, and the number of its finished runs."""
    try:
        identities = sorted(run_path(out, task.name, "*", "*", 0).parents[2].glob("*/*"))
    except OSError:
        # A folder that cannot be read is refused where results are written.
        return
    for identity in identities:
        finished = sorted(identity.glob("seed-*/result.json"))
        if not finished:
            continue
        try:
            there = read_experiment(finished[0].with_name("config.yaml")).task
        except UserError:
            # It is refused where it is read.
            continue
        if there.name == task.name and there.options == task.options:
            yield there.source, len(finished)
