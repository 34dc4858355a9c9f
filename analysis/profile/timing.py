"""Timing of several workloads in turns, so that other load on the machine slows all of them down alike."""

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
"""Runs a function and returns the seconds that it took."""

MIN_SECONDS = 0.025
"""Seconds that a measurement lasts at least: a short workload is repeated."""
MIN_RUNS = 3
"""Least number of runs of a short workload in a measurement: a delay of one of them does not affect the median."""
LONG_RUN_SECONDS = 0.1
"""Seconds from which a workload is run just once, without a run before it that fills the caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A function to be timed."""

    run: Call
    prepare: Call = lambda: None
    """Called before every run, without being timed."""


def wall_clock(clock: Callable[[], float] = time.perf_counter) -> Meter:
    """Returns a meter that reads a clock, for functions that have finished when they return."""

    def meter(run: Call) -> float:
        start = clock()
        run()
        return clock() - start

    return meter


def cuda_events(run: Call) -> float:
    """Runs a function and returns the seconds that CUDA measures from before its first kernel to after its last."""
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    stop.record()
    stop.synchronize()
    seconds: float = start.elapsed_time(stop) / 1000
    return seconds


def measure(workload: Workload, meter: Meter, expected_seconds: float | None = None) -> float:
    """Returns the seconds per run: the median of at least three, after a run that does not count.

    Args:
        workload: the workload.
        meter: takes the times.
        expected_seconds: about how long a run takes, if known: a long workload is run just once. The first run cannot
            tell, as other load may slow it down.
    """

    def run_once() -> float:
        workload.prepare()
        return meter(workload.run)

    first = run_once()
    if expected_seconds is not None and expected_seconds >= LONG_RUN_SECONDS:
        return first
    runs: list[float] = []
    while len(runs) < MIN_RUNS or sum(runs) < MIN_SECONDS:
        runs.append(run_once())
    return median(runs)


def measure_rounds(
    workloads: Mapping[str, Workload],
    repeats: int,
    meter: Meter,
    *,
    warm_up: int = 2,
    seed: int = 0,
    progress: Call = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, list[float]]:
    """Measures every workload once per round, in a new random order each round.

    Args:
        workloads: the workloads, by name.
        repeats: number of rounds that count.
        meter: takes the times.
        warm_up: number of rounds before these, in which caches fill and libraries allocate and choose algorithms.
        seed: seed of the orders.
        progress: called after every measurement.
        stop: called after every round that counts; the measurement ends if it returns True.

    Returns:
        Seconds per run for each workload, by round: values of the same index are from the same round.
    """
    generator = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in workloads}
    fastest: dict[str, float] = {}
    with garbage_collection_disabled():
        for number in range(-warm_up, repeats):
            gc.collect()
            for name in generator.sample(list(workloads), len(workloads)):
                value = measure(workloads[name], meter, fastest.get(name))
                fastest[name] = min(value, fastest.get(name, value))
                if number >= 0:
                    seconds[name].append(value)
                progress()
            if number >= 0 and stop():
                break
    return seconds


@contextmanager
def garbage_collection_disabled() -> Iterator[None]:
    """Disables Python's automatic garbage collection."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
