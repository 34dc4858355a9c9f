"""The launcher of a command: where the processes are that train its runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from architectures.limits import quote
from workbench.cli.execution import INTERRUPTED
from workbench.cli.options import RunOptions, parse_duration
from workbench.cli.output import warn
from workbench.config import MAX_WORKERS
from workbench.errors import UserError
from workbench.launchers.batch_file import write_batch_file
from workbench.launchers.job_array import EXAMPLE, JobArray, own_command, parse_options
from workbench.validation import check_choice, check_int

if TYPE_CHECKING:
    from workbench.launchers.remote_pool import RemotePool

LauncherName = Literal["local", "slurm", "print"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """Where the processes are that train.

    Args:
        launcher: local: on this machine; slurm: in jobs of SLURM, submitted by submitit, whose work is waited for;
            print: the file for sbatch that starts the same jobs, on the standard output.
        job_count: how many jobs share the runs, each with --workers at the same time, by default one.
        job_time: a time such as 4h or 30m, after which SLURM ends a job; it saves its runs before, and is queued again.
        slurm: further options of sbatch, such as 'partition=gpu;gres=gpu:1'.
    """

    launcher: LauncherName = "local"
    job_count: int = 4
    job_time: str = "4h"
    slurm: str = ""

    def __post_init__(self) -> None:
        check_choice("launcher", self.launcher, LauncherName)
        check_int("job_count", self.job_count, least=1, most=MAX_WORKERS)
        if not isinstance(self.slurm, str):
            raise UserError(f"slurm must be options of sbatch such as {EXAMPLE}, not {quote(self.slurm)}")
        parse_options(self.slurm)
        if self.minutes < 5:
            raise UserError(f"--job-time {self.job_time}: name five minutes at least, as two of them are for saving")

    @property
    def minutes(self) -> int:
        """`job_time` in minutes."""
        return math.ceil(parse_duration(self.job_time, "--job-time") / 60)

    def array(self, name: str, arguments: Sequence[str], options: RunOptions) -> JobArray:
        """Returns the jobs of a command.

        Args:
            name: of the command.
            arguments: as they were typed.
            options: where to train.
        """
        workers = options.workers or 1
        gpus = 1 if options.device == "cuda" else 0
        # The default is as many as there are processors, be they the job's or not.
        words = arguments if options.workers else (*arguments, "--workers", "1")
        return JobArray(
            name=f"workbench-{name}",
            command=own_command(name, words),
            folder=Path.cwd(),
            jobs=self.job_count,
            cpus=workers * options.threads,
            gpus=gpus,
            minutes=self.minutes,
            options=parse_options(self.slurm),
        )


def print_batch_file(array: JobArray) -> int:
    """Prints the file for sbatch; returns the exit status."""
    print(write_batch_file(array, saved=INTERRUPTED), end="")
    return 0


def remote_pool(launch: LaunchOptions, array: JobArray, out: Path) -> "RemotePool | None":
    """Returns what has others train; `None` if this command trains itself.

    Raises:
        UserError: if the launcher cannot be used here.
    """
    if launch.launcher != "slurm":
        return None
    from workbench.launchers.remote_pool import RemotePool
    from workbench.launchers.slurm import SlurmJobs

    jobs = SlurmJobs(array, out)
    jobs.check()
    return RemotePool(out, jobs, warn)
