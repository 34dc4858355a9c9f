"""How often comparisons are right, by simulation: from run folders as they are written, to the words of the report."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.comparison.intervals import loss_interval, share_interval
from analysis.comparison.losses import LossComparison, compare_losses
from analysis.comparison.pairs import Groups
from analysis.comparison.solve_times import median_time
from analysis.grouping import build_sections
from analysis.probes.aggregate import RowResults
from analysis.probes.result import Metric, ProbeResult
from analysis.report.changes import loss_effect
from analysis.statistics import Estimate, bootstrap_mean, mean_interval, two_way_bootstrap
from architectures import names
from tests.analysis.report_runs import experiment, write_run
from workbench.files import read_json
from workbench.results import Run, finished_runs

pytestmark = pytest.mark.slow

SIMULATIONS = 400
LIMITS = (0.93, 0.97)
"""Bounds of the coverage of every interval."""


class Simulation:
    """Folders of runs whose losses are drawn again and again."""

    def __init__(self, out: Path, architectures: int, seeds: int) -> None:
        for name in names()[:architectures]:
            for seed in range(seeds):
                write_run(out, experiment(name, seed=seed), loss=0.01)
        self.runs = list(finished_runs(out))
        self.seeds = seeds

    def compare(self, logs: np.ndarray) -> LossComparison:
        """Returns the comparison of runs with these logarithms of the test loss, (architectures, seeds)."""
        runs = []
        for run, log in zip(self.runs, logs.ravel(), strict=True):
            result = read_json(run.folder / "result.json") | {"test": {"loss": float(np.exp(log))}}
            # As `write_json` writes it, but without waiting for the disk.
            (run.folder / "result.json").write_text(json.dumps(result))
            written = read_json(run.folder / "result.json")
            runs.append(Run(folder=run.folder, experiment=run.experiment, result=written, timing={}))
        (section,) = build_sections(runs)
        comparison = compare_losses(section)
        assert comparison is not None
        return comparison


@pytest.mark.parametrize("seeds", [5, 10])
def test_equal_architectures_are_rarely_told_apart(tmp_path: Path, seeds: int) -> None:
    simulation, generator = Simulation(tmp_path, 10, seeds), np.random.default_rng(seeds)
    told = 0
    for _ in range(SIMULATIONS):
        comparison = simulation.compare(-5 + generator.normal(size=(10, seeds)))
        told += comparison.best is not None or bool(comparison.apart.any())
    assert told / SIMULATIONS <= 0.06


@pytest.mark.parametrize(("seeds", "least"), [(5, 0.55), (10, 0.90)])
def test_the_best_of_seven_is_named(tmp_path: Path, seeds: int, least: float) -> None:
    simulation, generator = Simulation(tmp_path, 7, seeds), np.random.default_rng(seeds)
    best = simulation.runs[2 * seeds].experiment.architecture.name
    named = wrong = 0
    # Enough that the share is known to 1.2 %.
    simulations = 4 * SIMULATIONS
    for _ in range(simulations):
        logs = -5 + generator.normal(size=(7, seeds))
        logs[2] -= 2
        comparison = simulation.compare(logs)
        if comparison.best is not None:
            named += comparison.best.row.label == best
            wrong += comparison.best.row.label != best
    assert named / simulations >= least
    assert wrong / simulations <= 0.01


@pytest.mark.parametrize("others", [1.0, 0.3], ids=["all alike", "the others vary little"])
def test_two_rows_that_share_the_first_place_are_seldom_called_best(tmp_path: Path, others: float) -> None:
    simulation, generator = Simulation(tmp_path, 6, 5), np.random.default_rng(0)
    wrong = 0
    for _ in range(SIMULATIONS):
        logs = generator.normal(size=(6, 5)) - 10
        logs[2:] = others * (logs[2:] + 10) - 2
        wrong += simulation.compare(logs).best is not None
    # The hardest cases of the test of the best: 5 %, and two standard errors of so many simulations.
    assert wrong / SIMULATIONS <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


def covered(low: float | None, value: float, high: float | None) -> bool:
    """Returns whether an interval holds a value; an end that was not reached is beyond every value."""
    return (low is None or low <= value) and (high is None or value <= high)


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_hold_the_true_value_in_95_of_100(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    hits = dict.fromkeys(("loss", "mean", "share", "share alone", "test set", "median", "censored median"), 0)
    trials = 4000
    for _ in range(trials):
        logs = generator.normal(-5, 1.3, size=seeds)
        loss = loss_interval(np.exp(logs).tolist())
        hits["loss"] += covered(loss.low, float(np.exp(-5)), loss.high)
        mean = mean_interval(logs)
        hits["mean"] += mean.low <= -5 <= mean.high
        # Seeds that differ, on a test set too large to matter; then seeds alike, on one small test set.
        shares = 1 / (1 + np.exp(-generator.normal(2, 0.8, size=seeds)))
        share = share_interval((np.round(shares * 10_000) / 10_000).tolist(), answers=10_000)
        hits["share"] += covered(share.low, 1 / (1 + np.exp(-2)), share.high)
        alone = share_interval(generator.normal(0.8, 0.03, size=seeds).tolist())
        hits["share alone"] += covered(alone.low, 0.8, alone.high)
        share = share_interval([generator.binomial(200, 0.8) / 200] * seeds, answers=200)
        hits["test set"] += covered(share.low, 0.8, share.high)
        times = np.exp(generator.normal(6, 0.5, size=seeds))
        hits["median"] += median_holds(times.tolist(), np.exp(6))
        # A third is censored: the budget ends at the upper third of the times.
        budget = float(np.exp(6 + 0.5 * 0.4307))
        hits["censored median"] += median_holds([time if time <= budget else None for time in times], np.exp(6))
    shares_held = {name: count / trials for name, count in hits.items()}
    assert all(LIMITS[0] <= share <= LIMITS[1] for share in shares_held.values()), shares_held


def median_holds(times: Sequence[float | None], truth: float) -> bool:
    """Returns whether the interval of a median holds the true one."""
    time = median_time(times)
    return covered(time.low, truth, time.high)


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("spreads", [[1.0] * 7, [1.0, 3.0, 1.0, 0.3, 1.0, 2.0, 0.5]], ids=["alike", "unlike"])
def test_intervals_of_the_distance_of_two_rows(spreads: Sequence[float], seeds: int) -> None:
    generator, trials, held = np.random.default_rng(seeds), 2000, 0
    for _ in range(trials):
        samples = [generator.normal(-place, spread, size=seeds) for place, spread in enumerate(spreads)]
        difference = Groups.of(samples).difference(0, 1)
        held += covered(difference.low, -1.0, difference.high)
    # Of rows that spread unlike each other none has a smaller variance than its own: the interval may be wider.
    assert LIMITS[0] <= held / trials <= (LIMITS[1] if len(set(spreads)) == 1 else 0.98)


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_of_what_changed_between_two_folders(seeds: int) -> None:
    generator, trials, held = np.random.default_rng(seeds), 2000, {"paired": 0, "unpaired": 0}

    def runs(logs: np.ndarray, first: int) -> list[Run]:
        return [
            Run(
                folder=Path(),
                experiment=experiment(seed=first + seed),
                result={"test": {"loss": float(np.exp(log))}, "status": "finished"},
                timing={},
            )
            for seed, log in enumerate(logs)
        ]

    for _ in range(trials):
        shared = generator.normal(0, 1, size=seeds)
        before, after = (shared + generator.normal(mean, 0.5, size=seeds) for mean in (-3, -4))
        paired = loss_effect(runs(before, 0), runs(after, 0))
        apart = loss_effect(runs(before, 0), runs(after - shared + generator.normal(0, 1, size=seeds), 100))
        for name, effect in (("paired", paired), ("unpaired", apart)):
            assert effect is not None
            held[name] += covered(effect.low, float(np.exp(-1)), effect.high)
    assert all(LIMITS[0] <= count / trials <= LIMITS[1] for count in held.values()), held


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_of_what_probes_measure(seeds: int, tmp_path: Path) -> None:
    write_run(tmp_path, experiment())
    ((row,),) = (section.rows for section in build_sections(finished_runs(tmp_path)))
    generator, trials, held = np.random.default_rng(seeds), 2000, {"seeds": 0, "sequences": 0}

    def estimate(values: np.ndarray, half: float, shared: bool) -> Estimate:
        metrics = [
            Metric(value=value, low=value - half, high=value + half, unit="steps", what="it") for value in values
        ]
        results = tuple(ProbeResult(metrics={"it": metric}) for metric in metrics)
        found = RowResults(row=row, results=results, shared_error=shared).metric("it")
        assert found is not None
        return found

    for _ in range(trials):
        # Seeds differ, and the probe is exact; or seeds are alike, and all err with the sequences that they share.
        spread = estimate(generator.normal(50, 5, size=seeds), 0.01, shared=False)
        held["seeds"] += covered(spread.low, 50, spread.high)
        alike = estimate(50 + generator.normal() + generator.normal(0, 1e-3, size=seeds), 1.96, shared=True)
        held["sequences"] += covered(alike.low, 50, alike.high)
    assert all(LIMITS[0] <= count / trials <= LIMITS[1] for count in held.values()), held


@pytest.mark.parametrize("over_units", [True, False])
@pytest.mark.parametrize(("by_sequence", "by_unit", "rest"), [(1, 0, 1), (0, 1, 1), (1, 1, 0.1)])
def test_intervals_of_a_probe_over_its_sequences_and_units(
    by_sequence: float, by_unit: float, rest: float, over_units: bool
) -> None:
    """As a probe has them by default: 32 sequences, and 64 units that are drawn or given."""
    generator, trials, held = np.random.default_rng(0), 2000, 0
    for _ in range(trials):
        units = generator.normal(size=64)
        table = by_sequence * generator.normal(size=(32, 1)) + by_unit * units + rest * generator.normal(size=(32, 64))
        found = two_way_bootstrap(table, bootstrap_mean, over_units=over_units)
        held += covered(found.low, 0 if over_units else by_unit * units.mean(), found.high)
    assert LIMITS[0] <= held / trials <= LIMITS[1]


@pytest.mark.parametrize("seeds", [5, 10])
def test_censored_medians_are_unbiased(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    budget = float(np.exp(0.5 * 0.4307))
    trials, below = 4000, 0.0
    for _ in range(trials):
        times = [time if time <= budget else None for time in np.exp(generator.normal(0, 0.5, size=seeds))]
        median = median_time(times).median
        below += median is not None and median < 1
    # As often too early as too late.
    assert below / trials == pytest.approx(0.5, abs=2 * np.sqrt(0.25 / trials) + 0.01)
