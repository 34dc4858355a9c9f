"""The launcher `print`: its command starts workers anywhere, and it waits for them."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, cast

import pytest

from analysis.dashboards.mirror.live import LiveRuns
from analysis.dashboards.mirror.state import Destination
from sweeps import manual_launcher
from sweeps.manual_launcher import ManualLauncher
from sweeps.storage_url import absolute_url, default_url
from sweeps.studies import LoadedStudy
from sweeps.worker import WorkerConfig
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.cli.sweep.tune import worker_words
from workbench.launchers.job_array import join_words
from workbench.results import finished_runs
from workbench.run_loggers import LightningLogger

ODD = 'it\'s $HOME; 50% of "all" & more?'
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--task.addition.length", "4", "--architectures", "rnn"),
    *("--trials", "2", "--seeds", "1", "--steps", "4", "--log-every", "2", "--evaluation-size", "20"),
    *("--space.all.hidden_size", "{high: 32}", "--threads", "1", "--device", "cpu", "--wandb", "off"),
    *("--heartbeat", "3", "--grace", "7", "--retries", "4", "--launcher", "print"),
]


def start(out):
    """Starts a sweep; returns its process, and the command that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *COMMAND, "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in cast(IO[str], process.stdout):
        if line.startswith("workbench sweep worker "):
            return process, line.strip()
    raise AssertionError(f"it ended with {process.wait()} and printed no command")


@pytest.mark.slow
def test_a_sweep_is_ended_by_workers_that_the_printed_command_starts(tmp_path):
    out, elsewhere = tmp_path / ODD / "out", tmp_path / "elsewhere"
    out.parent.mkdir()
    elsewhere.mkdir()
    # A sweep that is interrupted leaves everything to the next one.
    process, command = start(out)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "those that were started continue" in output
    assert "run the same command again to resume" in output
    assert not (out / "report.html").exists()

    process, again = start(out)
    assert again == command
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    worker = subprocess.run(
        ["bash", "-c", command],
        cwd=elsewhere,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert worker.returncode == 0, worker.stderr
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert "[2/2] addition/rnn trial" in output
    assert (out / "report.html").exists()
    assert {run.experiment.seed for run in finished_runs(out)} == {0}
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path != elsewhere] == [ODD]


@pytest.fixture
def make_config(tmp_path):
    def make(url, loggers=()):
        return WorkerConfig(
            url=url,
            study_names=("a/b", "c/d"),
            out=tmp_path / ODD,
            threads=3,
            heartbeat=4,
            grace=9,
            retries=2,
            loggers=loggers,
        )

    return make


def test_the_command_has_the_whole_configuration_of_a_worker(make_config, tmp_path):
    words = worker_words(make_config(default_url(tmp_path / ODD)), workers=1)
    assert words[:2] == ("sweep", "worker")
    assert tuple(shlex.split(join_words(words))) == words
    assert dict(zip(words[2::2], words[3::2], strict=True)) == {
        "--storage": default_url(tmp_path / ODD),
        "--study": "a/b,c/d",
        "--out": str(tmp_path / ODD),
        "--workers": "1",
        "--threads": "3",
        "--heartbeat": "4",
        "--grace": "9",
        "--retries": "2",
    }
    live = LiveRuns(mode="offline", destination=Destination(project="mine"))
    with_loggers = make_config(default_url(tmp_path / ODD), (LightningLogger(name="csv"), live))
    assert worker_words(with_loggers, workers=1) == (*words, "--logger", "csv,wandb", "--wandb-project", "mine")


def test_the_command_has_no_password_and_no_path_that_depends_on_the_folder(make_config, tmp_path, monkeypatch):
    words = worker_words(make_config("postgresql+psycopg://me:secret@host/sweeps"), workers=1)
    assert "secret" not in " ".join(words)
    assert "postgresql+psycopg://me@host/sweeps" in words
    monkeypatch.chdir(tmp_path)
    url = StorageOptions(storage="sqlite:///here/sweep.db").url(None)
    assert f"sqlite:///{tmp_path}/here/sweep.db" in worker_words(make_config(url), workers=1)


def test_a_url_is_made_absolute_once_and_only_if_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        absolute_url("sqlite:///s.db")
        == absolute_url(absolute_url("sqlite:///s.db"))
        == default_url(tmp_path).replace("sweep.db", "s.db")
    )
    assert absolute_url("postgresql+psycopg://me:secret@host/sweeps") == "postgresql+psycopg://me:secret@host/sweeps"


class TestWaiting:
    """Waiting for studies that are done after some polls."""

    @pytest.fixture
    def waiting(self, monkeypatch):
        def make(polls):
            left = iter(range(polls, -1, -1))
            test = SimpleNamespace(log=[], idles=0, slept=[])
            monkeypatch.setattr(manual_launcher, "is_done", lambda study: next(left) == 0)
            monkeypatch.setattr("sweeps.manual_launcher.time.sleep", test.slept.append)

            def idle():
                test.idles += 1

            test.launcher = ManualLauncher(
                command="the command", studies=[cast(LoadedStudy, None)], idle=idle, log=test.log.append
            )
            return test

        return make

    def test_ends_when_nothing_is_left(self, waiting):
        test = waiting(3)
        test.launcher.run()
        assert test.log[1] == "the command"
        assert (len(test.log), test.idles, test.slept) == (2, 3, [manual_launcher.POLL_SECONDS] * 3)
        assert not test.launcher.stopping

    @pytest.mark.parametrize("method", ["stop", "kill"])
    def test_ends_when_stopped_and_says_that_the_workers_continue(self, waiting, method):
        test = waiting(10)
        test.launcher.idle = getattr(test.launcher, method)
        test.launcher.run()
        assert test.launcher.stopping
        assert len(test.slept) == 1
        assert "continue" in test.log[2]
