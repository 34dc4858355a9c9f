"""Jobs of SLURM, submitted by submitit: one that is preempted or out of time saves its runs and is queued again."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.files import describe_error
from workbench.launchers.batch_file import WARNING_SECONDS
from workbench.launchers.job_array import DEFAULT_JOBS, JOBS_FOLDER, JobArray

POLL_SECONDS = 0.2
MAX_TIMEOUTS = 1000
"""How often a job that is out of time is queued again: the runs, not the queue, say when it is over."""


class CommandJob:
    """A call that runs a command in a process of its own. submitit pickles it.

    Args:
        command: words of the command line.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = tuple(command)
        self._pid = 0

    def __call__(self) -> int:
        """Runs the command, and returns its exit status."""
        process = subprocess.Popen(self.command)
        self._pid = process.pid
        # Not `wait`: it would hold a lock while a signal is handled, and `checkpoint` has to wait, too.
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
        return process.returncode

    def checkpoint(self) -> Any:
        """Lets the command save its runs, and returns the call that goes on with them. submitit asks on a signal."""
        from submitit.helpers import DelayedSubmission

        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGTERM)
            # It stays for the other wait.
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(CommandJob(self.command))


class SlurmJobs:
    """The jobs of an array.

    Args:
        array: the jobs.
        out: the folder of results.
        cluster: slurm; or local, processes on this machine, with which the rest can be tried.
    """

    def __init__(self, array: JobArray, out: Path, cluster: str = "slurm") -> None:
        self.array, self.cluster = array, cluster
        self.folder = (out / JOBS_FOLDER).absolute()
        self._jobs: list[Any] = []

    def check(self) -> None:
        """Makes sure that jobs can be submitted here.

        Raises:
            UserError: if submitit or SLURM is missing.
        """
        if find_spec("submitit") is None:
            raise UserError("--launcher slurm needs submitit: pip install 'sequence-workbench[slurm]'")
        import submitit

        if self.cluster == "slurm" and submitit.SlurmExecutor.affinity() <= 0:
            raise UserError(
                "there is no SLURM here, as there is no srun; be on one of its machines, or take --launcher print"
            )

    def start(self) -> str:
        """Submits the jobs, once, and returns a line about them.

        Raises:
            UserError: if the batch system refuses them.
        """
        import submitit

        array, jobs = self.array, self.array.jobs or DEFAULT_JOBS
        executor = submitit.AutoExecutor(self.folder, cluster=self.cluster, slurm_max_num_timeout=MAX_TIMEOUTS)
        parameters: dict[str, Any] = {
            "name": array.name,
            "timeout_min": array.minutes,
            "cpus_per_task": array.cpus,
            "gpus_per_node": int(array.gpus),
            "slurm_signal_delay_s": WARNING_SECONDS,
        }
        if array.options:
            parameters["slurm_additional_parameters"] = {name.replace("-", "_"): value for name, value in array.options}
        try:
            executor.update_parameters(**parameters)
            with executor.batch():
                self._jobs = [executor.submit(CommandJob(array.command)) for _ in range(jobs)]
        except (OSError, ValueError, RuntimeError, subprocess.CalledProcessError) as error:
            raise UserError(f"the jobs could not be submitted: {describe_error(error)}") from None
        return f"{jobs} jobs are submitted, {self.names}; their output is in {self.folder}"

    @property
    def started(self) -> bool:
        """Whether they have been submitted."""
        return bool(self._jobs)

    @property
    def names(self) -> str:
        """The number by which the batch system knows the jobs."""
        return str(self._jobs[0].job_id).partition("_")[0] if self._jobs else ""

    def ended(self) -> bool:
        """Returns whether no job is left that may train."""
        return all(job.done() for job in self._jobs)

    def leave(self) -> str:
        """Leaves the jobs to themselves, and returns a line about them."""
        return f"no longer waiting; the jobs ({self.names}) go on until no run is left"

    def close(self, *, finished: bool) -> None:
        """Does nothing: the jobs are not this process's."""
