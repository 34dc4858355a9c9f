"""Throughput of two workers compared with one: `python -m tests.sweeps.measure_workers`.

Both run the same trials (random ones, none of which is given up early), in turns, each in a folder of its own, for the
same number of seconds, in which the start of the command is included.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import load_studies
from sweeps.trial_budget import count_finished

NUM_TRIALS = 200
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--task.addition.length", "50", "--architectures", "lstm,gru"),
    *("--trials", str(NUM_TRIALS), "--sampler", "random", "--pruner", "none", "--steps", "400", "--log-every", "100"),
    *("--evaluation-size", "100", "--space.all.hidden_size", "[16, 32]", "--space.all.num_layers", "[1]"),
    *("--wandb", "off"),
]


def count_trials(workers: int, seconds: float) -> int:
    """Returns the number of trials that so many workers finish."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "workbench", *COMMAND, "--workers", str(workers), "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        storage = connect(default_url(Path(folder)), heartbeat=10, grace=30, log=print)
        num_finished = sum(count_finished(study.trials, NUM_TRIALS) for study in load_studies(storage))
        process.send_signal(signal.SIGINT)
        process.wait()
        return num_finished


def main() -> None:
    """Prints the counts and their ratio, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for _ in range(options.rounds):
        one, two = count_trials(1, options.seconds), count_trials(2, options.seconds)
        print(f"{options.seconds:g} s: {one} trials by one worker, {two} by two: {two / one:.2f} times", flush=True)


if __name__ == "__main__":
    main()
