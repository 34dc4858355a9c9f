"""`kill -9` at any moment costs nothing but time."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.workbench.test_run import assert_same

COMMAND = [
    *("--task", "copy", "--task.copy.length", "10", "--task.copy.items", "3", "--architecture", "rda"),
    *("--architecture.rda.num_layers", "2", "--architecture.rda.dropout", "0.2", "--hidden-size", "12"),
    *("--batch-size", "8", "--log-every", "7", "--evaluation-size", "20", "--schedule", "cosine", "--device", "cpu"),
]

# What `workbench train` does, but in one process and with checkpoints many times a second, so that a kill is likely to
# hit one being written.
CHILD = """
import sys
from pathlib import Path
import workbench.recorder
workbench.recorder.CHECKPOINT_SECONDS = 0.02
from workbench.cli.parser import chosen
from workbench.cli.options import split
from workbench.cli.train import experiment_of, parser
from workbench.run import run
values, parts = chosen(parser(), sys.argv[1:])
settings, values = split(values)
import lightning.pytorch
print("ready", flush=True)
run(experiment_of(values, parts), settings.folder)
"""


def start(out, steps):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *COMMAND, "--steps", str(steps), "--out", str(out)],
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
