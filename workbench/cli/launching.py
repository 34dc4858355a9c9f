"""The launcher of a command: where the processes are that train its runs."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from architectures.limits import quote
from workbench.cli.execution import INTERRUPTED
from workbench.cli.options import parse_duration
from workbench.cli.output import warn
from workbench.config import MAX_WORKERS
from workbench.errors import UserError
from workbench.launchers.batch_file import write_batch_file
from workbench.launchers.job_array import EXAMPLE, JobArray, own_arguments, parse_options
from workbench.validation import check_choice, check_int, check_number

if TYPE_CHECKING:
    from workbench.launchers.remote_pool import Jobs, RemotePool

LauncherName = Literal["local", "ray", "slurm", "print"]


class ComputeOptions(Protocol):
    """Options of a command that say with what it computes."""

    @property
    def device(self) -> str:
        """The device, or auto."""

    @property
    def workers(self) -> int | None:
        """How many runs or models at the same time; `None` for the default."""

    @property
    def threads(self) -> int:
        """Threads of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """Where the processes are that do the work.

    Args:
        launcher: local: on this machine; ray: in jobs on a Ray cluster, whose work is waited for; slurm: in jobs of
            SLURM, submitted by submitit, likewise; print: the file for sbatch that starts the same jobs, on the
            standard output.
        job_count: how many jobs share the runs, each with --workers at the same time, by default one; by default 4, or
            on Ray as many as there is room for.
        job_time: a time such as 4h or 30m, after which SLURM ends a job; it saves its runs before, and is queued again.
        gpus_per_job: GPUs of a job, 1 or 0, or on Ray a share such as 0.25; by default 1 with --device cuda.
        slurm: further options of sbatch, such as 'partition=gpu;gres=gpu:1'.
        ray_address: of a running Ray cluster, auto or HOST:PORT; by default one is started on this machine.
    """

    launcher: LauncherName = "local"
    job_count: int | None = None
    job_time: str = "4h"
    gpus_per_job: float | None = None
    slurm: str = ""
    ray_address: str | None = None

    def __post_init__(self) -> None:
        check_choice("launcher", self.launcher, LauncherName)
        if self.job_count is not None:
            check_int("job_count", self.job_count, least=1, most=MAX_WORKERS)
        if self.gpus_per_job is not None:
            check_number("gpus_per_job", self.gpus_per_job, least=0)
            if self.gpus_per_job > 1:
                raise UserError(
                    f"gpus_per_job must be at most 1, not {self.gpus_per_job:g}, as a command trains on one GPU; for "
                    "more of them, ask for more jobs (--job-count)"
                )
            if self.gpus_per_job % 1 and self.launcher in ("slurm", "print"):
                raise UserError(
                    "gpus_per_job must be 0 or 1 on SLURM, which shares no GPU between jobs; --workers on one does"
                )
        if not isinstance(self.job_time, str):
            raise UserError(f"job_time must be a time such as 4h, not {quote(self.job_time)}")
        if not isinstance(self.ray_address, str | None):
            raise UserError(f"ray_address must be auto or HOST:PORT, not {quote(self.ray_address)}")
        if self.ray_address is not None and self.launcher != "ray":
            raise UserError("ray_address is given, but the launcher is not ray; add --launcher ray")
        if not isinstance(self.slurm, str):
            raise UserError(f"slurm must be options of sbatch such as {EXAMPLE}, not {quote(self.slurm)}")
        parse_options(self.slurm)
        if self.minutes < 5:
            raise UserError(f"--job-time {self.job_time}: name five minutes at least, as two of them are for saving")

    @property
    def minutes(self) -> int:
        """`job_time` in minutes."""
        return math.ceil(parse_duration(self.job_time, "--job-time") / 60)

    def own_array(self, name: str, arguments: Sequence[str], options: ComputeOptions) -> JobArray:
        """Returns the jobs that run the same command as this process.

        Args:
            name: of the command.
            arguments: as they were typed.
            options: with what it computes.
        """
        # The default is as many as there are processors, be they the job's or not.
        arguments = arguments if options.workers else (*arguments, "--workers", "1")
        return self.array((name, *own_arguments(arguments)), options)

    def array(self, words: Sequence[str], options: ComputeOptions) -> JobArray:
        """Returns the jobs that run a command.

        Args:
            words: the command and its arguments.
            options: with what it computes.

        Raises:
            UserError: if the GPUs of a job are not what the command computes with.
        """
        workers = options.workers or 1
        gpus = self.gpus_per_job
        if gpus is None:
            gpus = 1 if options.device == "cuda" else 0
        elif bool(gpus) != (options.device == "cuda") and options.device != "auto":
            raise UserError(f"gpus_per_job is {gpus:g}, but the device is {options.device}; change one of them")
        return JobArray(
            name=f"workbench-{words[0]}",
            command=(sys.executable, "-m", "workbench", *words),
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


@contextmanager
def remote_pool(launch: LaunchOptions, array: JobArray, out: Path) -> "Iterator[RemotePool | None]":
    """Yields what has others train, while it does so; `None` if this command trains itself.

    Raises:
        UserError: if the launcher cannot be used here.
    """
    with launched_jobs(launch, array, out) as jobs:
        if jobs is None:
            yield None
            return
        from workbench.launchers.remote_pool import RemotePool

        yield RemotePool(out, jobs, warn)


@contextmanager
def launched_jobs(launch: LaunchOptions, array: JobArray, out: Path) -> "Iterator[Jobs | None]":
    """Yields the jobs of an array, which are yet to be started; `None` if this command does its work itself.

    Args:
        launch: names the launcher.
        array: the jobs.
        out: the folder of results.

    Raises:
        UserError: if the launcher cannot be used here.
    """
    jobs: Jobs
    if launch.launcher == "ray":
        from workbench.launchers.ray_jobs import RayJobs

        jobs = RayJobs(array, out, launch.ray_address, warn)
    elif launch.launcher == "slurm":
        from workbench.launchers.slurm import SlurmJobs

        jobs = SlurmJobs(array, out)
    else:
        yield None
        return
    jobs.check()
    finished = False
    try:
        yield jobs
        finished = True
    finally:
        jobs.close(finished=finished)
