"""A fake Ray cluster whose workers do what a test's script says."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps import ray_launcher
from sweeps.ray_cluster import DONE
from sweeps.ray_launcher import RayLauncher
from sweeps.worker import WorkerConfig
from workbench.errors import UserError

CONFIG = WorkerConfig(url="sqlite:////tmp/none/sweep.db", study_names=("addition/rnn",), out=Path("/tmp/none"))


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

    def __init__(self, script, capacity=2, machines=1):
        self.actors: list[FakeActor] = []
        self.script, self.waits, self._capacity, self._machines = script, 0, capacity, machines

        self.launcher: Any = None
        self.first = "node_name"
        self.log: list[str] = []
        self.idles = 0
        self.error: str | None = None

    def capacity(self):
        return self._capacity

    def count_machines(self):
        return self._machines

    def start_worker(self):
        self.actors.append(FakeActor())
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


def run_launcher(monkeypatch, script, *, config=CONFIG, workers=None, **cluster_options):
    """Runs a `RayLauncher` on a fake cluster; returns the cluster, with the launcher's log and its error."""
    cluster = FakeCluster(lambda cluster: script(cluster, cluster.launcher), **cluster_options)
    monkeypatch.setattr(ray_launcher, "join_cluster", lambda *args: contextlib.nullcontext(cluster))

    def idle():
        cluster.idles += 1

    cluster.launcher = RayLauncher(config=config, workers=workers, address=None, idle=idle, log=cluster.log.append)
    try:
        cluster.launcher.run()
    except UserError as error:
        cluster.error = str(error)
    assert not cluster.alive, "a process is left over"
    return cluster


def finish(cluster, launcher):
    """Starts all workers, and lets them find no trial left."""
    for actor in cluster.actors:
        actor.start()
        actor.results["run"] = DONE
