"""How many trials two workers finish in the time in which one finishes some: `python -m tests.sweeps.measure_workers`.

Both do the same trials (drawn by chance, none given up early), in turns, each in a folder of its own, for the same
seconds from the command on, start-up included.
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
from sweeps.trial_budget import finished_trials

ASKED = 200
COMMAND = [
    *("sweep", "run", "--tasks", "addition", "--task.addition.length", "50", "--architectures", "lstm,gru"),
    *("--trials", str(ASKED), "--sampler", "random", "--pruner", "none", "--steps", "400", "--log-every", "100"),
    *("--evaluation-size", "100", "--space.all.hidden_size", "[16, 32]", "--space.all.num_layers", "[1]"),
    *("--wandb", "off"),
]


def trials(workers: int, seconds: float) -> int:
    """Trials that so many workers finish."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "workbench", *COMMAND, "--workers", str(workers), "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        storage = connect(default_url(Path(folder)), heartbeat=10, grace=30, say=print)
        found = sum(finished_trials(opened.trials, ASKED) for opened in load_studies(storage))
        process.send_signal(signal.SIGINT)
        process.wait()
        return found


def main() -> None:
    """Prints the counts and their ratio, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for _ in range(given.rounds):
        one, two = trials(1, given.seconds), trials(2, given.seconds)
        print(f"{given.seconds:g} s: {one} trials by one worker, {two} by two: {two / one:.2f} times", flush=True)


if __name__ == "__main__":
    main()
