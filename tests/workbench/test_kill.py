"""Resuming after `kill -9`, at any moment: nothing is lost but time."""

import random
import signal
import time
from importlib.util import find_spec

import pandas as pd
import pytest

from tests.forked_command import forked_command
from tests.workbench.test_run import assert_same
from tests.workbench.training.test_loggers import read_scalars
from workbench.cli.options import RunOptions, take_options
from workbench.cli.parser import parse_arguments
from workbench.cli.train import build_experiment, build_parser
from workbench.run import run
from workbench.training.callbacks import checkpoint_file

COMMAND = [
    *("--task", "copy", "--task.copy.length", "10", "--task.copy.items", "3", "--architecture", "rda"),
    *("--architecture.rda.num_layers", "2", "--architecture.rda.dropout", "0.2", "--hidden-size", "12"),
    *("--batch-size", "8", "--log-every", "7", "--evaluation-size", "20", "--schedule", "cosine", "--device", "cpu"),
]


def train(*arguments):
    """Does what `workbench train` does, but in this process and with many checkpoints a second.

    A kill is then likely to hit a checkpoint that is being written.
    """
    checkpoint_file.CHECKPOINT_SECONDS = 0.02
    values, parts = parse_arguments(build_parser(), list(arguments))
    options = take_options(RunOptions, values)
    print("ready", flush=True)
    run(build_experiment(values, parts), options.folder, loggers=options.loggers(print))


def start(out, steps, *arguments):
    """Returns the process, not begun yet, that trains into a folder; what it prints is written beside the folder."""
    out.parent.mkdir(exist_ok=True)
    return forked_command(train, *COMMAND, "--steps", str(steps), "--out", str(out), *arguments, folder=out.parent)


def finish(out, steps, *arguments):
    with start(out, steps, *arguments) as process:
        # Half a minute for 20,000 steps where nothing else runs; beside other work, many times that.
        assert process.wait(seconds=400) == 0, process.errors
    (result,) = out.glob("runs/*/*/*/seed-0/result.json")
    return result.parent


def kill(process):
    process.signal_group(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_at_random_moments_change_no_bit(tmp_path):
    # Longer than what is left of it between ten kills, on a quick machine too.
    whole = finish(tmp_path / "whole", 20_000)
    moments = random.Random(1)
    for _ in range(10):
        with start(tmp_path / "killed", 20_000) as process:
            process.wait_until(lambda: "ready" in process.output)
            time.sleep(moments.uniform(0.1, 1.5))
            kill(process)
    assert_same(whole, finish(tmp_path / "killed", 20_000))


def test_a_kill_between_two_checkpoints_changes_no_bit(tmp_path):
    whole = finish(tmp_path / "whole", 500)
    loggers = ("--logger", "csv,tensorboard")
    with start(tmp_path / "killed", 500, *loggers) as process:
        process.wait_until(lambda: list(tmp_path.glob("killed/runs/*/*/*/*/previous.ckpt")))
        kill(process)
    assert not list(tmp_path.glob("killed/runs/*/*/*/*/result.json"))
    killed = finish(tmp_path / "killed", 500, *loggers)
    assert_same(whole, killed)
    assert list((tmp_path / "killed").glob("**/.*.tmp")) == []
    steps = pd.read_csv(whole / "metrics.csv")["step"].tolist()
    assert pd.read_csv(killed / "csv" / "metrics.csv")["step"].tolist() == [*steps, 500]
    if find_spec("tensorboard") is not None:
        assert [step for step, _ in read_scalars(killed / "tensorboard")["train/loss"]] == steps
