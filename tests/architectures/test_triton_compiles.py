"""The Triton kernels compile for NVIDIA GPUs, which takes none."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("triton")

ASKED: list[dict[str, Any]] = [
    {"units": 250, "gates": 3, "precision": "tf32x3", "capability": 90, "ATTENTION": "exp", "HIDDEN_TANH": False},
    {"units": 256, "gates": 2, "precision": "bf16", "capability": 90, "ATTENTION": "sigmoid", "HIDDEN_TANH": True},
    {"units": 512, "gates": 3, "precision": "tf32", "capability": 80, "ATTENTION": "softplus", "HIDDEN_TANH": False},
    {"units": 5, "gates": 3, "precision": "ieee", "capability": 75, "ATTENTION": "relu", "HIDDEN_TANH": True},
]
SHARED = {75: 64, 80: 163, 90: 227}
"""KiB that a program can have, by NVIDIA's tables of compute capabilities."""


def test_kernels_compile_and_fit() -> None:
    """On the matrix units, except where float32 is not to be rounded; with a barrier each step at least."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.architectures.compile_triton"],
        input="\n".join(map(json.dumps, ASKED)),
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert [each["kernel"] for each in told] == ["forward", "backward"] * len(ASKED)
    for asked, each in zip((asked for asked in ASKED for _ in range(2)), told, strict=True):
        assert (each["matrix_units"] > 0) == (asked["precision"] != "ieee")
        assert each["shared"] <= SHARED[asked["capability"]] * 1024
        assert each["barriers"] >= 1
