"""Medians, ratios and rounds, by clocks that are told what to show."""

import gc
import random
from statistics import median

import pytest
import torch
from scipy.stats import binom

from analysis.profile.timing import LEAST, LONG, Workload, events, rounds, sample, wall
from analysis.statistics import median_spread, paired_ratio


class Clock:
    """Shows the seconds that jobs say they take."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def job(self, seconds, log=None, name=""):
        def run():
            if log is not None:
                log.append(name)
            self.now += seconds() if callable(seconds) else seconds

        return Workload(run=run)


@pytest.mark.parametrize("n", range(1, 40))
def test_the_interval_is_the_narrowest_of_order_statistics_that_holds(n):
    found = median_spread(random.Random(n).sample(range(n), n))
    assert found.median == median(range(n))
    coverage = {k: 1 - 2 * binom.cdf(k - 1, n, 0.5) for k in range(1, n // 2 + 1)}
    holding = [k for k, share in coverage.items() if share >= 0.95]
    if not holding:
        assert n < 6
        assert (found.low, found.high) == (None, None)
    else:
        assert n >= 6
        assert (found.low, found.high) == (max(holding) - 1, n - max(holding))


def test_the_interval_covers_the_median_as_often_as_it_says():
    draw = random.Random(0)
    covered = 0
    for _ in range(4000):
        found = median_spread([draw.expovariate(1.0) for _ in range(10)])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.6931 <= found.high
    # Exactly 1 - 22 / 1024 = 0.9785; four standard errors of 4000 draws are 0.0092.
    assert covered / 4000 == pytest.approx(0.9785, abs=0.0092)


def test_what_slows_a_whole_round_down_leaves_ratios_as_they_are():
    clock, draw = Clock(), random.Random(1)
    load = [1.0]
    # Every round begins with a job that draws how slow the machine is now: up to nine times.
    slow = {"base": 0.2, "twice": 0.4, "half": 0.1}
    jobs = {name: clock.job(lambda seconds=seconds: seconds * load[0]) for name, seconds in slow.items()}
    done = [0]

    def next_measurement():
        done[0] += 1
        if done[0] % len(jobs) == 0:
            load[0] = 1 + 8 * draw.random()

    found = rounds(jobs, 9, wall(clock), progress=next_measurement)
    assert max(found["base"]) > 2 * min(found["base"])
    for name, expected in (("twice", 2.0), ("half", 0.5)):
        got = paired_ratio(found[name], found["base"])
        assert [got.median, got.low, got.high] == pytest.approx([expected] * 3)


def test_in_every_round_every_job_runs_and_the_order_changes():
    clock, log = Clock(), list[str]()
    jobs = {name: clock.job(2 * LONG, log, name) for name in "abcde"}
    found = rounds(jobs, 7, wall(clock), warm_up=1)
    # In the first round it is not known yet that they are long.
    orders = [tuple(dict.fromkeys(log[:20])), *(tuple(log[start : start + 5]) for start in range(20, len(log), 5))]
    assert len(orders) == 8
    assert all(sorted(order) == list("abcde") for order in orders)
    assert len(set(orders)) > 4
    assert {name: len(taken) for name, taken in found.items()} == dict.fromkeys("abcde", 7)


def test_warm_up_rounds_do_not_count():
    clock, times = Clock(), iter([50.0, 40.0, 35.0, 30.0, 25.0, 1.0, 2.0, 3.0])
    found = rounds({"a": clock.job(lambda: next(times))}, 3, wall(clock), warm_up=2)
    assert found["a"] == pytest.approx([1.0, 2.0, 3.0])


def test_a_short_job_is_repeated_and_its_first_run_left_out():
    clock, short = Clock(), LEAST / 8
    # The first is not counted, one is held up, and it goes on until the time is full.
    times, ran = iter([9 * LEAST, short, short, short, 2 * short, short, short, 3 * short]), list[str]()
    job = clock.job(lambda: next(times), ran)
    assert sample(job, wall(clock)) == pytest.approx(short)
    assert len(ran) == 8


def test_what_holds_up_one_run_does_not_show():
    clock, times = Clock(), iter([5.0, 70.0, 0.03, 0.03])
    assert sample(clock.job(lambda: next(times)), wall(clock), known=0.03) == pytest.approx(0.03)


def test_a_job_known_to_be_long_is_run_once():
    clock, log = Clock(), list[str]()
    assert sample(clock.job(2 * LONG, log), wall(clock), known=2 * LONG) == 2 * LONG
    assert len(log) == 1


def test_preparing_is_not_timed():
    clock = Clock()

    def prepare():
        clock.now += 100.0

    assert sample(Workload(run=clock.job(1.0).run, prepare=prepare), wall(clock)) == pytest.approx(1.0)


def test_the_collector_is_off_during_rounds_and_comes_back_even_after_an_error():
    clock, seen = Clock(), list[bool]()
    assert gc.isenabled()
    job = Workload(run=clock.job(2 * LONG).run, prepare=lambda: seen.append(gc.isenabled()))
    rounds({"a": job}, 1, wall(clock), warm_up=0)
    assert set(seen) == {False}
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        rounds({"a": Workload(run=lambda: 1 // 0)}, 1, wall())
    assert gc.isenabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_events_measure_what_the_device_does():
    a = torch.ones(4096, 4096, device="cuda")
    torch.mm(a, a)
    # The shortest of some: others may use the device meanwhile.
    one = min(events(lambda: torch.mm(a, a)) for _ in range(5))
    assert 3 * one < events(lambda: [torch.mm(a, a) for _ in range(10)])
