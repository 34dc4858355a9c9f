"""The launchers `ray` and `slurm` of a sweep: jobs that are started and waited for, and what they run."""

import os
import re
from types import SimpleNamespace
from typing import cast

import pytest

from sweeps import job_launcher
from sweeps.job_launcher import JobLauncher
from sweeps.studies import LoadedStudy
from tests.local_jobs import local_jobs
from workbench.cli.launching import LaunchOptions
from workbench.cli.main import main
from workbench.cli.options import RunOptions
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.cli.sweep.tune import worker_array
from workbench.errors import UserError
from workbench.launchers import ray_cluster, slurm
from workbench.results import finished_runs

GIVEN = [
    *("sweep", "run", "--tasks", "addition", "--task.addition.length", "6", "--architectures", "rnn,gru"),
    *("--seeds", "1", "--trials", "3", "--steps", "40", "--batch-size", "2", "--log-every", "10"),
    *("--evaluation-size", "4", "--hidden-size", "4", "--space.all.hidden_size", "{low: 2, high: 8}"),
    *("--device", "cpu", "--wandb", "off", "--heartbeat", "1", "--grace", "6"),
]


class FakeJobs:
    """Jobs that end after some polls."""

    names = "42"

    def __init__(self, polls=100):
        self.polls, self.calls = polls, []

    def check(self):
        pass

    def start(self):
        self.calls.append("start")
        return "2 jobs are submitted, 42"

    def ended(self):
        self.polls -= 1
        return self.polls < 0

    def leave(self):
        self.calls.append("leave")
        return "no longer waiting"

    def close(self, *, finished):
        pass


@pytest.fixture
def launch(monkeypatch):
    """Runs a launcher with jobs for a study that is done after some polls; returns what was done."""

    def run(jobs, *, polls, idle=lambda launcher: None):
        left = iter(range(polls, -1, -1))
        monkeypatch.setattr(job_launcher, "is_done", lambda study: next(left) == 0)
        monkeypatch.setattr("sweeps.job_launcher.time.sleep", lambda seconds: None)
        test = SimpleNamespace(log=[], idles=0)

        def count():
            test.idles += 1
            idle(launcher)

        launcher = JobLauncher(jobs=jobs, studies=[cast(LoadedStudy, None)], idle=count, log=test.log.append)
        try:
            launcher.run()
        finally:
            test.stopping = launcher.stopping
        return test

    return run


def test_jobs_are_waited_for_until_no_trial_is_left(launch):
    jobs = FakeJobs()
    test = launch(jobs, polls=3)
    assert (test.log, test.idles, test.stopping) == (["2 jobs are submitted, 42"], 3, False)
    # They go on with the final runs.
    assert jobs.calls == ["start"]


def test_jobs_that_have_ended_too_early_are_a_line(launch):
    jobs = FakeJobs(polls=2)
    with pytest.raises(UserError, match=r"all jobs \(42\) have ended, and trials are left"):
        launch(jobs, polls=10)
    # The last one may have ended the last trial just then.
    launch(FakeJobs(polls=0), polls=0)


def test_whoever_stops_waiting_lets_the_jobs_know(launch):
    jobs = FakeJobs()
    test = launch(jobs, polls=10, idle=JobLauncher.stop)
    assert test.stopping
    assert test.log[-1] == "no longer waiting"
    assert jobs.calls == ["start", "leave"]


@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_a_job_is_a_worker_of_the_sweep_with_its_resources(launcher, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_STORAGE", "")
    monkeypatch.chdir(tmp_path)
    launch = LaunchOptions(launcher=launcher, job_count=5, job_time="90m")
    options = RunOptions(out="out", device="cuda", workers=2, threads=3, logger=("csv",))
    storage = StorageOptions(storage="postgresql+psycopg://me:hush@host/sweeps", grace=40)
    array = worker_array(launch, options, storage, ["a/b", "c/d"], seeds=7)
    assert (array.jobs, array.cpus, array.gpus, array.minutes, array.folder) == (5, 6, 1, 90, tmp_path)
    words = array.command[3:]
    assert words[:2] == ("sweep", "worker")
    assert dict(zip(words[2::2], words[3::2], strict=True)) == {
        "--storage": "postgresql+psycopg://me@host/sweeps",
        "--study": "a/b,c/d",
        "--out": str(tmp_path / "out"),
        "--workers": "2",
        "--threads": "3",
        "--heartbeat": "10",
        "--grace": "40",
        "--retries": "5",
        "--seeds": "7",
        "--device": "cuda",
        "--logger": "csv",
    }
    # Where nobody sees it; a worker finds it there.
    assert os.environ["WORKBENCH_STORAGE"] == "postgresql+psycopg://me:hush@host/sweeps"
    assert StorageOptions(storage=words[3]).url(None) == "postgresql+psycopg://me:hush@host/sweeps"


def test_a_file_that_several_machines_would_have_to_share_is_warned_of(tmp_path, capsys):
    for address, warned in ((None, False), ("auto", True)):
        launch = LaunchOptions(launcher="ray", ray_address=address)
        worker_array(launch, RunOptions(out=str(tmp_path)), StorageOptions(), ["a/b"], seeds=1)
        assert ("warning: the store is a file" in capsys.readouterr().err) == warned


def test_what_a_launcher_needs_is_a_line_before_anything_is_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    for name in ("ray", "slurm"):
        assert main([*GIVEN, "--launcher", name, "--out", str(tmp_path / "out")]) == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert f"pip install 'sequence-workbench[{name}]'" in line
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_jobs_of_submitit_work_on_a_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)
    out = tmp_path / "out"

    def train_here(pool, *arguments):
        pytest.fail("trials, winners and defaults are for the jobs")

    for pool in ("sweeps.local_launcher.LocalLauncher", "workbench.run_pool.RunPool"):
        monkeypatch.setattr(f"{pool}.run", train_here)
    with local_jobs(monkeypatch):
        assert main([*GIVEN, "--launcher", "slurm", "--job-count", "2", "--out", str(out)]) == 0
    captured = capsys.readouterr().err
    assert "2 jobs are submitted" in captured
    assert re.search(r"\[6/6\] addition/(rnn|gru) trial", captured)
    assert {run.experiment.seed for run in finished_runs(out)} == {0}
    jobs = "".join(path.read_text() for path in (out / "jobs").glob("*_log.err"))
    assert re.search(r"\[4/4\] addition/(rnn|gru) (tuned|default|tuned = default|default = tuned) seed 0: test", jobs)
    assert len(list((out / "jobs").glob("*_result.pkl"))) == 2
    assert (out / "report.html").exists()
