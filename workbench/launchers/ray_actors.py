"""Actors that are kept at work on a Ray cluster: one that is lost with its node is replaced on another."""

import os
import platform
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from workbench.launchers.ray_cluster import ActorLostError, RayCluster

DONE, STOPPED = "done", "stopped"
"""Results of an actor's work: nothing is left for anyone; it is over for this one. Any other is an error message."""
LOG_WAIT_SECONDS = 2.0
"""Seconds that a call for log lines waits for a line."""
MAX_FAILED_STARTS = 5
"""Processes of an actor that may die in a row before they are ready; after that, something is wrong everywhere."""
NO_ROOM_SECONDS = 30.0
"""Seconds after which the user is told that no node has room for an actor."""


class Actor:
    """A process on the cluster. Its methods are called from other processes, each in a thread of its own.

    A subclass works in `run` and returns one of the results above, or an error message in one line.

    Args:
        path: `sys.path` of the process that starts it, which may have a user's own architectures.
        environment: variables that are set here, unless they are set already.
    """

    def __init__(self, path: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.path.extend(folder for folder in path if folder not in sys.path)
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self.stop_asked = False
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """What the user should know; `None` ends a call that waits for a line."""

    def node_name(self) -> str:
        """Returns the name of the machine; any answer shows that the process has started."""
        return platform.node()

    def log_lines(self) -> list[str]:
        """Returns the lines that were logged since the last call; waits a while if there are none."""
        lines: list[str | None] = []
        try:
            lines.append(self.lines.get(timeout=LOG_WAIT_SECONDS))
            while True:
                lines.append(self.lines.get_nowait())
        except queue.Empty:
            return [line for line in lines if line is not None]

    def stop(self) -> None:
        """Makes it save what is under way and stop."""
        self.stop_asked = True


@dataclass(slots=True, kw_only=True, eq=False)
class ActorCalls:
    """An actor, and its calls that have not returned yet."""

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
class RayActors:
    """Keeps actors at work until one finds that nothing is left, or until they are stopped.

    Args:
        cluster: where they are.
        start_actor: starts one, and returns its handle.
        after_loss: what follows when one is lost, in words.
        log: receives lines that a user should know.
    """

    cluster: RayCluster
    start_actor: Callable[[], Any]
    after_loss: str
    log: Callable[[str], None]
    error: str = field(default="", init=False)
    """The first error that an actor reported; all others are stopped then."""
    _done: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _actors: list[ActorCalls] = field(default_factory=list, init=False)
    _no_room_at: float = field(default=0.0, init=False)

    def start(self, count: int) -> None:
        """Starts so many actors, each on a node that has room, now or later."""
        self._no_room_at = time.monotonic() + NO_ROOM_SECONDS
        for _ in range(count):
            self._start(failed_starts=0)

    def work(self, seconds: float, *, stop: bool = False) -> bool:
        """Handles what has happened to the actors.

        Args:
            seconds: how long to wait for something to happen.
            stop: whether all are to save what is under way and stop, from now on.

        Returns:
            Whether an actor is left.

        Raises:
            UserError: if the cluster is lost.
        """
        self._stopping = self._stopping or stop
        if self._stopping or self._done:
            self._let_end()
        if not self._actors:
            return False
        calls = {
            call: actor
            for actor in self._actors
            for call in (actor.name_call, actor.log_call, actor.run_call)
            if call is not None
        }
        for call in self.cluster.wait(list(calls), seconds):
            self._on_return(calls[call], call)
        if any(actor.machine for actor in self._actors):
            self._no_room_at = time.monotonic() + NO_ROOM_SECONDS
        elif time.monotonic() > self._no_room_at:
            self._no_room_at += NO_ROOM_SECONDS
            self.log(f"no node of the Ray cluster has room for a {self.cluster.kind.name} now; waiting for one")
        return True

    def kill(self) -> None:
        """Ends the processes of all that are left."""
        for actor in self._actors:
            self.cluster.kill(actor.actor)
        self._actors.clear()

    def _start(self, failed_starts: int) -> None:
        actor = self.start_actor()
        calls = ActorCalls(
            actor=actor,
            name_call=actor.node_name.remote(),
            run_call=actor.run.remote(),
            log_call=actor.log_lines.remote(),
            failed_starts=failed_starts,
        )
        self._actors.append(calls)

    def _on_return(self, actor: ActorCalls, call: Any) -> None:
        try:
            result = self.cluster.result(call)
        except ActorLostError as error:
            self._replace_lost(actor, str(error))
            return
        if call is actor.name_call:
            actor.machine, actor.name_call = result, None
        elif call is actor.log_call:
            actor.log_call = actor.actor.log_lines.remote()
            self._log_all(result)
        else:
            with suppress(ActorLostError):
                self._log_all(self.cluster.result(actor.log_call))
            self._remove(actor)
            self._done = self._done or result == DONE
            if result not in (DONE, STOPPED):
                self._fail(result)

    def _log_all(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.log(line)

    def _fail(self, error: str) -> None:
        self.error = self.error or error
        self._stopping = True

    def _remove(self, actor: ActorCalls) -> None:
        self._actors.remove(actor)
        self.cluster.kill(actor.actor)

    def _let_end(self) -> None:
        """Removes the actors that have not started, and asks the others to stop unless they will find nothing left."""
        for actor in [actor for actor in self._actors if not actor.machine]:
            self._remove(actor)
        for actor in self._actors:
            if self._stopping and not actor.stop_sent:
                actor.stop_sent = True
                actor.actor.stop.remote()

    def _replace_lost(self, actor: ActorCalls, reason: str) -> None:
        self._remove(actor)
        if self._done or self._stopping:
            return
        kind = self.cluster.kind.name
        if actor.machine:
            self.log(f"a {kind} on {actor.machine} was lost ({reason}); {self.after_loss}")
        failed_starts = 0 if actor.machine else actor.failed_starts + 1
        if failed_starts >= MAX_FAILED_STARTS:
            self._fail(f"a {kind} could not start on the Ray cluster, {failed_starts} times in a row: {reason}")
            return
        self._start(failed_starts)
