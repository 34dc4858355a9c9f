"""A worker in a process of its own, and what it tells the one that started it."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from sweeps.worker import Listener, Order, Worker
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line
from workbench.memory import keep_memory
from workbench.processes import end_with_parent

STOP = "stop"
"""What the parent says when the trial under way shall be put down."""
ASK_SECONDS = 0.1
TELL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a worker tells."""

    kind: Literal["ready", "begun", "step", "ended", "failed", "note", "refused", "over"]
    study: str = ""
    number: int = -1
    steps: int = 0
    text: str = ""


def work(connection: Connection, order: Order) -> None:
    """A worker's process."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Before PyTorch takes its first memory.
    keep_memory()
    line = _Line(connection)
    listener = Listener(
        stop=line.stopped,
        begun=line.begun,
        progress=line.progress,
        ended=lambda: line.send(Event(kind="ended")),
        failed=lambda text: line.send(Event(kind="failed", text=text)),
        note=lambda text: line.send(Event(kind="note", text=text)),
    )
    line.send(Event(kind="ready"))
    try:
        Worker(order=order, listener=listener).run()
    except UserError as error:
        line.send(Event(kind="refused", text=str(error)))
    except OSError as error:
        line.send(Event(kind="refused", text=f"{one_line(error)}; free the way, then run the same command again"))
    except Exception as error:
        line.send(Event(kind="refused", text=f"a worker failed: {type(error).__name__}: {one_line(error)}"))
    else:
        if not line.stopped():
            line.send(Event(kind="over"))


class _Line:
    """The worker's end of the connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._asked = self._told = 0.0
        self._stopped = False

    def send(self, event: Event) -> None:
        # If nobody listens any more, this process is about to end; the trial is not to blame.
        with suppress(OSError):
            self.connection.send(event)

    def begun(self, study: str, number: int, experiment: Experiment) -> None:
        self.send(Event(kind="begun", study=study, number=number, steps=experiment.budget.steps))

    def progress(self, step: int) -> None:
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            self.send(Event(kind="step", steps=step))

    def stopped(self) -> bool:
        """Whether the parent has said to stop; looked up at most a few times a second, since every step asks."""
        now = time.monotonic()
        if not self._stopped and now - self._asked > ASK_SECONDS:
            self._asked = now
            try:
                self._stopped = self.connection.poll() and self.connection.recv() == STOP
            except (EOFError, OSError):
                # Whoever started it is no more. This process is about to end, with its trial put down if there is time.
                self._stopped = True
        return self._stopped
