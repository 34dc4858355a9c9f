"""Writer of a small folder of results: two tasks, probes, trials, and a report."""

from dataclasses import replace
from pathlib import Path

from analysis.probes import records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.report.build import write_report
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import study, trial
from workbench import study_files
from workbench.config import TUNING_SEED

COPY = {"length": 20}


def memory_result(horizon: float | None) -> ProbeResult:
    """Returns a result of the memory probe."""
    metrics = {"memory_capacity": Metric(value=3.0, unit="outputs", what="sum of R²", low=2.0, high=4.0)}
    metrics["horizon"] = Metric(value=horizon, unit="steps", what="horizon")
    curve = Curve.from_arrays([1, 2, 4], [0.9, 0.8, 0.3], x_unit="steps", y_unit="R²", what="R²", low=[0.8, 0.7, 0.2])
    return ProbeResult(metrics=metrics, curves={"capacity": replace(curve, high=(0.95, 0.9, 0.4))})


def write_probe_result(folder: Path, name: str, result: ProbeResult) -> None:
    """Writes the result of a probe beside a run."""
    records.write_records(folder, {name: ProbeRecord(settings={}, weights="w", result=result)})


def write_results(out: Path) -> Path:
    """Writes runs of lstm and rda on addition and of lstm on copy (two seeds), two trials of gru, and the report."""
    for seed in (0, 1):
        for name, loss in (("lstm", 0.02), ("rda", 0.01)):
            folder = write_run(out, experiment(name, seed=seed), loss=loss + seed / 1000)
            write_probe_result(folder, "memory_length", memory_result(None))
        run_config = experiment("lstm", task="copy", task_options=COPY, seed=seed)
        folder = write_run(out, run_config, loss=0.5, accuracy=0.8, accuracies=(0.2, 0.5, 0.8), solved_at=300)
        write_probe_result(folder, "memory_length", memory_result(12.0))
    trials = []
    for number, rate in enumerate((0.001, 0.003)):
        run_config = experiment("gru", seed=TUNING_SEED, learning_rate=rate)
        write_run(out, run_config, loss=0.05 + number / 100)
        trials.append(trial(number, 0.05 + number / 100, params={"learning_rate": rate}, identity=run_config.identity))
    study_files.write_study(out, study("gru", trials))
    write_report(out)
    return out
