"""Tests that the Triton kernels compile for NVIDIA GPUs, which does not need a GPU."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("triton")

SHARED = {75: 64 * 1024, 80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
"""Bytes of shared memory that a program can have, by compute capability, from NVIDIA's tables."""
REGISTERS = 64 * 1024 // 512
"""Registers of a thread in a program with 512 threads, as the widest kernels have."""
WIDE: dict[str, Any] = {"gates": 3, "ATTENTION": "exp", "HIDDEN_TANH": False}
REQUESTS: list[dict[str, Any]] = [
    {**WIDE, "units": 240, "precision": "tf32x3", "capability": 90},
    {**WIDE, "units": 256, "precision": "bf16", "capability": 90, "gates": 2, "HIDDEN_TANH": True},
    {**WIDE, "units": 64, "precision": "tf32", "capability": 90, "ATTENTION": "sigmoid"},
    {**WIDE, "units": 512, "precision": "tf32", "capability": 80, "ATTENTION": "softplus"},
    {**WIDE, "units": 512, "precision": "bf16", "capability": 90, "HIDDEN_TANH": True},
    # The cases that need most registers.
    {**WIDE, "units": 256, "precision": "tf32x3", "capability": 80, "ATTENTION": "softplus", "HIDDEN_TANH": True},
    {**WIDE, "units": 512, "precision": "tf32", "capability": 90, "ATTENTION": "softplus", "HIDDEN_TANH": True},
    {**WIDE, "units": 256, "precision": "bf16", "capability": 86},
    {**WIDE, "units": 256, "precision": "ieee", "capability": 75},
    {**WIDE, "units": 16, "precision": "ieee", "capability": 75, "ATTENTION": "relu", "HIDDEN_TANH": True},
]


@pytest.mark.slow
@pytest.mark.parametrize("requests", [REQUESTS[:1] + REQUESTS[-1:], REQUESTS[1:-1]])
def test_kernels_compile_and_fit(requests: list[dict[str, Any]]) -> None:
    """They use the matrix units, except where float32 must not be rounded. The only barriers are those of the source;
    if a step's weights are loaded in one piece, nothing is copied ahead during another step. The widest kernels use all
    registers, and spill little."""
    completed = subprocess.run(
        [sys.executable, "-m", "tests.architectures.compile_triton"],
        input="\n".join(json.dumps({**report, "shared": SHARED[report["capability"]]}) for report in requests),
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert completed.returncode == 0, completed.stderr
    reports = [json.loads(line) for line in completed.stdout.splitlines()]
    assert [report["kernel"] for report in reports] == ["forward", "backward"] * len(requests)
    for request, report in zip((request for request in requests for _ in range(2)), reports, strict=True):
        assert (report["matrix_units"] > 0) == (request["precision"] != "ieee")
        assert report["shared"] <= SHARED[request["capability"]]
        assert report["barriers"] == (2 if report["kernel"] == "forward" else 1)
        if request["units"] <= 64:
            assert report["copies_ahead"] == 0
        if request["units"] > 128:
            assert report["registers"] == REGISTERS
            if request["precision"] != "ieee":
                assert report["stack"] <= (256 if request["units"] <= 256 else 1440)
