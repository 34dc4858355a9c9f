"""What mirroring costs a comparison of a hundred runs: `python -m tests.dashboards.measure_mirror [--rounds N]`.

The same comparison, in turns with and without the mirror, each into an empty folder; seconds on the clock, which a busy
machine disturbs, and processor seconds of all processes, which it disturbs less.
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

COMPARISON = Path(__file__).parents[2] / "examples/demo.yaml"


def measure(mode: str, given: list[str]) -> tuple[float, float]:
    """Seconds and processor seconds of one comparison."""
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "workbench", "compare", "--config", str(COMPARISON), "--tasks", "addition"]
    start, before = time.perf_counter(), os.times()
    subprocess.run(
        [*command, "--seeds", "10", "--wandb", mode, "--out", folder, *given], check=True, capture_output=True
    )
    seconds, after = time.perf_counter() - start, os.times()
    shutil.rmtree(folder)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def main() -> None:
    """Prints every round, and the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    rounds, given = parser.parse_known_args()
    found: dict[str, list[tuple[float, float]]] = {"off": [], "offline": []}
    for index in range(rounds.rounds):
        # Whoever goes first finds the machine in another state, so they take turns in that too.
        for mode in ("off", "offline") if index % 2 == 0 else ("offline", "off"):
            found[mode].append(measure(mode, given))
            print(f"{mode}: {found[mode][-1][0]:.1f} s, {found[mode][-1][1]:.1f} processor seconds", flush=True)
    for which, name in enumerate(("seconds", "processor seconds")):
        off, offline = (median(each[which] for each in found[mode]) for mode in ("off", "offline"))
        print(f"{name}: {off:.1f} without, {offline:.1f} with the mirror: {100 * (offline / off - 1):+.1f} %")


if __name__ == "__main__":
    main()
