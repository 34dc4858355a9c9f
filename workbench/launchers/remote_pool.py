"""The pool of whoever has others train: it watches the folder of results until all runs are finished there."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep
from typing import Protocol

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.process_pool import IDLE_SECONDS
from workbench.run_queue import Listener, RunEvent, RunQueue


class Jobs(Protocol):
    """Processes elsewhere that run the same command."""

    def check(self) -> None:
        """Raises a `UserError` if they cannot be started here; nothing is written."""

    def start(self) -> str:
        """Starts them, and returns a line about them."""

    def ended(self) -> bool:
        """Returns whether none is left that may train. It is asked about twice a second."""

    def leave(self) -> str:
        """Lets them know that nobody waits for them any more; returns a line about what they do then."""

    def close(self, *, finished: bool) -> None:
        """Ends what this process has to do with them.

        Args:
            finished: whether nothing is left to train, and no error has come up here.
        """

    @property
    def started(self) -> bool:
        """Whether `start` was called."""

    @property
    def names(self) -> str:
        """What they are called where they run."""


class RemotePool:
    """Has runs trained by jobs, which are started when there is a run to train.

    Args:
        out: the folder of results.
        jobs: what trains.
        log: receives lines that a user should know.
    """

    def __init__(self, out: Path, jobs: Jobs, log: Callable[[str], None]) -> None:
        self.out, self.jobs, self.log = out, jobs, log
        self.stopping = False

    def run(self, experiments: Sequence[Experiment], listen: Listener) -> None:
        """Waits until all are finished or have failed, or, once stopped, leaves the jobs.

        Args:
            experiments: what is to be run.
            listen: called with each event of each run.

        Raises:
            UserError: if all jobs have ended, and runs are left.
        """
        if not experiments:
            return
        queue = RunQueue(self.out, experiments, listen)
        # What is there before the jobs is not their doing.
        queue.look(taking=False)
        if not self.jobs.started:
            self.log(self.jobs.start())
        while not self.stopping:
            # Asked first: the last job to end may have finished the last run a moment before.
            ended = self.jobs.ended()
            queue.look(taking=False, at_once=ended)
            if not queue.held:
                return
            if ended:
                left = f"{len(queue.held)} of {len(experiments)} runs"
                raise UserError(
                    f"all jobs ({self.jobs.names}) have ended, and {left} are not finished; see their output, and run "
                    "the same command again"
                )
            sleep(IDLE_SECONDS)
        line = self.jobs.leave()
        # Some may have been finished meanwhile.
        queue.look(taking=False, at_once=True)
        for index in queue.drain():
            listen(index, RunEvent(kind="stopped"))
        self.log(line)

    def stop(self) -> None:
        """Ends the waiting. Safe to call from a signal handler."""
        self.stopping = True

    def kill(self) -> None:
        """Ends the waiting."""
        self.stopping = True
