"""Workers that are started, replaced, stopped and removed on a Ray cluster; here on a fake one."""

from dataclasses import replace
from functools import partial

import pytest

from sweeps import ray_launcher
from sweeps.ray_cluster import DONE, STOPPED, UNUSABLE, WorkerLostError
from sweeps.ray_launcher import MAX_FAILED_STARTS
from tests.sweeps import fake_cluster
from tests.sweeps.fake_cluster import CONFIG, finish


@pytest.fixture
def run_launcher(monkeypatch):
    """Runs a `RayLauncher` on a fake cluster with a script."""
    return partial(fake_cluster.run_launcher, monkeypatch)


@pytest.mark.parametrize(("workers", "started"), [(None, 3), (5, 5), (1, 1)])
def test_as_many_workers_start_as_are_requested_or_have_room(run_launcher, workers, started):
    cluster = run_launcher(finish, workers=workers, capacity=3)
    assert len(cluster.actors) == started
    assert cluster.error is None
    assert not cluster.launcher.stopping
    assert cluster.idles > 0


def test_a_lost_worker_is_replaced_while_trials_are_left(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start("node-7")
        if len(cluster.actors) == 2 and cluster.waits > 4:
            cluster.actors[0].results["run"] = WorkerLostError("its node is gone")
        elif len(cluster.actors) == 3 and cluster.waits > 12:
            finish(cluster, launcher)
            cluster.actors[0].results["run"] = WorkerLostError("its node is gone")

    cluster = run_launcher(script)
    assert len(cluster.actors) == 3
    (line,) = cluster.log
    assert "a worker on node-7 was lost (its node is gone)" in line
    assert cluster.error is None


def test_an_unusable_worker_is_replaced_silently(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start()
        if len(cluster.actors) == 2 and cluster.waits > 4:
            cluster.actors[0].results["run"] = UNUSABLE
        elif len(cluster.actors) == 3 and cluster.waits > 12:
            finish(cluster, launcher)

    cluster = run_launcher(script)
    assert len(cluster.actors) == 3
    assert cluster.actors[0].killed
    assert cluster.log == []
    assert cluster.error is None


def test_a_lost_worker_is_not_replaced_when_no_trial_is_left(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start()
        if cluster.waits > 4:
            cluster.actors[0].results["run"] = DONE
        if cluster.actors[0].killed:
            cluster.actors[1].results["run"] = WorkerLostError("gone")

    cluster = run_launcher(script)
    assert len(cluster.actors) == 2
    assert cluster.log == []
    assert "stop" not in cluster.actors[1].calls


def test_a_worker_without_room_is_removed_when_no_trial_is_left(run_launcher):
    def script(cluster, launcher):
        cluster.actors[0].start()
        if cluster.waits > 3:
            cluster.actors[0].results["run"] = DONE

    cluster = run_launcher(script)
    assert cluster.actors[1].killed
    assert "stop" not in cluster.actors[1].calls


def test_workers_that_never_start_are_given_up_with_an_error_of_one_line(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.alive:
            actor.results["node_name"] = WorkerLostError("ModuleNotFoundError: No module named 'sweeps'")

    cluster = run_launcher(script, workers=1)
    assert len(cluster.actors) == MAX_FAILED_STARTS
    assert "No module named 'sweeps'" in cluster.error
    assert "\n" not in cluster.error


def test_many_workers_that_are_lost_at_once_are_all_replaced(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.actors[: 4 * MAX_FAILED_STARTS]:
            actor.results["node_name"] = WorkerLostError("its node is gone")
        for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
            actor.start()
        if len(cluster.actors) == 8 * MAX_FAILED_STARTS:
            for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
                actor.results["run"] = DONE

    cluster = run_launcher(script, workers=4 * MAX_FAILED_STARTS)
    assert cluster.error is None
    assert len(cluster.actors) == 8 * MAX_FAILED_STARTS


def test_a_worker_that_is_lost_again_and_again_while_working_is_replaced_each_time(run_launcher):
    def script(cluster, launcher):
        actor = cluster.actors[-1]
        actor.start()
        if len(cluster.actors) == 2 * MAX_FAILED_STARTS:
            actor.results["run"] = DONE
        elif cluster.waits % 4 == 0:
            actor.results["run"] = WorkerLostError("its node is gone")

    cluster = run_launcher(script, workers=1)
    assert cluster.error is None
    assert len(cluster.actors) == 2 * MAX_FAILED_STARTS


def test_stopped_workers_are_asked_once_and_waited_for(run_launcher):
    stopped = []

    def script(cluster, launcher):
        cluster.actors[0].start()
        if cluster.waits == 4:
            launcher.stop()
        stopped.append(cluster.actors[0].calls.count("stop"))
        if cluster.waits > 10:
            assert not cluster.actors[0].killed, "it was not waited for"
            cluster.actors[0].results["run"] = STOPPED

    cluster = run_launcher(script)
    assert max(stopped) == 1
    assert cluster.launcher.stopping
    assert cluster.actors[1].killed
    assert cluster.actors[1].calls.count("stop") == 0
    assert len(cluster.actors) == 2
    assert cluster.error is None


def test_an_error_of_a_worker_ends_all_and_is_raised(run_launcher):
    def script(cluster, launcher):
        for actor in cluster.actors:
            actor.start()
            if "stop" in actor.calls:
                actor.results["run"] = STOPPED
        if cluster.waits > 4:
            cluster.actors[1].results["run"] = "cannot write to /proc"

    cluster = run_launcher(script)
    assert cluster.error == "cannot write to /proc"
    assert "stop" in cluster.actors[0].calls


def test_log_lines_are_passed_on_to_the_last(run_launcher):
    def script(cluster, launcher):
        actor = cluster.actors[0]
        actor.start()
        if cluster.waits == 3:
            actor.results["log_lines"] = ["first", "second"]
        if cluster.waits == 6:
            # Both calls return at once, and the end is handled first.
            cluster.first = "run"
            actor.results |= {"run": DONE, "log_lines": ["last"]}

    assert run_launcher(script, workers=1).log == ["first", "second", "last"]


def test_processes_are_ended_when_something_else_goes_wrong(run_launcher):
    class WrongError(Exception):
        pass

    clusters = []

    def script(cluster, launcher):
        clusters.append(cluster)
        raise WrongError

    with pytest.raises(WrongError):
        run_launcher(script)
    assert len(clusters[0].actors) == 2
    assert not clusters[0].alive


@pytest.mark.parametrize(
    ("url", "machines", "warned"),
    [("sqlite:////x/s.db", 1, False), ("sqlite:////x/s.db", 3, True), ("postgresql+psycopg://h/d", 3, False)],
)
def test_a_file_that_several_machines_would_have_to_share_is_warned_of(run_launcher, url, machines, warned):
    cluster = run_launcher(finish, config=replace(CONFIG, url=url), machines=machines)
    assert bool(cluster.log) == warned
    assert all(line.startswith("warning: ") and "3 machines" in line for line in cluster.log)


def test_a_cluster_without_room_says_so_once_in_a_while(run_launcher, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("sweeps.ray_launcher.time.monotonic", lambda: float(next(clock)))

    def script(cluster, launcher):
        if cluster.waits > ray_launcher.NO_ROOM_SECONDS * 2.5:
            finish(cluster, launcher)

    cluster = run_launcher(script, workers=1)
    assert len(cluster.log) == 2
    assert "room" in cluster.log[0]
