"""The launcher `print`: waits for workers that the user starts by a command, on a cluster or by hand."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweeps.storage_retry import with_retries
from sweeps.studies import LoadedStudy
from sweeps.worker import is_done

POLL_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class ManualLauncher:
    """Waits for workers that are started elsewhere.

    Args:
        command: the command that starts one.
        studies: the studies that they work on.
        idle: called about once a second.
        log: receives the command, and lines that a user should know.
    """

    command: str
    studies: Sequence[LoadedStudy]
    idle: Callable[[], None]
    log: Callable[[str], None]
    stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        """Waits until nothing is left to do in any study, or until it is stopped.

        Raises:
            UserError: if the store stays out of reach.
        """
        self.log("start as many workers as you like, wherever the store and the folder can be reached:")
        self.log(self.command)
        while not self.stopping and not with_retries(lambda: all(is_done(study) for study in self.studies), self.log):
            self.idle()
            time.sleep(POLL_SECONDS)
        if self.stopping:
            self.log("no longer waiting for the workers; those that were started continue until no trial is left")

    def stop(self) -> None:
        """Ends the waiting; the workers continue."""
        self.stopping = True

    def kill(self) -> None:
        """Ends the waiting."""
        self.stopping = True
