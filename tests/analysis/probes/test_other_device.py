"""Every probe of every architecture on another device than the CPU, with the same results."""

from typing import Any

import pytest
import torch

import architectures
from analysis.probes import registry
from tests.analysis.probe_on_device import COPY, assert_same_result, run_on_device
from tests.architectures.kinds import ONE_OF_EACH_KIND
from tests.other_device import OTHER_DEVICE

CPU = torch.device("cpu")
PROBES = [probe for probe in registry.PROBES if probe != "alternation"]
CASES: list[Any] = [
    # One architecture of each kind with one of the probes; all other pairs are
    # slow tests.
    *(
        pytest.param(
            name,
            *COPY,
            probe,
            marks=[] if (i + j) % len(PROBES) == 0 and name in ONE_OF_EACH_KIND else pytest.mark.slow,
        )
        for i, name in enumerate(architectures.names())
        for j, probe in enumerate(PROBES)
    ),
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
    here = run_on_device(architecture, task, options, probe, CPU)
    request.getfixturevalue("other_device")
    assert_same_result(run_on_device(architecture, task, options, probe, OTHER_DEVICE), here, rel=1e-3)
