"""Runs a probe on a device, and compares the results of two devices."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from analysis.probes import models, runner
from analysis.probes.result import ProbeResult
from analysis.probes.settings import ProbeSettings
from tests.workbench.experiments import small

COPY = ("copy", {"length": 4, "items": 2, "categories": 3})
SETTINGS = ProbeSettings(sequences=4, directions=4, longest=100)


def run_on_device(
    architecture: str,
    task: str,
    options: dict[str, Any],
    probe: str,
    device: torch.device,
    settings: ProbeSettings = SETTINGS,
) -> ProbeResult:
    """Returns the result of a probe on an untrained model that counts as a trained one."""
    experiment = small(architecture, task, task_options=options)
    loaded = replace(models.untrained_model(experiment), trained=True)
    loaded.model.to(device)
    torch.manual_seed(0)
    record = runner.run_probe(loaded, probe, settings)
    assert record.device == device.type
    return ProbeResult(unavailable={"all": record.reason}) if record.result is None else record.result


def assert_same_result(actual: ProbeResult, expected: ProbeResult, rel: float) -> None:
    """Asserts that two results have the same content, with numbers that are equal up to rounding."""
    assert (actual.labels, actual.unavailable) == (expected.labels, expected.unavailable)
    assert (list(actual.metrics), list(actual.curves)) == (list(expected.metrics), list(expected.curves))
    for name, metric in expected.metrics.items():
        for end in ("value", "low", "high"):
            number = getattr(metric, end)
            # An R², as the points of its curve are, which are compared so below.
            least = rel / 100 if name == "capacity_level" else rel / 1000
            approximate = None if number is None else pytest.approx(number, rel=rel, abs=least)
            assert getattr(actual.metrics[name], end) == approximate, f"{name}: {end}"
    for name, curve in expected.curves.items():
        np.testing.assert_allclose(
            actual.curves[name].to_array(), curve.to_array(), rtol=rel, atol=rel / 100, err_msg=name
        )
