"""The size of a large report, from run folders and results of real probes as they are written."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis import style
from analysis.probes import models
from analysis.probes.records import ProbeRecord, write_records
from analysis.probes.registry import PROBES
from analysis.probes.runner import run_probe
from analysis.probes.settings import ProbeSettings
from analysis.report.build import write_report
from architectures import names
from tests.analysis.report_runs import experiment, write_run

SETTINGS = ProbeSettings(sequences=8, directions=4, longest=2000)
PROBED: Mapping[str, Mapping[str, Any]] = {"addition": {"length": 60}, "copy": {"length": 60}, "digits": {}}
"""Tasks whose untrained models are probed; other tasks have the results of the one that is most like them."""
TASKS = (
    *(("addition", {"length": length}, "addition") for length in (60, 100, 200)),
    ("alternation", {"length": 100}, "addition"),
    *((name, {"length": length}, "copy") for name, length in (("copy", 60), ("copy", 100), ("copy-memory", 100))),
    *(("multicopy", {"length": 100}, "copy"), ("text", {}, "copy")),
    *(("classify-length", {"length": 100}, "digits"), ("digits", {}, "digits"), ("mnist", {}, "digits")),
)
ARCHITECTURES: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, {}) for name in names()[:20]),
    *(("rda", {"attention": attention}) for attention in ("softplus", "relu", "sigmoid", "exp")),
    ("lstm", {"num_layers": 3}),
)
FIXED = ("states", "reach", "smallest_lag", "largest_lag", "recall_bound")
"""Numbers of a probe that are the same for every seed."""
LARGEST = 1_500_000
"""Bytes of the page for 25 architectures on 12 tasks, with probes."""


def vary(record: ProbeRecord, generator: np.random.Generator) -> ProbeRecord:
    """Returns a record with every metric and curve scaled, as another seed would have it."""
    if record.result is None:
        return record

    def scaled(value: float | None, factor: float) -> float | None:
        return None if value is None else float(f"{value * factor:.6g}")

    metrics, curves = {}, {}
    for name, metric in record.result.metrics.items():
        factor = 1.0 if name in FIXED else float(np.exp(0.3 * generator.normal()))
        ends = {key: scaled(getattr(metric, key), factor) for key in ("value", "low", "high")}
        metrics[name] = replace(metric, **ends)  # type: ignore[arg-type]
    for name, curve in record.result.curves.items():
        factor = float(np.exp(-0.3 * abs(generator.normal())))
        sides = {key: getattr(curve, key) for key in ("y", "low", "high") if getattr(curve, key) is not None}
        moved: dict[str, Any] = {key: tuple(scaled(v, factor) for v in side) for key, side in sides.items()}
        curves[name] = replace(curve, **moved)
    return replace(record, result=replace(record.result, metrics=metrics, curves=curves))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_25_architectures_on_12_tasks_with_probes_fit(tmp_path: Path) -> None:
    assert (len(ARCHITECTURES), len(TASKS)) == (25, 12)
    records: dict[tuple[str, str], dict[str, ProbeRecord]] = {}
    for task, options in PROBED.items():
        for name in names():
            loaded = models.untrained_model(experiment(name, task=task, task_options=options, hidden_size=32))
            torch.manual_seed(0)
            records[task, name] = {probe: run_probe(loaded, probe, SETTINGS) for probe in PROBES}
    generator = np.random.default_rng(0)
    for task, options, like in TASKS:
        for place, (name, own) in enumerate(ARCHITECTURES):
            for seed in range(3):
                loss = float(np.exp(-place / 4 - 2 + 0.3 * generator.normal()))
                losses = np.exp(np.linspace(-1.5, np.log(loss), 40) + 0.05 * generator.normal(size=40))
                folder = write_run(
                    tmp_path,
                    experiment(name, task=task, task_options=options, options=own, seed=seed, log_every=50),
                    loss=loss,
                    losses=losses.tolist(),
                    accuracy=None if like == "addition" else 1 - loss / 2,
                    accuracies=None if like == "addition" else (1 - losses / 3).tolist(),
                    parameters=5000 + 700 * place,
                    solved_at=1200 if place > 12 else None,
                    solved_at_mean50=1500 if place > 12 else None,
                    timing={"seconds_per_step": 0.01 * (1 + place / 5)},
                )
                write_records(folder, {key: vary(record, generator) for key, record in records[like, name].items()})
    with style.use_formats(["svg"]):
        path = write_report(tmp_path)
    assert path.stat().st_size < LARGEST
