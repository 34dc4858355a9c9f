"""Workers on a Ray cluster, a process each; one that dies with its node is replaced elsewhere."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sweeps.ray_cluster import OVER, SPENT, STOPPED, ConnectionLostError, RayCluster, join
from sweeps.storage_url import absolute_url, read_url
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

WAIT_SECONDS = 1.0
MAX_FAILED_STARTS = 5
"""How often in a row a worker's process may die before it is ready: something is wrong wherever it is started."""
FREE_SLOT_SECONDS = 30.0
"""After which a user is told that no node has room for a worker."""


@dataclass(slots=True, kw_only=True, eq=False)
class RayWorker:
    """A worker on the cluster, and what it was asked and has not answered yet."""

    actor: Any
    name: Any
    work: Any
    news: Any
    deaths: int
    """Of those before it, in a row, before they were ready."""
    machine: str = ""
    """Where it is, once it is ready."""
    told: bool = False
    """Whether it was asked to put its trial down."""


@dataclass(slots=True, kw_only=True)
class RayLauncher:
    """Keeps workers at work on an order, on a cluster, until nothing is left.

    Args:
        order: what each of them does; its store and its folder are to be reached from every node.
        workers: how many; `None` for as many as the cluster has processors (or GPUs) for.
        address: of a running cluster, `auto` or host:port; `None` for one on this machine, which ends with the sweep.
        idle: called about once a second.
        say: told in lines what a user should know.
    """

    order: WorkerConfig
    workers: int | None
    address: str | None
    idle: Callable[[], None]
    say: Callable[[str], None]
    stopping: bool = field(default=False, init=False)
    _seats: list[RayWorker] = field(default_factory=list, init=False)
    _over: bool = field(default=False, init=False)
    _refused: str = field(default="", init=False)

    def run(self) -> None:
        """Works until a worker finds nothing left to do, or, once stopped, until all have put their trials down.

        Raises:
            UserError: if Ray is missing, or the cluster out of reach or too small, or if a worker says that something
                other than its trial is wrong.
        """
        # Processes of the cluster may be in any folder.
        order = replace(self.order, url=absolute_url(self.order.url))
        with join(self.address, order, self.workers) as cluster:
            room = cluster.room()
            if cluster.machines() > 1 and read_url(self.order.url).get_backend_name() == "sqlite":
                self.say(
                    f"warning: the store is a file, and the Ray cluster has {cluster.machines()} machines; it must be "
                    "on a file system that they share and that locks, or give --storage postgresql+psycopg://..."
                )
            try:
                for _ in range(self.workers or room):
                    self._seat(cluster, deaths=0)
                self._attend(cluster)
            finally:
                for seat in self._seats:
                    cluster.kill(seat.actor)
                self._seats.clear()
        if self._refused:
            raise UserError(self._refused)

    def stop(self) -> None:
        """Has every worker put its trial down. Safe to call from a signal handler."""
        # No more than that, as the signal may have come in the midst of a call to Ray.
        self.stopping = True

    def kill(self) -> None:
        """Has every process ended at once; `run` does it when it is left."""
        self.stopping = True

    def _seat(self, cluster: RayCluster, deaths: int) -> None:
        actor = cluster.hire()
        name, work, news = actor.name.remote(), actor.work.remote(), actor.news.remote()
        self._seats.append(RayWorker(actor=actor, name=name, work=work, news=news, deaths=deaths))

    def _attend(self, cluster: RayCluster) -> None:
        """Listens to the workers until none is left."""
        late = time.monotonic() + FREE_SLOT_SECONDS
        while True:
            if self.stopping or self._over:
                self._dismiss(cluster)
            if not self._seats:
                return
            asked = {each: seat for seat in self._seats for each in (seat.name, seat.news, seat.work) if each}
            for each in cluster.wait(list(asked), WAIT_SECONDS):
                self._hear(cluster, asked[each], each)
            self.idle()
            if any(seat.machine for seat in self._seats):
                late = time.monotonic() + FREE_SLOT_SECONDS
            elif time.monotonic() > late:
                late += FREE_SLOT_SECONDS
                self.say("no node of the Ray cluster has room for a worker now; waiting for one")

    def _hear(self, cluster: RayCluster, seat: RayWorker, answered: Any) -> None:
        try:
            answer = cluster.answer(answered)
        except ConnectionLostError as lost:
            self._bury(cluster, seat, str(lost))
            return
        if answered is seat.name:
            seat.machine, seat.name = answer, None
        elif answered is seat.news:
            seat.news = seat.actor.news.remote()
            self._pass_on(answer)
        else:
            with suppress(ConnectionLostError):
                self._pass_on(cluster.answer(seat.news))
            self._leave(cluster, seat)
            self._over = self._over or answer == OVER
            if answer == SPENT:
                if not (self._over or self.stopping):
                    self._seat(cluster, deaths=0)
            elif answer not in (OVER, STOPPED):
                self._refused = self._refused or answer
                self.stop()

    def _pass_on(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.say(line)

    def _leave(self, cluster: RayCluster, seat: RayWorker) -> None:
        self._seats.remove(seat)
        cluster.kill(seat.actor)

    def _dismiss(self, cluster: RayCluster) -> None:
        """Those that have not started need not; the others are asked to stop, or find out that nothing is left."""
        for seat in [seat for seat in self._seats if not seat.machine]:
            self._leave(cluster, seat)
        for seat in self._seats:
            if self.stopping and not seat.told:
                seat.told = True
                seat.actor.stop.remote()

    def _bury(self, cluster: RayCluster, seat: RayWorker, how: str) -> None:
        self._leave(cluster, seat)
        if self._over or self.stopping:
            return
        if seat.machine:
            self.say(f"a worker on {seat.machine} was lost ({how}); another is started, and its trial is tried again")
        deaths = 0 if seat.machine else seat.deaths + 1
        if deaths >= MAX_FAILED_STARTS:
            self._refused = f"a worker could not start on the Ray cluster, {deaths} times in a row: {how}"
            self.stop()
            return
        self._seat(cluster, deaths)
