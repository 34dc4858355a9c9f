"""A fake Ray cluster whose actors do what a test's script says."""

from types import SimpleNamespace
from typing import Any

from workbench.launchers.ray_actors import DONE


class FakeActor:
    """A process whose calls return once the script has set a result. They are made as in Ray: `actor.run.remote()`."""

    def __init__(self):
        self.results: dict[str, Any] = {}
        self.calls: list[str] = []
        self.killed = False

    def __getattr__(self, method):
        def remote():
            self.calls.append(method)
            return self, method, len(self.calls)

        return SimpleNamespace(remote=remote)

    def start(self, machine="one"):
        self.results["node_name"] = machine


class FakeCluster:
    """The part of a cluster that a launcher uses; runs the script at each wait."""

    def __init__(self, script, capacity=2):
        self.actors: list[FakeActor] = []
        self.started: list[tuple[Any, ...]] = []
        self.kind = SimpleNamespace(name="worker")
        self.script, self.waits, self._capacity = script, 0, capacity

        self.launcher: Any = None
        self.first = "node_name"
        self.log: list[str] = []
        self.stopping = False
        self.error: str | None = None

    def capacity(self):
        return self._capacity

    def start_actor(self, actor, *arguments):
        self.actors.append(FakeActor())
        self.started.append((actor, *arguments))
        return self.actors[-1]

    def wait(self, calls, seconds):
        self.waits += 1
        assert self.waits < 200, "it does not come to an end"
        self.script(self)
        ready = [call for call in calls if call[1] in call[0].results]
        return sorted(ready, key=lambda call: call[1] != self.first)[:1]

    def result(self, call):
        actor, method, _ = call
        result = actor.results.get(method, [])
        if method == "log_lines":
            actor.results.pop(method, None)
        if isinstance(result, Exception):
            raise result
        return result

    def kill(self, actor):
        actor.killed = True

    @property
    def alive(self):
        return [actor for actor in self.actors if not actor.killed]


def finish(cluster, launcher):
    """Starts all workers, and lets them find no trial left."""
    for actor in cluster.actors:
        actor.start()
        actor.results["run"] = DONE
