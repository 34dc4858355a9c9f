"""An array of jobs, each of which runs the same command: they share its work through the folder of results."""

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UserError

OPTION = re.compile(r"(?P<name>[a-z][a-z0-9-]*)=(?P<value>[\w.,:/@%+*\[\]|&!()-]+)")
"""An option of sbatch and its value, in which nothing ends a line or begins a comment."""
JOBS_FOLDER = "jobs"
"""Folder, in that of results, of what jobs write: the output of each, and what started it."""
DEFAULT_JOBS = 4
"""Number of jobs for a batch system, which cannot say how many it has room for."""
EXAMPLE = "'partition=gpu;gres=gpu:1'"
OWN_OPTIONS = frozenset(
    {"array", "chdir", "cpus-per-task", "job-name", "open-mode", "requeue", "signal", "time", "wrap"}
)
"""Options that the launcher gives itself."""
LAUNCH_OPTIONS = frozenset({"--launcher", "--job-count", "--job-time", "--gpus-per-job", "--slurm", "--ray-address"})
"""Options of a command that are not for its jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArray:
    """Jobs that run the same command, each with so many processors and for so long.

    Args:
        name: of the jobs.
        command: words of the command line.
        folder: where it is run.
        jobs: how many; `None` for as many as there is room for.
        cpus: processors of each.
        gpus: GPUs of each, or a share of one.
        minutes: after which the batch system ends a job.
        options: further ones of sbatch, with their values.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    jobs: int | None
    cpus: int
    gpus: float
    minutes: int
    options: tuple[tuple[str, str], ...] = ()


def own_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Returns the arguments with which a job runs the same command as this process: it does the work itself.

    Args:
        arguments: as they were typed.
    """
    words = list(drop_options(arguments, LAUNCH_OPTIONS))
    if any(word.partition("=")[0] == "--config" for word in words):
        # What the file says of the launcher is not for the jobs; what comes last counts.
        words += ["--ray-address", "null", "--launcher", "local"]
    return tuple(words)


def drop_options(arguments: Sequence[str], names: Collection[str]) -> Iterator[str]:
    """Yields the words of a command line without some options and their values.

    Args:
        arguments: the words.
        names: of the options, with dashes.
    """
    words = iter(arguments)
    for word in words:
        option, equals, _ = word.partition("=")
        if option not in names:
            yield word
        elif not equals:
            next(words, None)


def parse_options(text: str) -> tuple[tuple[str, str], ...]:
    """Returns options of sbatch from a text such as partition=gpu;gres=gpu:1.

    Raises:
        UserError: if it is not that, or names an option that the launcher gives itself.
    """
    options = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = OPTION.fullmatch(part)
        if match is None:
            raise UserError(f"slurm must be options of sbatch such as {EXAMPLE}, not {part!r}")
        if match["name"] in OWN_OPTIONS:
            raise UserError(
                f"slurm: {match['name']} is given by the launcher; see --job-count, --job-time and --workers"
            )
        options.append((match["name"], match["value"]))
    return tuple(options)


def join_words(words: Sequence[str]) -> str:
    """Returns words as a line for a shell, of which no word is anything but itself."""
    return shlex.join(words)
