"""Workers on this machine, side by side in processes; one that dies is replaced."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Literal

from sweeps.objective import WorkerUnusableError
from sweeps.worker import TrialListener, TrialWorker, WorkerConfig
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line
from workbench.malloc import keep_memory
from workbench.process_pool import STOP, WorkerConnection, describe_exit, end_with_parent, start_process

MAX_FAILED_STARTS = 5
"""Processes in a row that may die before they are ready: something is wrong with all of them."""


@dataclass(slots=True, kw_only=True)
class WorkerProcess:
    """A process, and the trial it is at."""

    process: BaseProcess
    place: int
    """Among those side by side, counted from 0; that of one that died goes to the one that replaces it."""
    ready: bool = False
    study: str = ""
    number: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """Something that a worker tells."""

    kind: Literal["ready", "begun", "step", "ended", "note", "refused", "over"]
    study: str = ""
    number: int = -1
    steps: int = 0
    text: str = ""


@dataclass(slots=True, kw_only=True)
class LocalLauncher:
    """Keeps `workers` processes at work on an order until nothing is left.

    Args:
        order: what each of them does.
        workers: how many.
        tell: told the place of the worker and what it tells.
        lost: told the study and the number of a trial whose process died.
        idle: called about twice a second.
    """

    order: WorkerConfig
    workers: int
    tell: Callable[[int, TrialEvent], None]
    lost: Callable[[str, int, str], None] = lambda study, number, how: None
    idle: Callable[[], None] = lambda: None
    stopping: bool = field(default=False, init=False)
    _hands: dict[Connection, WorkerProcess] = field(default_factory=dict, init=False)
    _over: bool = field(default=False, init=False)
    _stillborn: int = field(default=0, init=False)
    _refused: str = field(default="", init=False)

    def run(self) -> None:
        """Works until a worker finds nothing left to do, or, once stopped, until all have put their trials down.

        Raises:
            UserError: if one of them says that something other than its trial is wrong.
        """
        try:
            while True:
                while len(self._hands) < self.workers and not (self.stopping or self._over):
                    connection, process = start_process(run_worker, self.order, threads=self.order.threads)
                    taken = {hand.place for hand in self._hands.values()}
                    place = next(place for place in range(self.workers) if place not in taken)
                    self._hands[connection] = WorkerProcess(process=process, place=place)
                    if self.stopping:
                        # While it was being started, so that it was not among those who were told.
                        self._tell_to_stop(connection)
                if not self._hands:
                    break
                ready = wait(list(self._hands), timeout=0.5)
                for connection in [each for each in self._hands if each in ready]:
                    self._hear(connection)
                self.idle()
        finally:
            for hand in self._hands.values():
                hand.process.kill()
            for hand in self._hands.values():
                hand.process.join()
            self._hands.clear()
        if self._refused:
            raise UserError(self._refused)

    def stop(self) -> None:
        """Asks every worker to put its trial down. Safe to call from a signal handler, once."""
        self.stopping = True
        for connection in list(self._hands):
            self._tell_to_stop(connection)

    def kill(self) -> None:
        """Ends every process at once."""
        for hand in self._hands.values():
            hand.process.kill()

    def _tell_to_stop(self, connection: Connection) -> None:
        with suppress(OSError):
            connection.send(STOP)

    def _hear(self, connection: Connection) -> None:
        hand = self._hands[connection]
        try:
            event: TrialEvent = connection.recv()
        except (EOFError, OSError):
            self._bury(connection, hand)
            return
        hand.ready = True
        self._stillborn = 0
        if event.kind == "begun":
            hand.study, hand.number = event.study, event.number
        elif event.kind == "ended":
            hand.study, hand.number = "", -1
        elif event.kind == "over":
            self._over = True
        elif event.kind == "refused":
            self._refused = self._refused or event.text
            self.stop()
        self.tell(hand.place, event)

    def _bury(self, connection: Connection, hand: WorkerProcess) -> None:
        hand.process.join()
        del self._hands[connection]
        if self._over or self.stopping:
            return
        how = describe_exit(hand.process.exitcode or 0)
        if hand.study:
            self.lost(hand.study, hand.number, how)
            self.tell(hand.place, TrialEvent(kind="ended"))
        if not hand.ready:
            self._stillborn += 1
            if self._stillborn >= MAX_FAILED_STARTS:
                self._refused = f"{MAX_FAILED_STARTS} workers in a row could not start: {how}"
                self.stop()


REPORT_SECONDS = 0.2


def run_worker(connection: Connection, order: WorkerConfig) -> None:
    """A worker's process."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Before PyTorch takes its first memory.
    keep_memory()
    line = _TrialConnection(connection)
    listener = TrialListener(
        stop=line.stopped,
        begun=line.begun,
        progress=line.progress,
        ended=lambda: line.send(TrialEvent(kind="ended")),
        note=lambda text: line.send(TrialEvent(kind="note", text=text)),
    )
    line.send(TrialEvent(kind="ready"))
    try:
        TrialWorker(order=order, listener=listener).run()
    except WorkerUnusableError:
        # Without a word of an end: whoever started this process starts another.
        pass
    except UserError as error:
        line.send(TrialEvent(kind="refused", text=str(error)))
    except OSError as error:
        line.send(TrialEvent(kind="refused", text=f"{one_line(error)}; free the way, then run the same command again"))
    except Exception as error:
        line.send(TrialEvent(kind="refused", text=f"a worker failed: {type(error).__name__}: {one_line(error)}"))
    else:
        if not line.stopped():
            line.send(TrialEvent(kind="over"))


class _TrialConnection(WorkerConnection):
    """The worker's end of the connection."""

    _told = 0.0

    def begun(self, study: str, number: int, experiment: Experiment) -> None:
        self.send(TrialEvent(kind="begun", study=study, number=number, steps=experiment.budget.steps))

    def progress(self, step: int) -> None:
        if time.monotonic() - self._told > REPORT_SECONDS:
            self._told = time.monotonic()
            self.send(TrialEvent(kind="step", steps=step))
