"""What a probe finds on one device, and whether another's findings are the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from analysis.probes import models, registry
from analysis.probes.result import ProbeResult
from analysis.probes.settings import ProbeSettings
from tests.workbench.experiments import small

COPY = ("copy", {"length": 8, "items": 2, "categories": 3})
SETTINGS = ProbeSettings(sequences=4, directions=4, longest=100)


def found(
    architecture: str,
    task: str,
    options: dict[str, Any],
    probe: str,
    device: torch.device,
    settings: ProbeSettings = SETTINGS,
) -> ProbeResult:
    """What a probe finds in an untrained model that passes for a trained one."""
    experiment = small(architecture, task, task_options=options)
    subject = replace(models.untrained_model(experiment), trained=True)
    subject.model.to(device)
    torch.manual_seed(0)
    entry = registry.analyze(subject, probe, settings)
    assert entry.device == device.type
    return ProbeResult(unavailable={"all": entry.reason}) if entry.result is None else entry.result


def same(there: ProbeResult, here: ProbeResult, rel: float) -> None:
    """Asserts that all findings are there, and the numbers those of here up to rounding."""
    assert (there.labels, there.unavailable) == (here.labels, here.unavailable)
    assert (list(there.metrics), list(there.curves)) == (list(here.metrics), list(here.curves))
    for name, number in here.metrics.items():
        for end in ("value", "low", "high"):
            one, other = getattr(number, end), getattr(there.metrics[name], end)
            assert other == (None if one is None else pytest.approx(one, rel=rel, abs=rel / 1000)), f"{name}: {end}"
    for name, curve in here.curves.items():
        np.testing.assert_allclose(there.curves[name].array(), curve.array(), rtol=rel, atol=rel / 100, err_msg=name)
