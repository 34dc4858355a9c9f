"""Benchmark of the mirror on a comparison of seventy runs: `python -m tests.analysis.dashboards.measure_mirror`.

`--rounds N` repeats it N times.

It runs the same comparison alternately with and without the mirror, each time into an empty folder. On a busy machine
the speed of training varies by a factor of two from one minute to the next, far more than the cost of the mirror. So
beside the wall-clock time and the total processor time, it reports the processor time outside the training processes:
of the command itself, whose thread writes the records, and of W&B. Training does the same work either way; the rest is
the cost.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COMPARISON = ("--tasks", "addition", "--task.addition.length", "20", "--architectures", "rnn,lstm,gru,rwa,rda,tcn,han")
SETTINGS = ("--hidden-size", "32", "--steps", "700", "--learning-rate", "0.005", "--log-every", "70")
POLL = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
COLUMNS = ("seconds", "processor seconds", "of it outside training")


def processes() -> dict[int, tuple[int, float, bool]]:
    """Returns the parent of every process, its processor seconds so far, and whether it trains."""
    table = {}
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            trains = b"spawn_main" in (folder / "cmdline").read_bytes()
            table[int(folder.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, trains)
        except (OSError, ValueError, IndexError):
            continue
    return table


def measure(mode: str, arguments: list[str]) -> tuple[float, float, float]:
    """Returns the seconds, the processor seconds, and the processor seconds outside training of one comparison."""
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "workbench", "compare", *COMPARISON, *SETTINGS]
    command += ["--seeds", "10", "--wandb", mode, "--out", folder, *arguments]
    start, before = time.perf_counter(), os.times()
    output = Path(folder, "output.txt")
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    by_process: dict[int, float] = {}
    descendants: set[int] = {process.pid}
    training: set[int] = set()
    while process.poll() is None:
        for pid, (parent, seconds, trains) in sorted(processes().items()):
            if pid in descendants or parent in descendants:
                descendants.add(pid)
                # A process that is ending has no command line any more.
                training |= {pid} if trains else set()
                by_process[pid] = seconds
        time.sleep(POLL)
    seconds_taken, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise SystemExit(f"the comparison ended with {process.returncode}: {output.read_text()[-500:]}")
    shutil.rmtree(folder)
    total = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds_taken, total, sum(seconds for pid, seconds in by_process.items() if pid not in training)


def main() -> None:
    """Prints every round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    rounds, arguments = parser.parse_known_args()
    results: dict[str, list[tuple[float, ...]]] = {"off": [], "offline": []}
    for index in range(rounds.rounds):
        # The first run finds the machine in another state, so the order alternates too.
        for mode in ("off", "offline") if index % 2 == 0 else ("offline", "off"):
            results[mode].append(measure(mode, arguments))
            texts = (f"{value:.1f} {name}" for value, name in zip(results[mode][-1], COLUMNS, strict=True))
            print(f"{mode}: {', '.join(texts)}", flush=True)
    off, offline = ([median(row[column] for row in rows) for column in range(3)] for rows in results.values())
    for name, without, mirrored in zip(COLUMNS, off, offline, strict=True):
        print(f"{name}: {without:.1f} without, {mirrored:.1f} with the mirror: {100 * (mirrored / without - 1):+.1f} %")
    share = 100 * (offline[2] - off[2]) / off[1]
    print(f"outside training: {offline[2] - off[2]:+.1f} processor seconds, {share:+.1f} % of the whole comparison's")


if __name__ == "__main__":
    main()
