"""Every probe of every architecture where the model is not on the CPU: the same is found there."""

from typing import Any

import pytest
import torch

import architectures
from analysis.probes import registry
from tests.analysis.probe_on_device import COPY, found, same
from tests.other_device import ELSEWHERE

CPU = torch.device("cpu")
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    *((name, *COPY, probe) for name in architectures.names() for probe in registry.PROBES if probe != "alternation"),
    # Sequences of several lengths, a loss at the end alone, episodes, stored data, one sequence.
    ("lstm", "classify-length", {"length": 12}, "memory_length"),
    ("tcn", "classify-length", {"length": 12}, "gradient_decay"),
    ("rda-exp-tanh", "classify-length", {"length": 12}, "discount_dynamics"),
    ("gru", "classify-length", {"length": 12}, "signal_survival"),
    ("rnn", "addition", {"length": 12}, "memory_length"),
    ("gru", "addition", {"length": 12}, "gradient_decay"),
    ("rwa", "multicopy", {"copies": 3}, "discount_dynamics"),
    ("han-bidirectional", "multicopy", {"copies": 3}, "discount_dynamics"),
    ("lstm", "digits", {}, "gradient_decay"),
    ("rwa", "alternation", {"length": 12}, "alternation"),
    ("rda", "alternation", {"length": 12}, "alternation"),
    ("lstm", "alternation", {"length": 12}, "alternation"),
]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("architecture", "task", "options", "probe"), CASES)
def test_the_same_is_found_elsewhere(
    architecture: str,
    task: str,
    options: dict[str, Any],
    probe: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The compiled kernels round otherwise.
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    here = found(architecture, task, options, probe, CPU)
    request.getfixturevalue("elsewhere")
    same(found(architecture, task, options, probe, ELSEWHERE), here, rel=1e-3)
