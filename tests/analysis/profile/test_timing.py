"""Medians, ratios and rounds, by a clock that the workloads advance."""

import gc
import random
from statistics import median

import pytest
import torch
from scipy.stats import binom

from analysis.profile.timing import (
    LONG_RUN_SECONDS,
    MIN_SECONDS,
    Workload,
    cuda_events,
    measure,
    measure_rounds,
    wall_clock,
)
from analysis.statistics import median_interval, paired_ratio


class Clock:
    """A clock that advances by the seconds that workloads claim to take."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def workload(self, seconds, log=None, name=""):
        def run():
            if log is not None:
                log.append(name)
            self.now += seconds() if callable(seconds) else seconds

        return Workload(run=run)


@pytest.mark.parametrize("n", range(1, 40))
def test_the_interval_is_the_narrowest_of_order_statistics_that_holds(n):
    interval = median_interval(random.Random(n).sample(range(n), n))
    assert interval.median == median(range(n))
    coverage = {k: 1 - 2 * binom.cdf(k - 1, n, 0.5) for k in range(1, n // 2 + 1)}
    holding = [k for k, share in coverage.items() if share >= 0.95]
    if not holding:
        assert n < 6
        assert (interval.low, interval.high) == (None, None)
    else:
        assert n >= 6
        assert (interval.low, interval.high) == (max(holding) - 1, n - max(holding))


def test_the_interval_covers_the_median_as_often_as_it_says():
    generator = random.Random(0)
    covered = 0
    for _ in range(4000):
        interval = median_interval([generator.expovariate(1.0) for _ in range(10)])
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.6931 <= interval.high
    # Exactly 1 - 22 / 1024 = 0.9785; four standard errors of 4000 draws are 0.0092.
    assert covered / 4000 == pytest.approx(0.9785, abs=0.0092)


@pytest.fixture
def nothing_to_collect(monkeypatch):
    """Garbage, of which a process of tests has much, is not collected between measurements, whose clock is not real."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.mark.usefixtures("nothing_to_collect")
def test_what_slows_a_whole_round_down_leaves_ratios_as_they_are():
    clock, generator = Clock(), random.Random(1)
    load = [1.0]
    # Every round begins by drawing how slow the machine is now: up to nine times.
    slow = {"base": 0.2, "twice": 0.4, "half": 0.1}
    workloads = {name: clock.workload(lambda seconds=seconds: seconds * load[0]) for name, seconds in slow.items()}
    done = [0]

    def next_measurement():
        done[0] += 1
        if done[0] % len(workloads) == 0:
            load[0] = 1 + 8 * generator.random()

    seconds_by_name = measure_rounds(workloads, 9, wall_clock(clock), progress=next_measurement)
    assert max(seconds_by_name["base"]) > 2 * min(seconds_by_name["base"])
    for name, expected in (("twice", 2.0), ("half", 0.5)):
        ratio = paired_ratio(seconds_by_name[name], seconds_by_name["base"])
        assert [ratio.median, ratio.low, ratio.high] == pytest.approx([expected] * 3)


@pytest.mark.usefixtures("nothing_to_collect")
def test_in_every_round_every_job_runs_and_the_order_changes():
    clock, log = Clock(), list[str]()
    workloads = {name: clock.workload(2 * LONG_RUN_SECONDS, log, name) for name in "abcde"}
    seconds = measure_rounds(workloads, 7, wall_clock(clock), warm_up=1)
    # In the first round, their duration is still unknown.
    orders = [tuple(dict.fromkeys(log[:20])), *(tuple(log[start : start + 5]) for start in range(20, len(log), 5))]
    assert len(orders) == 8
    assert all(sorted(order) == list("abcde") for order in orders)
    assert len(set(orders)) > 4
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys("abcde", 7)


def test_warm_up_rounds_do_not_count():
    clock, times = Clock(), iter([50.0, 40.0, 35.0, 30.0, 25.0, 1.0, 2.0, 3.0])
    seconds = measure_rounds({"a": clock.workload(lambda: next(times))}, 3, wall_clock(clock), warm_up=2)
    assert seconds["a"] == pytest.approx([1.0, 2.0, 3.0])


def test_a_short_job_is_repeated_and_its_first_run_left_out():
    clock, short = Clock(), MIN_SECONDS / 8
    # The first is not counted, one is delayed, and runs are repeated until the time is full.
    times, ran = iter([9 * MIN_SECONDS, short, short, short, 2 * short, short, short, 3 * short]), list[str]()
    workload = clock.workload(lambda: next(times), ran)
    assert measure(workload, wall_clock(clock)) == pytest.approx(short)
    assert len(ran) == 8


def test_what_holds_up_one_run_does_not_show():
    clock, times = Clock(), iter([5.0, 70.0, 0.03, 0.03])
    assert measure(clock.workload(lambda: next(times)), wall_clock(clock), expected_seconds=0.03) == pytest.approx(0.03)


def test_a_job_known_to_be_long_is_run_once():
    clock, log = Clock(), list[str]()
    assert (
        measure(clock.workload(2 * LONG_RUN_SECONDS, log), wall_clock(clock), expected_seconds=2 * LONG_RUN_SECONDS)
        == 2 * LONG_RUN_SECONDS
    )
    assert len(log) == 1


def test_preparing_is_not_timed():
    clock = Clock()

    def prepare():
        clock.now += 100.0

    assert measure(Workload(run=clock.workload(1.0).run, prepare=prepare), wall_clock(clock)) == pytest.approx(1.0)


def test_the_collector_is_off_during_rounds_and_comes_back_even_after_an_error():
    clock, seen = Clock(), list[bool]()
    assert gc.isenabled()
    workload = Workload(run=clock.workload(2 * LONG_RUN_SECONDS).run, prepare=lambda: seen.append(gc.isenabled()))
    measure_rounds({"a": workload}, 1, wall_clock(clock), warm_up=0)
    assert set(seen) == {False}
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        measure_rounds({"a": Workload(run=lambda: 1 // 0)}, 1, wall_clock())
    assert gc.isenabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_events_measure_what_the_device_does():
    a = torch.ones(4096, 4096, device="cuda")
    torch.mm(a, a)
    # The shortest of several, as others may use the device meanwhile.
    one = min(cuda_events(lambda: torch.mm(a, a)) for _ in range(5))
    assert 3 * one < cuda_events(lambda: [torch.mm(a, a) for _ in range(10)])
