"""What mirroring costs a comparison of a hundred runs: `python -m tests.analysis.dashboards.measure_mirror`.

With `--rounds N` it is measured N times.

The same comparison, in turns with and without the mirror, each into an empty folder. A busy machine trains at half or
twice the speed from one minute to the next, which is far more than what is looked for. So beside the seconds on the
clock and the processor seconds of everything, those of the processes that train are told from those of the rest: the
command itself, whose thread writes the records, and W&B's. The first do the same work either way; the rest is the cost.
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

COMPARISON = Path(__file__).parents[3] / "examples/demo.yaml"
POLL = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
COLUMNS = ("seconds", "processor seconds", "of it beside training")


def used() -> dict[int, tuple[int, float, bool]]:
    """Of every process its parent, its processor seconds so far, and whether it is one that trains."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            trains = b"spawn_main" in (folder / "cmdline").read_bytes()
            found[int(folder.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS, trains)
        except (OSError, ValueError, IndexError):
            continue
    return found


def measure(mode: str, given: list[str]) -> tuple[float, float, float]:
    """Seconds and processor seconds of one comparison, and of the latter those that were not spent on training."""
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "workbench", "compare", "--config", str(COMPARISON), "--tasks", "addition"]
    command += ["--seeds", "10", "--wandb", mode, "--out", folder, *given]
    start, before = time.perf_counter(), os.times()
    said = Path(folder, "said.txt")
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    beside: dict[int, float] = {}
    below: set[int] = {process.pid}
    training: set[int] = set()
    while process.poll() is None:
        for pid, (parent, seconds, trains) in sorted(used().items()):
            if pid in below or parent in below:
                below.add(pid)
                # One that is ending has no command line any more.
                training |= {pid} if trains else set()
                beside[pid] = seconds
        time.sleep(POLL)
    taken, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise SystemExit(f"the comparison ended with {process.returncode}: {said.read_text()[-500:]}")
    shutil.rmtree(folder)
    total = after.children_user + after.children_system - before.children_user - before.children_system
    return taken, total, sum(seconds for pid, seconds in beside.items() if pid not in training)


def main() -> None:
    """Prints every round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    rounds, given = parser.parse_known_args()
    found: dict[str, list[tuple[float, ...]]] = {"off": [], "offline": []}
    for index in range(rounds.rounds):
        # Whoever goes first finds the machine in another state, so they take turns in that too.
        for mode in ("off", "offline") if index % 2 == 0 else ("offline", "off"):
            found[mode].append(measure(mode, given))
            said = (f"{value:.1f} {name}" for value, name in zip(found[mode][-1], COLUMNS, strict=True))
            print(f"{mode}: {', '.join(said)}", flush=True)
    off, offline = ([median(each[which] for each in found[mode]) for which in range(3)] for mode in found)
    for name, without, mirrored in zip(COLUMNS, off, offline, strict=True):
        print(f"{name}: {without:.1f} without, {mirrored:.1f} with the mirror: {100 * (mirrored / without - 1):+.1f} %")
    share = 100 * (offline[2] - off[2]) / off[1]
    print(f"beside training: {offline[2] - off[2]:+.1f} processor seconds, {share:+.1f} % of the whole comparison's")


if __name__ == "__main__":
    main()
