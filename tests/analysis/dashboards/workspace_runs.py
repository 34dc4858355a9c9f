"""A folder of results with known contents: two tasks, probes, trials, and a report."""

from dataclasses import replace
from pathlib import Path

from analysis.probes import registry
from analysis.probes.registry import ProbeRecord
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.report.build import write
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import study, trial
from workbench import study_files
from workbench.config import TUNING_SEED

COPY = {"length": 20}


def found(horizon: float | None) -> ProbeResult:
    """What the probe of memory has found."""
    numbers = {"memory_capacity": Metric(value=3.0, unit="outputs", what="sum of R²", low=2.0, high=4.0)}
    numbers["horizon"] = Metric(value=horizon, unit="steps", what="horizon")
    curve = Curve.of([1, 2, 4], [0.9, 0.8, 0.3], x_unit="steps", y_unit="R²", what="R²", low=[0.8, 0.7, 0.2])
    return ProbeResult(metrics=numbers, curves={"capacity": replace(curve, high=(0.95, 0.9, 0.4))})


def keep(folder: Path, name: str, findings: ProbeResult) -> None:
    """Writes findings beside a run."""
    registry.write_records(folder, {name: ProbeRecord(settings={}, weights="w", result=findings)})


def write_results(out: Path) -> Path:
    """Runs of lstm and rda on addition (seeds 0 and 1) and of lstm on copy, two trials of gru, and the report."""
    for seed in (0, 1):
        for name, loss in (("lstm", 0.02), ("rda", 0.01)):
            folder = write_run(out, experiment(name, seed=seed), loss=loss + seed / 1000)
            keep(folder, "memory_length", found(None))
        made = experiment("lstm", task="copy", task_options=COPY, seed=seed)
        folder = write_run(out, made, loss=0.5, accuracy=0.8, accuracies=(0.2, 0.5, 0.8), solved_at=300)
        keep(folder, "memory_length", found(12.0))
    tried = []
    for number, rate in enumerate((0.001, 0.003)):
        made = experiment("gru", seed=TUNING_SEED, learning_rate=rate)
        write_run(out, made, loss=0.05 + number / 100)
        tried.append(trial(number, 0.05 + number / 100, params={"learning_rate": rate}, identity=made.identity))
    study_files.write(out, study("gru", tried))
    write(out)
    return out
