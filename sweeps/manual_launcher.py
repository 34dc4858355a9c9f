"""Workers that somebody else starts: on a cluster, or by hand."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweeps.retry import with_retries
from sweeps.studies import LoadedStudy
from sweeps.worker import is_complete

LOOK_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class ManualLauncher:
    """Waits for workers that are started elsewhere.

    Args:
        command: what starts one.
        studies: what they work on.
        idle: called about once a second.
        say: told the command.
    """

    command: str
    studies: Sequence[LoadedStudy]
    idle: Callable[[], None]
    say: Callable[[str], None]
    stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        """Waits until no study has anything left to do, or until it is stopped.

        Raises:
            UserError: if the store stays out of reach.
        """
        self.say("start as many workers as you like, wherever the store and the folder can be reached:")
        self.say(self.command)
        while not self.stopping and not with_retries(
            lambda: all(is_complete(opened) for opened in self.studies), self.say
        ):
            self.idle()
            time.sleep(LOOK_SECONDS)
        if self.stopping:
            self.say("nobody waits for the workers any longer; those that were started go on until nothing is left")

    def stop(self) -> None:
        """Ends the waiting; the workers go on."""
        self.stopping = True

    def kill(self) -> None:
        """Ends the waiting."""
        self.stopping = True
