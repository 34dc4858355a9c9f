"""Jobs on a Ray cluster: a fake one, and the processes of real actors here."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fake_cluster import FakeCluster
from tests.workbench.experiments import finish, small
from workbench.cli.launching import LaunchOptions, remote_pool
from workbench.errors import UserError
from workbench.execution import Execution, execute_runs
from workbench.launchers import ray_jobs
from workbench.launchers.job_array import JobArray
from workbench.launchers.ray_actors import DONE, STOPPED
from workbench.launchers.ray_cluster import ActorLostError
from workbench.launchers.ray_jobs import JobActor

COMMAND = ("python", "-m", "workbench", "compare")


@pytest.fixture
def run_jobs(tmp_path, monkeypatch):
    """Has two runs trained by jobs on a fake cluster with a script; returns the cluster, and what became of them."""

    def run(script, *, jobs=None, **cluster_options) -> tuple[FakeCluster, Execution | None]:
        cluster = FakeCluster(lambda cluster: script(cluster, cluster.launcher), **cluster_options)
        cluster.kind = SimpleNamespace(name="job")
        kinds = []

        def join_cluster(address, kind, count):
            kinds.append((address, kind.amounts, count))
            return contextlib.nullcontext(cluster)

        monkeypatch.setattr(ray_jobs, "join_cluster", join_cluster)
        monkeypatch.setattr("workbench.run_queue.LOOK_SECONDS", 0.0)
        monkeypatch.setattr("workbench.launchers.remote_pool.IDLE_SECONDS", 0.0)
        monkeypatch.setattr(ray_jobs, "check_ray", lambda address: None)
        launch = LaunchOptions(launcher="ray", ray_address="auto")
        monkeypatch.setattr("workbench.cli.launching.warn", lambda line: cluster.log.append(line))
        array = JobArray(name="n", command=COMMAND, folder=tmp_path, jobs=jobs, cpus=6, gpus=0.5, minutes=9)
        experiments = [small(seed=seed, steps=2) for seed in range(2)]
        options = {"device": "cpu", "workers": 1, "threads": 1, "say": print, "warn": cluster.log.append, "quiet": True}
        done = None
        try:
            with remote_pool(launch, array, tmp_path) as pool:
                cluster.launcher = pool
                done = execute_runs(experiments, out=tmp_path, remote=pool, **options)  # type: ignore[arg-type]
        except UserError as error:
            cluster.error = str(error)
        assert not cluster.alive, "a process is left over"
        assert kinds == [("auto", {"CPU": 6, "GPU": 0.5}, jobs)]
        return cluster, done

    return run


@pytest.mark.parametrize(("jobs", "started"), [(None, 3), (5, 5)])
def test_as_many_jobs_as_are_asked_for_or_have_room_share_the_runs(run_jobs, tmp_path, jobs, started):
    def script(cluster, pool):
        for actor in cluster.actors:
            actor.start()
        if cluster.waits == 3:
            finish(small(seed=0, steps=2), tmp_path)
            finish(small(seed=1, steps=2), tmp_path)
        if cluster.waits > 3 + started:
            # They see it a moment later, and write the report.
            assert not any("stop" in actor.calls for actor in cluster.actors)
            for actor in cluster.actors:
                actor.results["run"] = DONE

    cluster, done = run_jobs(script, jobs=jobs, capacity=3)
    assert cluster.error is None
    assert done is not None
    assert (len(done.runs), done.stopped) == (2, False)
    assert [actor for actor, *_ in cluster.started] == [JobActor] * started
    assert [arguments[:2] for _, *arguments in cluster.started] == [[COMMAND, tmp_path]] * started
    logs = [arguments[2] for _, *arguments in cluster.started]
    assert len({*logs}) == started
    assert {log.parent for log in logs} == {tmp_path / "jobs"}
    assert cluster.log == [
        f"{started} jobs are started on Ray, {logs[0].stem[:-2]}; their output is in {tmp_path}/jobs"
    ]


def test_a_job_whose_node_is_lost_is_started_again(run_jobs, tmp_path):
    def script(cluster, pool):
        for actor in cluster.actors:
            actor.start("node7")
        if cluster.waits == 5:
            cluster.actors[0].results["run"] = ActorLostError("its node is gone")
        if len(cluster.actors) == 3:
            for seed in range(2):
                finish(small(seed=seed, steps=2), tmp_path)
            for actor in cluster.alive:
                actor.results["run"] = DONE

    cluster, done = run_jobs(script)
    assert done is not None
    assert (len(done.runs), cluster.error) == (2, None)
    assert cluster.log[1] == "a job on node7 was lost (its node is gone); another is started in its place"


def test_jobs_that_have_all_ended_leave_a_line_about_what_is_left(run_jobs, tmp_path):
    def script(cluster, pool):
        for actor in cluster.actors:
            actor.start()
            actor.results["run"] = STOPPED
        if not (tmp_path / "runs/addition").exists():
            finish(small(seed=0, steps=2), tmp_path)

    cluster, _ = run_jobs(script)
    assert cluster.error is not None
    assert "have ended, and 1 of 2 runs are not finished" in cluster.error


def test_a_job_that_is_refused_ends_all_with_its_line(run_jobs):
    def script(cluster, pool):
        for actor in cluster.actors:
            actor.start()
            if "stop" in actor.calls:
                actor.results["run"] = STOPPED
        cluster.actors[0].results["run"] = "a job on node7 has ended: no space left"

    cluster, _ = run_jobs(script)
    assert cluster.error == "a job on node7 has ended: no space left"
    assert "stop" in cluster.actors[1].calls


def test_a_command_that_is_stopped_waits_until_its_jobs_have_saved(run_jobs, tmp_path):
    def script(cluster, pool):
        for actor in cluster.actors:
            actor.start()
        if cluster.waits == 5:
            pool.stop()
        if cluster.waits > 20:
            # One of them came to an end just then.
            if not (tmp_path / "runs/addition").exists():
                finish(small(seed=1, steps=2), tmp_path)
            for actor in cluster.alive:
                assert actor.calls.count("stop") == 1
                assert not actor.killed
                actor.results["run"] = STOPPED

    cluster, done = run_jobs(script)
    assert cluster.error is None
    assert done is not None
    assert (len(done.runs), done.stopped) == (1, True)
    assert "have saved what was under way" in cluster.log[-1]


STAND_IN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), os._exit(130)))
print("begun", os.getcwd(), os.environ["WORKBENCH_X"], sys.argv[1:], sys.stdin.read(), flush=True)
if "wait" in sys.argv:
    time.sleep(60)
if "kill" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
print("stand-in: it is wrong", file=sys.stderr)
sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def make_actor(tmp_path, monkeypatch):
    """Makes actors, in this process, with a command of which only they know where its module is."""
    modules, place = tmp_path / "modules", tmp_path / "place"
    for folder in (modules, place, tmp_path / "jobs"):
        folder.mkdir()
    (modules / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("WORKBENCH_X", "")
    monkeypatch.delenv("WORKBENCH_X")

    def make(*arguments, log=tmp_path / "jobs/0.log", folder=place):
        command = ("elsewhere/python", "-m", "stand_in", *arguments)
        return JobActor(command, folder, log, (str(modules),), {"WORKBENCH_X": "y"})

    return make


@pytest.mark.parametrize(
    ("arguments", "result", "lines"),
    [
        (["0"], DONE, []),
        (["2"], "has ended: stand-in: it is wrong", []),
        (["1"], STOPPED, ["its process ended with status 1; see "]),
        (["kill", "0"], STOPPED, ["its process ended with signal 9, perhaps because memory ran out; see "]),
    ],
)
def test_an_actor_tells_how_its_command_ended(make_actor, tmp_path, arguments, result, lines):
    actor = make_actor(*arguments)
    assert actor.run().endswith(result)
    said = actor.log_lines()
    assert len(said) == len(lines)
    assert all(line in text for line, text in zip(lines, said, strict=True))
    assert f"begun {tmp_path / 'place'} y {arguments} " in (tmp_path / "jobs/0.log").read_text()


def test_an_actor_that_is_stopped_lets_its_command_save(make_actor, tmp_path):
    actor, log = make_actor("wait", "0"), tmp_path / "jobs/0.log"
    actor.stop()
    assert actor.run() == STOPPED
    assert actor.log_lines() == []
    # It may have been told before it could hear.
    assert log.read_text() == "" or log.read_text().endswith("saved\n")


def test_a_node_without_the_folder_says_so(make_actor, tmp_path):
    for place in ({"folder": tmp_path / "none"}, {"log": tmp_path / "none/0.log"}):
        assert f"has no folder {tmp_path / 'none'}; all nodes must share it" in make_actor("0", **place).run()


def test_a_command_is_stopped_when_the_process_that_started_it_is_killed(make_actor, tmp_path):
    make_actor("0")
    log = tmp_path / "jobs/0.log"
    code = (
        "import sys; from pathlib import Path; from workbench.launchers.ray_jobs import JobActor;"
        "place = Path(sys.argv[1]); modules = (str(place / 'modules'),); log = place / 'jobs/0.log';"
        "command = ('', '-m', 'stand_in', 'wait', '0');"
        "JobActor(command, place, log, modules, {'WORKBENCH_X': 'y'}).run()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
        wait_for(log, "begun")
        process.send_signal(signal.SIGKILL)
    wait_for(log, "saved")


def wait_for(log: Path, word: str) -> None:
    """Waits until a word is in a file."""
    end = time.monotonic() + 30
    while not log.exists() or word not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)
