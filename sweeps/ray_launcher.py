"""The launcher `ray`: workers in processes of a Ray cluster; one that dies with its node is replaced on another."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sweeps.ray_cluster import DONE, STOPPED, UNUSABLE, RayCluster, WorkerLostError, join_cluster
from sweeps.storage_url import absolute_url, read_url
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

WAIT_SECONDS = 1.0
MAX_FAILED_STARTS = 5
"""Processes of a worker that may die in a row before they are ready; after that, something is wrong everywhere."""
NO_ROOM_SECONDS = 30.0
"""Seconds after which the user is told that no node has room for a worker."""


@dataclass(slots=True, kw_only=True, eq=False)
class RayWorker:
    """A worker on the cluster, and its calls that have not returned yet."""

    actor: Any
    name_call: Any
    """Call for the machine's name; `None` once it has returned."""
    run_call: Any
    log_call: Any
    failed_starts: int
    """Number of its predecessors, in a row, that died before they were ready."""
    machine: str = ""
    """The machine that it runs on; empty until it is ready."""
    stop_sent: bool = False


@dataclass(slots=True, kw_only=True)
class RayLauncher:
    """Keeps workers running on a Ray cluster until no trial is left.

    Args:
        config: configuration of the workers; every node must be able to reach the store and the folder of results.
        workers: how many; `None` for as many as the cluster has processors (or GPUs) for.
        address: `auto` or host:port of a running cluster; `None` starts one on this machine, which ends with the sweep.
        idle: called about once a second.
        log: receives lines that a user should know.
    """

    config: WorkerConfig
    workers: int | None
    address: str | None
    idle: Callable[[], None]
    log: Callable[[str], None]
    stopping: bool = field(default=False, init=False)
    _workers: list[RayWorker] = field(default_factory=list, init=False)
    _done: bool = field(default=False, init=False)
    _error: str = field(default="", init=False)

    def run(self) -> None:
        """Works until a worker finds no trial left, or, once stopped, until all have saved their trials.

        Raises:
            UserError: if Ray is missing, the cluster is out of reach or too small, or a worker reports that something
                other than its trial is wrong.
        """
        # Processes of the cluster may run in any folder.
        config = replace(self.config, url=absolute_url(self.config.url))
        with join_cluster(self.address, config, self.workers) as cluster:
            capacity = cluster.capacity()
            if cluster.count_machines() > 1 and read_url(self.config.url).get_backend_name() == "sqlite":
                self.log(
                    f"warning: the store is a file, and the Ray cluster has {cluster.count_machines()} machines; it "
                    "must be on a file system that they share and that locks, or give --storage "
                    "postgresql+psycopg://..."
                )
            try:
                for _ in range(self.workers or capacity):
                    self._start_worker(cluster, failed_starts=0)
                self._supervise(cluster)
            finally:
                for worker in self._workers:
                    cluster.kill(worker.actor)
                self._workers.clear()
        if self._error:
            raise UserError(self._error)

    def stop(self) -> None:
        """Makes every worker save its trial and stop. Safe to call from a signal handler."""
        # Only a flag, as the signal may have come in the middle of a call to Ray.
        self.stopping = True

    def kill(self) -> None:
        """Ends every process; `run` does so when it is left."""
        self.stopping = True

    def _start_worker(self, cluster: RayCluster, failed_starts: int) -> None:
        actor = cluster.start_worker()
        worker = RayWorker(
            actor=actor,
            name_call=actor.node_name.remote(),
            run_call=actor.run.remote(),
            log_call=actor.log_lines.remote(),
            failed_starts=failed_starts,
        )
        self._workers.append(worker)

    def _supervise(self, cluster: RayCluster) -> None:
        """Handles what the workers' calls return until no worker is left."""
        no_room_at = time.monotonic() + NO_ROOM_SECONDS
        while True:
            if self.stopping or self._done:
                self._stop_workers(cluster)
            if not self._workers:
                return
            calls = {
                call: worker
                for worker in self._workers
                for call in (worker.name_call, worker.log_call, worker.run_call)
                if call
            }
            for call in cluster.wait(list(calls), WAIT_SECONDS):
                self._on_return(cluster, calls[call], call)
            self.idle()
            if any(worker.machine for worker in self._workers):
                no_room_at = time.monotonic() + NO_ROOM_SECONDS
            elif time.monotonic() > no_room_at:
                no_room_at += NO_ROOM_SECONDS
                self.log("no node of the Ray cluster has room for a worker now; waiting for one")

    def _on_return(self, cluster: RayCluster, worker: RayWorker, call: Any) -> None:
        try:
            result = cluster.result(call)
        except WorkerLostError as error:
            self._replace_lost(cluster, worker, str(error))
            return
        if call is worker.name_call:
            worker.machine, worker.name_call = result, None
        elif call is worker.log_call:
            worker.log_call = worker.actor.log_lines.remote()
            self._log_all(result)
        else:
            with suppress(WorkerLostError):
                self._log_all(cluster.result(worker.log_call))
            self._remove(cluster, worker)
            self._done = self._done or result == DONE
            if result == UNUSABLE:
                if not (self._done or self.stopping):
                    self._start_worker(cluster, failed_starts=0)
            elif result not in (DONE, STOPPED):
                self._error = self._error or result
                self.stop()

    def _log_all(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.log(line)

    def _remove(self, cluster: RayCluster, worker: RayWorker) -> None:
        self._workers.remove(worker)
        cluster.kill(worker.actor)

    def _stop_workers(self, cluster: RayCluster) -> None:
        """Removes the workers that have not started, and asks the others to stop unless they will find no trial."""
        for worker in [worker for worker in self._workers if not worker.machine]:
            self._remove(cluster, worker)
        for worker in self._workers:
            if self.stopping and not worker.stop_sent:
                worker.stop_sent = True
                worker.actor.stop.remote()

    def _replace_lost(self, cluster: RayCluster, worker: RayWorker, reason: str) -> None:
        self._remove(cluster, worker)
        if self._done or self.stopping:
            return
        if worker.machine:
            self.log(
                f"a worker on {worker.machine} was lost ({reason}); another is started, and its trial is tried again"
            )
        failed_starts = 0 if worker.machine else worker.failed_starts + 1
        if failed_starts >= MAX_FAILED_STARTS:
            self._error = f"a worker could not start on the Ray cluster, {failed_starts} times in a row: {reason}"
            self.stop()
            return
        self._start_worker(cluster, failed_starts)
