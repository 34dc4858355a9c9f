"""Times of several jobs, taken in turns: a machine that others use slows them all down alike."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch

Call = Callable[[], object]
Meter = Callable[[Call], float]
"""Runs something; returns the seconds that took."""

LEAST = 0.025
"""Seconds that a measurement lasts: short jobs are repeated that long."""
FEWEST = 3
"""Runs of a short job in a measurement: what holds one of them up does not show in the median."""
LONG = 0.1
"""Seconds from which a job is run once, and need not be run before to find its data in the caches again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something to be timed."""

    run: Call
    prepare: Call = lambda: None
    """Called before every run, and not timed."""


def wall(clock: Callable[[], float] = time.perf_counter) -> Meter:
    """A meter by the clock, for what has ended when it returns."""

    def meter(run: Call) -> float:
        start = clock()
        run()
        return clock() - start

    return meter


def events(run: Call) -> float:
    """A meter for CUDA: the device's own time from before the first kernel to after the last."""
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    stop.record()
    stop.synchronize()
    seconds: float = start.elapsed_time(stop) / 1000
    return seconds


def sample(job: Workload, meter: Meter, known: float | None = None) -> float:
    """Seconds a run: the median of at least three, after one that is not counted.

    Args:
        job: what to run.
        meter: takes the times.
        known: about how long it takes: a long one is run just once. What this run takes does not tell, as it may be
            held up by others.
    """

    def once() -> float:
        job.prepare()
        return meter(job.run)

    first = once()
    if known is not None and known >= LONG:
        return first
    runs: list[float] = []
    while len(runs) < FEWEST or sum(runs) < LEAST:
        runs.append(once())
    return median(runs)


def rounds(
    jobs: Mapping[str, Workload],
    repeats: int,
    meter: Meter,
    *,
    warm_up: int = 2,
    seed: int = 0,
    progress: Call = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, list[float]]:
    """Measures every job once a round, in an order that is drawn anew for each.

    Args:
        jobs: by name.
        repeats: rounds that count.
        meter: takes the times.
        warm_up: rounds before these: caches fill, memory is taken, libraries choose their ways.
        seed: of the orders.
        progress: called after every measurement.
        stop: asked after every round that counts whether that was the last.

    Returns:
        Seconds a run, for each job by round: entries of the same index are of the same round.
    """
    draw = random.Random(seed)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    known: dict[str, float] = {}
    with without_collector():
        for number in range(-warm_up, repeats):
            gc.collect()
            for name in draw.sample(list(jobs), len(jobs)):
                seconds = sample(jobs[name], meter, known.get(name))
                known[name] = min(seconds, known.get(name, seconds))
                if number >= 0:
                    taken[name].append(seconds)
                progress()
            if number >= 0 and stop():
                break
    return taken


@contextmanager
def without_collector() -> Iterator[None]:
    """Keeps Python's garbage collector from starting by itself, as long as the context lasts."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
