"""A cluster that a test plays, in place of Ray's."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps import ray_launcher
from sweeps.ray_cluster import OVER
from sweeps.ray_launcher import RayLauncher
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

ORDER = WorkerConfig(url="sqlite:////tmp/none/sweep.db", names=("addition/rnn",), out=Path("/tmp/none"))


class Actor:
    """A process that answers when it is told to. Its methods are called as Ray's are: `actor.work.remote()`."""

    def __init__(self):
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.killed = False

    def __getattr__(self, method):
        def remote():
            self.asked.append(method)
            return self, method, len(self.asked)

        return SimpleNamespace(remote=remote)

    def start(self, machine="one"):
        self.answers["name"] = machine


class Cluster:
    """As much of a cluster as is asked for, whose actors do what the script says at each look."""

    def __init__(self, script, room=2, machines=1):
        self.actors: list[Actor] = []
        self.script, self.looks, self._room, self._machines = script, 0, room, machines

        self.crew: Any = None
        self.first = "name"
        self.said: list[str] = []
        self.idles = 0
        self.error: str | None = None

    def room(self):
        return self._room

    def machines(self):
        return self._machines

    def hire(self):
        self.actors.append(Actor())
        return self.actors[-1]

    def wait(self, asked, seconds):
        self.looks += 1
        assert self.looks < 200, "it does not come to an end"
        self.script(self)
        ready = [each for each in asked if each[1] in each[0].answers]
        return sorted(ready, key=lambda each: each[1] != self.first)[:1]

    def answer(self, asked):
        actor, method, _ = asked
        answer = actor.answers.get(method, [])
        if method == "news":
            actor.answers.pop(method, None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor):
        actor.killed = True

    @property
    def alive(self):
        return [actor for actor in self.actors if not actor.killed]


def play(monkeypatch, script, *, order=ORDER, workers=None, **cluster):
    """Runs `OnRay` on a cluster whose actors do what the script says; returns it, with what was said and raised."""
    made = Cluster(lambda found: script(found, found.crew), **cluster)
    monkeypatch.setattr(ray_launcher, "join", lambda *given: contextlib.nullcontext(made))

    def idle():
        made.idles += 1

    made.crew = RayLauncher(order=order, workers=workers, address=None, idle=idle, say=made.said.append)
    try:
        made.crew.run()
    except UserError as raised:
        made.error = str(raised)
    assert not made.alive, "a process is left over"
    return made


def finish(cluster, crew):
    """Everybody starts, and finds nothing left to do."""
    for actor in cluster.actors:
        actor.start()
        actor.answers["work"] = OVER
