"""Turns of the processes that write a report of the same folder: one at a time, and none twice for the same runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
from filelock import Timeout

from workbench.config import TUNING_SEED
from workbench.locks import file_lock

LOCK_FILE = ".report.lock"


@contextmanager
def report_turn(out: Path) -> Iterator[bool]:
    """Waits until no other process writes the report of a folder, and keeps the others waiting while it lasts.

    Yields whether another one was writing it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(out / LOCK_FILE, timeout=0))
            waited = False
        except Timeout:
            stack.enter_context(file_lock(out / LOCK_FILE))
            waited = True
        yield waited


def has_all_runs(out: Path) -> bool:
    """Returns whether the report of a folder is of all runs that are finished there now."""
    try:
        told = pd.read_csv(out / "comparison.csv", usecols=["identity", "seed"], dtype=str)
    except (OSError, ValueError):
        return False
    finished = {
        (path.parents[1].name, path.parent.name.removeprefix("seed-"))
        for path in (out / "runs").glob("*/*/*/seed-*/result.json")
    }
    runs = {(identity, seed) for identity, seed in finished if not seed.isdecimal() or int(seed) < TUNING_SEED}
    return (out / "report.html").exists() and runs == set(zip(told["identity"], told["seed"], strict=True))
