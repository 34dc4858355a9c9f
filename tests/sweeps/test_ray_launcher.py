"""Who is hired, replaced, asked to stop and sent away on a cluster; here one that the test plays itself."""

from dataclasses import replace
from functools import partial

import pytest

from sweeps import ray_launcher
from sweeps.ray_cluster import OVER, SPENT, STOPPED, ConnectionLostError
from sweeps.ray_launcher import MAX_FAILED_STARTS
from tests.sweeps import fake_cluster
from tests.sweeps.fake_cluster import ORDER, finish


@pytest.fixture
def play(monkeypatch):
    """Runs `OnRay` on a cluster with a script."""
    return partial(fake_cluster.play, monkeypatch)


@pytest.mark.parametrize(("workers", "hired"), [(None, 3), (5, 5), (1, 1)])
def test_as_many_work_as_are_asked_for_or_have_room(play, workers, hired):
    cluster = play(finish, workers=workers, room=3)
    assert len(cluster.actors) == hired
    assert cluster.error is None
    assert not cluster.crew.stopping
    assert cluster.idles > 0


def test_one_that_is_lost_is_replaced_while_something_is_left(play):
    def script(cluster, crew):
        for actor in cluster.actors:
            actor.start("node-7")
        if len(cluster.actors) == 2 and cluster.looks > 4:
            cluster.actors[0].answers["work"] = ConnectionLostError("its node is gone")
        elif len(cluster.actors) == 3 and cluster.looks > 12:
            finish(cluster, crew)
            cluster.actors[0].answers["work"] = ConnectionLostError("its node is gone")

    cluster = play(script)
    assert len(cluster.actors) == 3
    (line,) = cluster.said
    assert "a worker on node-7 was lost (its node is gone)" in line
    assert cluster.error is None


def test_one_of_no_more_use_is_replaced_without_a_word(play):
    def script(cluster, crew):
        for actor in cluster.actors:
            actor.start()
        if len(cluster.actors) == 2 and cluster.looks > 4:
            cluster.actors[0].answers["work"] = SPENT
        elif len(cluster.actors) == 3 and cluster.looks > 12:
            finish(cluster, crew)

    cluster = play(script)
    assert len(cluster.actors) == 3
    assert cluster.actors[0].killed
    assert cluster.said == []
    assert cluster.error is None


def test_nobody_replaces_one_that_is_lost_when_nothing_is_left(play):
    def script(cluster, crew):
        for actor in cluster.actors:
            actor.start()
        if cluster.looks > 4:
            cluster.actors[0].answers["work"] = OVER
        if cluster.actors[0].killed:
            cluster.actors[1].answers["work"] = ConnectionLostError("gone")

    cluster = play(script)
    assert len(cluster.actors) == 2
    assert cluster.said == []
    assert "stop" not in cluster.actors[1].asked


def test_one_that_has_no_room_is_sent_away_when_nothing_is_left(play):
    def script(cluster, crew):
        cluster.actors[0].start()
        if cluster.looks > 3:
            cluster.actors[0].answers["work"] = OVER

    cluster = play(script)
    assert cluster.actors[1].killed
    assert "stop" not in cluster.actors[1].asked


def test_workers_that_never_start_are_given_up_in_a_line(play):
    def script(cluster, crew):
        for actor in cluster.alive:
            actor.answers["name"] = ConnectionLostError("ModuleNotFoundError: No module named 'sweeps'")

    cluster = play(script, workers=1)
    assert len(cluster.actors) == MAX_FAILED_STARTS
    assert "No module named 'sweeps'" in cluster.error
    assert "\n" not in cluster.error


def test_many_that_are_lost_at_once_are_no_reason_to_give_up(play):
    def script(cluster, crew):
        for actor in cluster.actors[: 4 * MAX_FAILED_STARTS]:
            actor.answers["name"] = ConnectionLostError("its node is gone")
        for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
            actor.start()
        if len(cluster.actors) == 8 * MAX_FAILED_STARTS:
            for actor in cluster.actors[4 * MAX_FAILED_STARTS :]:
                actor.answers["work"] = OVER

    cluster = play(script, workers=4 * MAX_FAILED_STARTS)
    assert cluster.error is None
    assert len(cluster.actors) == 8 * MAX_FAILED_STARTS


def test_one_that_is_lost_again_and_again_at_its_work_is_replaced_each_time(play):
    def script(cluster, crew):
        actor = cluster.actors[-1]
        actor.start()
        if len(cluster.actors) == 2 * MAX_FAILED_STARTS:
            actor.answers["work"] = OVER
        elif cluster.looks % 4 == 0:
            actor.answers["work"] = ConnectionLostError("its node is gone")

    cluster = play(script, workers=1)
    assert cluster.error is None
    assert len(cluster.actors) == 2 * MAX_FAILED_STARTS


def test_stopped_workers_are_asked_once_and_waited_for(play):
    stopped = []

    def script(cluster, crew):
        cluster.actors[0].start()
        if cluster.looks == 4:
            crew.stop()
        stopped.append(cluster.actors[0].asked.count("stop"))
        if cluster.looks > 10:
            assert not cluster.actors[0].killed, "it was not waited for"
            cluster.actors[0].answers["work"] = STOPPED

    cluster = play(script)
    assert max(stopped) == 1
    assert cluster.crew.stopping
    assert cluster.actors[1].killed
    assert cluster.actors[1].asked.count("stop") == 0
    assert len(cluster.actors) == 2
    assert cluster.error is None


def test_what_a_worker_refuses_ends_all_and_is_the_error(play):
    def script(cluster, crew):
        for actor in cluster.actors:
            actor.start()
            if "stop" in actor.asked:
                actor.answers["work"] = STOPPED
        if cluster.looks > 4:
            cluster.actors[1].answers["work"] = "cannot write to /proc"

    cluster = play(script)
    assert cluster.error == "cannot write to /proc"
    assert "stop" in cluster.actors[0].asked


def test_notes_are_passed_on_to_the_last(play):
    def script(cluster, crew):
        actor = cluster.actors[0]
        actor.start()
        if cluster.looks == 3:
            actor.answers["news"] = ["first", "second"]
        if cluster.looks == 6:
            # Both are ready at once, and the end is heard of first.
            cluster.first = "work"
            actor.answers |= {"work": OVER, "news": ["last"]}

    assert play(script, workers=1).said == ["first", "second", "last"]


def test_processes_are_ended_when_something_else_goes_wrong(play):
    class WrongError(Exception):
        pass

    clusters = []

    def script(cluster, crew):
        clusters.append(cluster)
        raise WrongError

    with pytest.raises(WrongError):
        play(script)
    assert len(clusters[0].actors) == 2
    assert not clusters[0].alive


@pytest.mark.parametrize(
    ("url", "machines", "warned"),
    [("sqlite:////x/s.db", 1, False), ("sqlite:////x/s.db", 3, True), ("postgresql+psycopg://h/d", 3, False)],
)
def test_a_file_that_several_machines_would_have_to_share_is_warned_of(play, url, machines, warned):
    cluster = play(finish, order=replace(ORDER, url=url), machines=machines)
    assert bool(cluster.said) == warned
    assert all(line.startswith("warning: ") and "3 machines" in line for line in cluster.said)


def test_a_cluster_without_room_says_so_once_in_a_while(play, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("sweeps.ray_launcher.time.monotonic", lambda: float(next(clock)))

    def script(cluster, crew):
        if cluster.looks > ray_launcher.FREE_SLOT_SECONDS * 2.5:
            finish(cluster, crew)

    cluster = play(script, workers=1)
    assert len(cluster.said) == 2
    assert "room" in cluster.said[0]
