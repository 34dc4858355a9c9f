"""A small comparison through the API, shared by the tests that only look at it."""

from typing import Any

import pytest

import workbench

TINY: dict[str, Any] = {
    "steps": 6,
    "batch_size": 3,
    "log_every": 2,
    "evaluation_size": 5,
    "progress": False,
    "device": "cpu",
}
"""Settings of a run that takes a moment."""
LENGTHS: dict[str, dict[str, Any]] = {"addition": {"length": 6}, "copy": {"length": 4}}


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """Two architectures on two tasks, two seeds each; not to be changed."""
    out = tmp_path_factory.mktemp("compared") / "out"
    return workbench.compare(
        "addition, copy", ["rnn", "tcn"], out=out, seeds=2, hidden_size=4, task_options=LENGTHS, workers=2, **TINY
    )
