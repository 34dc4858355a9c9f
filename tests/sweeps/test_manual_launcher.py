"""Workers that somebody else starts, by the command that is printed for them."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, cast

import pytest

from sweeps import manual_launcher
from sweeps.manual_launcher import ManualLauncher
from sweeps.storage_url import absolute_url, default_url
from sweeps.studies import LoadedStudy
from sweeps.worker import WorkerConfig
from workbench.cli.sweep.storage_options import StorageOptions
from workbench.cli.sweep.tune import worker_command
from workbench.results import finished

ODD = 'it\'s $HOME; 50% of "all" & more?'
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--task.addition.length", "4", "--architectures", "rnn"),
    *("--trials", "2", "--seeds", "1", "--steps", "4", "--log-every", "2", "--evaluation-size", "20"),
    *("--space.all.hidden_size", "{high: 32}", "--threads", "1", "--device", "cpu", "--wandb", "off"),
    *("--heartbeat", "3", "--grace", "7", "--retries", "4", "--launcher", "print"),
]


def start(out):
    """A sweep, and the command that it prints."""
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
    # One that is interrupted leaves all to the next.
    process, command = start(out)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "those that were started go on" in said
    assert "the same command goes on from there" in said
    assert not (out / "report.html").exists()

    process, again = start(out)
    assert again == command
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    worked = subprocess.run(
        ["bash", "-c", command],
        cwd=elsewhere,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert worked.returncode == 0, worked.stderr
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "[2/2] addition/rnn trial" in said
    assert (out / "report.html").exists()
    assert {run.experiment.seed for run in finished(out)} == {0}
    assert list(elsewhere.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path != elsewhere] == [ODD]


@pytest.fixture
def order(tmp_path):
    def make(url):
        return WorkerConfig(
            url=url, names=("a/b", "c/d"), out=tmp_path / ODD, threads=3, heartbeat=4, grace=9, retries=2
        )

    return make


def test_the_command_says_all_that_a_worker_is_told(order, tmp_path):
    words = shlex.split(worker_command(order(default_url(tmp_path / ODD))))
    assert words[:3] == ["workbench", "sweep", "worker"]
    assert dict(zip(words[3::2], words[4::2], strict=True)) == {
        "--storage": default_url(tmp_path / ODD),
        "--study": "a/b,c/d",
        "--out": str(tmp_path / ODD),
        "--workers": "1",
        "--threads": "3",
        "--heartbeat": "4",
        "--grace": "9",
        "--retries": "2",
    }


def test_the_command_has_no_password_and_no_path_that_depends_on_the_folder(order, tmp_path, monkeypatch):
    assert "secret" not in worker_command(order("postgresql+psycopg://me:secret@host/sweeps"))
    assert "postgresql+psycopg://me@host/sweeps" in worker_command(order("postgresql+psycopg://me:secret@host/sweeps"))
    monkeypatch.chdir(tmp_path)
    url = StorageOptions(storage="sqlite:///here/sweep.db").url(None)
    assert f"sqlite:///{tmp_path}/here/sweep.db" in worker_command(order(url))


def test_a_url_is_rooted_once_and_only_if_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        absolute_url("sqlite:///s.db")
        == absolute_url(absolute_url("sqlite:///s.db"))
        == default_url(tmp_path).replace("sweep.db", "s.db")
    )
    assert absolute_url("postgresql+psycopg://me:secret@host/sweeps") == "postgresql+psycopg://me:secret@host/sweeps"


class TestWaiting:
    """For studies that are over after some looks."""

    @pytest.fixture
    def waiting(self, monkeypatch):
        def make(looks):
            left = iter(range(looks, -1, -1))
            made = SimpleNamespace(said=[], idles=0, slept=[])
            monkeypatch.setattr(manual_launcher, "is_complete", lambda opened: next(left) == 0)
            monkeypatch.setattr("sweeps.manual_launcher.time.sleep", made.slept.append)

            def idle():
                made.idles += 1

            made.crew = ManualLauncher(
                command="the command", studies=[cast(LoadedStudy, None)], idle=idle, say=made.said.append
            )
            return made

        return make

    def test_ends_when_nothing_is_left(self, waiting):
        made = waiting(3)
        made.crew.run()
        assert made.said[1] == "the command"
        assert (len(made.said), made.idles, made.slept) == (2, 3, [manual_launcher.LOOK_SECONDS] * 3)
        assert not made.crew.stopping

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_ends_when_stopped_and_says_that_the_workers_go_on(self, waiting, how):
        made = waiting(10)
        made.crew.idle = getattr(made.crew, how)
        made.crew.run()
        assert made.crew.stopping
        assert len(made.slept) == 1
        assert "go on" in made.said[2]
