"""A worker in a process of its own, and what it tells the one that started it."""

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal

from sweeps.endings import SpentError
from sweeps.worker import Listener, Order, Worker
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line
from workbench.memory import keep_memory
from workbench.processes import Told, end_with_parent

TELL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a worker tells."""

    kind: Literal["ready", "begun", "step", "ended", "note", "refused", "over"]
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
        note=lambda text: line.send(Event(kind="note", text=text)),
    )
    line.send(Event(kind="ready"))
    try:
        Worker(order=order, listener=listener).run()
    except SpentError:
        # Without a word of an end: whoever started this process starts another.
        pass
    except UserError as error:
        line.send(Event(kind="refused", text=str(error)))
    except OSError as error:
        line.send(Event(kind="refused", text=f"{one_line(error)}; free the way, then run the same command again"))
    except Exception as error:
        line.send(Event(kind="refused", text=f"a worker failed: {type(error).__name__}: {one_line(error)}"))
    else:
        if not line.stopped():
            line.send(Event(kind="over"))


class _Line(Told):
    """The worker's end of the connection."""

    _told = 0.0

    def begun(self, study: str, number: int, experiment: Experiment) -> None:
        self.send(Event(kind="begun", study=study, number=number, steps=experiment.budget.steps))

    def progress(self, step: int) -> None:
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            self.send(Event(kind="step", steps=step))
