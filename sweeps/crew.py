"""Workers on this machine, side by side in processes; one that dies is replaced."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from sweeps.hand import Event, work
from sweeps.worker import Order
from workbench.errors import UserError
from workbench.processes import STOP, ending, hire

STILLBORN = 5
"""Processes in a row that may die before they are ready: something is wrong with all of them."""


@dataclass(slots=True, kw_only=True)
class Hand:
    """A process, and the trial it is at."""

    process: BaseProcess
    place: int
    """Among those side by side, counted from 0; that of one that died goes to the one that replaces it."""
    ready: bool = False
    study: str = ""
    number: int = -1


@dataclass(slots=True, kw_only=True)
class Crew:
    """Keeps `workers` processes at work on an order until nothing is left.

    Args:
        order: what each of them does.
        workers: how many.
        tell: told the place of the worker and what it tells.
        lost: told the study and the number of a trial whose process died.
        idle: called about twice a second.
    """

    order: Order
    workers: int
    tell: Callable[[int, Event], None]
    lost: Callable[[str, int, str], None] = lambda study, number, how: None
    idle: Callable[[], None] = lambda: None
    stopping: bool = field(default=False, init=False)
    _hands: dict[Connection, Hand] = field(default_factory=dict, init=False)
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
                    connection, process = hire(work, self.order, threads=self.order.threads)
                    taken = {hand.place for hand in self._hands.values()}
                    place = next(place for place in range(self.workers) if place not in taken)
                    self._hands[connection] = Hand(process=process, place=place)
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
            event: Event = connection.recv()
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

    def _bury(self, connection: Connection, hand: Hand) -> None:
        hand.process.join()
        del self._hands[connection]
        if self._over or self.stopping:
            return
        how = ending(hand.process.exitcode or 0)
        if hand.study:
            self.lost(hand.study, hand.number, how)
            self.tell(hand.place, Event(kind="ended"))
        if not hand.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                self._refused = f"{STILLBORN} workers in a row could not start: {how}"
                self.stop()
