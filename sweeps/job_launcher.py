"""The launchers `ray` and `slurm`: workers in jobs elsewhere, which are started and waited for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweeps.storage_retry import with_retries
from sweeps.studies import LoadedStudy
from sweeps.worker import is_done
from workbench.errors import UserError
from workbench.launchers.remote_pool import Jobs

POLL_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class JobLauncher:
    """Starts jobs with workers, and waits until they have finished all trials; then they go on with the final runs.

    Args:
        jobs: what runs `workbench sweep worker`.
        studies: the studies that they work on.
        idle: called about once a second.
        log: receives lines that a user should know.
    """

    jobs: Jobs
    studies: Sequence[LoadedStudy]
    idle: Callable[[], None]
    log: Callable[[str], None]
    stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        """Waits until nothing is left to do in any study, or, once stopped, leaves the jobs.

        Raises:
            UserError: if the jobs cannot be started or are refused, all have ended and trials are left, or the store
                stays out of reach.
        """
        self.log(self.jobs.start())
        while not self.stopping:
            # Asked first: the last job to end may have finished the last trial a moment before.
            ended = self.jobs.ended()
            if with_retries(lambda: all(is_done(study) for study in self.studies), self.log):
                return
            if ended:
                raise UserError(
                    f"all jobs ({self.jobs.names}) have ended, and trials are left; see their output, and run the same "
                    "command again"
                )
            self.idle()
            time.sleep(POLL_SECONDS)
        self.log(self.jobs.leave())

    def stop(self) -> None:
        """Ends the waiting. Safe to call from a signal handler."""
        self.stopping = True

    def kill(self) -> None:
        """Ends the waiting."""
        self.stopping = True
