"""Resuming after `kill -9`, at any moment: nothing is lost but time."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.workbench.test_run import assert_same
from workbench import recorder
from workbench.cli.options import RunOptions, take_options
from workbench.cli.parser import parse_arguments
from workbench.cli.train import build_experiment, build_parser
from workbench.run import run

COMMAND = [
    *("--task", "copy", "--task.copy.length", "10", "--task.copy.items", "3", "--architecture", "rda"),
    *("--architecture.rda.num_layers", "2", "--architecture.rda.dropout", "0.2", "--hidden-size", "12"),
    *("--batch-size", "8", "--log-every", "7", "--evaluation-size", "20", "--schedule", "cosine", "--device", "cpu"),
]


def train():
    """Does what `workbench train` does, but in this process and with many checkpoints a second.

    A kill is then likely to hit a checkpoint that is being written.
    """
    recorder.CHECKPOINT_SECONDS = 0.02
    values, parts = parse_arguments(build_parser(), sys.argv[1:])
    options = take_options(RunOptions, values)
    print("ready", flush=True)
    run(build_experiment(values, parts), options.folder)


def start(out, steps):
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from {__name__} import train; train()",
            *COMMAND,
            "--steps",
            str(steps),
            "--out",
            str(out),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )


def finish(out, steps):
    process = start(out, steps)
    process.communicate()
    assert process.returncode == 0
    (result,) = out.glob("runs/*/*/*/seed-0/result.json")
    return result.parent


def kill(process):
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return running


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_at_random_moments_change_no_bit(tmp_path):
    whole = finish(tmp_path / "whole", 6000)
    moments = random.Random(1)
    for _ in range(10):
        process = start(tmp_path / "killed", 6000)
        process.stdout.readline()
        time.sleep(moments.uniform(0.5, 4.0))
        assert kill(process), "the run ended before it could be killed"
    assert_same(whole, finish(tmp_path / "killed", 6000))


def test_a_kill_between_two_checkpoints_changes_no_bit(tmp_path):
    whole = finish(tmp_path / "whole", 500)
    process = start(tmp_path / "killed", 500)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("killed/runs/*/*/*/*/previous.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert kill(process), "the run ended before it could be killed"
    assert not list(tmp_path.glob("killed/runs/*/*/*/*/result.json"))
    assert_same(whole, finish(tmp_path / "killed", 500))
    assert list((tmp_path / "killed").glob("**/.*.tmp")) == []
