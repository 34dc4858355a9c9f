"""Actors that are started, replaced, stopped and removed on a Ray cluster; here on a fake one."""

import os
import sys
from typing import cast

import pytest

from tests.fake_cluster import FakeCluster, finish
from workbench.launchers import ray_actors
from workbench.launchers.ray_actors import DONE, MAX_FAILED_STARTS, STOPPED, Actor, RayActors
from workbench.launchers.ray_cluster import ActorLostError, RayCluster


@pytest.fixture
def run_actors():
    """Keeps actors at work on a fake cluster with a script; returns the cluster, with what was logged and the error."""

    def run(script, *, count=2):
        cluster = FakeCluster(lambda cluster: script(cluster, cluster.launcher))
        actors = RayActors(
            cluster=cast(RayCluster, cluster),
            start_actor=lambda: cluster.start_actor(Actor),
            after_loss="another is started",
            log=cluster.log.append,
        )
        cluster.launcher = actors
        try:
            actors.start(count)
            while actors.work(1.0, stop=cluster.stopping):
                pass
        finally:
            actors.kill()
        assert not cluster.alive, "a process is left over"
        cluster.error = actors.error or None
        return cluster

    return run


def test_an_actor_finds_the_users_modules_and_variables_but_keeps_its_own(monkeypatch):
    monkeypatch.setenv("PGUSER", "mine")
    # Set first, so that what the test sets is undone.
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.delenv("PGPASSWORD")
    # Whatever else has been imported may have put a folder there twice.
    monkeypatch.setattr(sys, "path", list(dict.fromkeys(sys.path)))
    first = sys.path[0]
    Actor(("/users/modules", first), {"PGUSER": "theirs", "PGPASSWORD": "secret"})
    assert sys.path[-1] == "/users/modules"
    assert sys.path.count(first) == 1
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("mine", "secret")


def test_an_actor_returns_its_log_lines(monkeypatch):
    monkeypatch.setattr(ray_actors, "LOG_WAIT_SECONDS", 0.05)
    actor = Actor((), {})
    for line in ("a", "b", None):
        actor.lines.put(line)
    assert actor.log_lines() == ["a", "b"]
    assert actor.log_lines() == []


def test_a_lost_actor_is_replaced_while_work_is_left(run_actors):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start("node-7")
        if len(cluster.actors) == 2 and cluster.waits > 4:
            cluster.actors[0].results["run"] = ActorLostError("its node is gone")
        elif len(cluster.actors) == 3 and cluster.waits > 12:
            finish(cluster, launcher)
            cluster.actors[0].results["run"] = ActorLostError("its node is gone")

    cluster = run_actors(script)
    assert len(cluster.actors) == 3
    (line,) = cluster.log
    assert "a worker on node-7 was lost (its node is gone)" in line
    assert cluster.error is None


def test_a_lost_actor_is_not_replaced_when_nothing_is_left(run_actors):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start()
        if cluster.waits > 4:
            cluster.actors[0].results["run"] = DONE
        if cluster.actors[0].killed:
            cluster.actors[1].results["run"] = ActorLostError("gone")

    cluster = run_actors(script)
    assert len(cluster.actors) == 2
    assert cluster.log == []
    assert "stop" not in cluster.actors[1].calls


def test_an_actor_without_room_is_removed_when_nothing_is_left(run_actors):
    def script(cluster, launcher):
        cluster.actors[0].start()
        if cluster.waits > 3:
            cluster.actors[0].results["run"] = DONE

    cluster = run_actors(script)
    assert cluster.actors[1].killed
    assert "stop" not in cluster.actors[1].calls


def test_actors_that_never_start_are_given_up_with_an_error_of_one_line(run_actors):
    def script(cluster, launcher):
        for actor in cluster.alive:
            actor.results["node_name"] = ActorLostError("ModuleNotFoundError: No module named 'sweeps'")

    cluster = run_actors(script, count=1)
    assert len(cluster.actors) == MAX_FAILED_STARTS
    assert "No module named 'sweeps'" in cluster.error
    assert "\n" not in cluster.error


def test_many_actors_that_are_lost_at_once_are_all_replaced(run_actors):
    def script(cluster, launcher):
        for actor in cluster.actors[: 4 * MAX_FAILED_STARTS]:
            actor.results["node_name"] = ActorLostError("its node is gone")
        for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
            actor.start()
        if len(cluster.actors) == 8 * MAX_FAILED_STARTS:
            for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
                actor.results["run"] = DONE

    cluster = run_actors(script, count=4 * MAX_FAILED_STARTS)
    assert cluster.error is None
    assert len(cluster.actors) == 8 * MAX_FAILED_STARTS


def test_an_actor_that_is_lost_again_and_again_while_working_is_replaced_each_time(run_actors):
    def script(cluster, launcher):
        actor = cluster.actors[-1]
        actor.start()
        if len(cluster.actors) == 2 * MAX_FAILED_STARTS:
            actor.results["run"] = DONE
        elif cluster.waits % 4 == 0:
            actor.results["run"] = ActorLostError("its node is gone")

    cluster = run_actors(script, count=1)
    assert cluster.error is None
    assert len(cluster.actors) == 2 * MAX_FAILED_STARTS


def test_stopped_actors_are_asked_once_and_waited_for(run_actors):
    stopped = []

    def script(cluster, launcher):
        cluster.actors[0].start()
        if cluster.waits == 4:
            cluster.stopping = True
        stopped.append(cluster.actors[0].calls.count("stop"))
        if cluster.waits > 10:
            assert not cluster.actors[0].killed, "it was not waited for"
            cluster.actors[0].results["run"] = STOPPED

    cluster = run_actors(script)
    assert max(stopped) == 1
    assert cluster.actors[1].killed
    assert cluster.actors[1].calls.count("stop") == 0
    assert len(cluster.actors) == 2
    assert cluster.error is None


def test_an_error_of_an_actor_ends_all_and_is_raised(run_actors):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start()
            if "stop" in actor.calls:
                actor.results["run"] = STOPPED
        if cluster.waits > 4:
            cluster.actors[1].results["run"] = "cannot write to /proc"

    cluster = run_actors(script)
    assert cluster.error == "cannot write to /proc"
    assert "stop" in cluster.actors[0].calls


def test_log_lines_are_passed_on_to_the_last(run_actors):
    def script(cluster, launcher):
        actor = cluster.actors[0]
        actor.start()
        if cluster.waits == 3:
            actor.results["log_lines"] = ["first", "second"]
        if cluster.waits == 6:
            # Both calls return at once, and the end is handled first.
            cluster.first = "run"
            actor.results |= {"run": DONE, "log_lines": ["last"]}

    assert run_actors(script, count=1).log == ["first", "second", "last"]


def test_processes_are_ended_when_something_else_goes_wrong(run_actors):
    class WrongError(Exception):
        pass

    clusters = []

    def script(cluster, launcher):
        clusters.append(cluster)
        raise WrongError

    with pytest.raises(WrongError):
        run_actors(script)
    assert len(clusters[0].actors) == 2
    assert not clusters[0].alive


def test_a_cluster_without_room_says_so_once_in_a_while(run_actors, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("workbench.launchers.ray_actors.time.monotonic", lambda: float(next(clock)))

    def script(cluster, launcher):
        if cluster.waits > ray_actors.NO_ROOM_SECONDS * 2.5:
            finish(cluster, launcher)

    cluster = run_actors(script, count=1)
    assert len(cluster.log) == 2
    assert "room" in cluster.log[0]
