"""The Triton kernels compile for NVIDIA GPUs, which takes none."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("triton")

SHARED = {75: 64 * 1024, 80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
"""Bytes that a program can have, by NVIDIA's tables of compute capabilities."""
REGISTERS = 64 * 1024 // 512
"""Of a thread, where a program has the 512 threads of the widest kernels."""
WIDE: dict[str, Any] = {"gates": 3, "ATTENTION": "exp", "HIDDEN_TANH": False}
ASKED: list[dict[str, Any]] = [
    {**WIDE, "units": 240, "precision": "tf32x3", "capability": 90},
    {**WIDE, "units": 256, "precision": "bf16", "capability": 90, "gates": 2, "HIDDEN_TANH": True},
    {**WIDE, "units": 64, "precision": "tf32", "capability": 90, "ATTENTION": "sigmoid"},
    {**WIDE, "units": 512, "precision": "tf32", "capability": 80, "ATTENTION": "softplus"},
    {**WIDE, "units": 512, "precision": "bf16", "capability": 90, "HIDDEN_TANH": True},
    # What leaves least room in registers.
    {**WIDE, "units": 256, "precision": "tf32x3", "capability": 80, "ATTENTION": "softplus", "HIDDEN_TANH": True},
    {**WIDE, "units": 512, "precision": "tf32", "capability": 90, "ATTENTION": "softplus", "HIDDEN_TANH": True},
    {**WIDE, "units": 256, "precision": "bf16", "capability": 86},
    {**WIDE, "units": 256, "precision": "ieee", "capability": 75},
    {**WIDE, "units": 16, "precision": "ieee", "capability": 75, "ATTENTION": "relu", "HIDDEN_TANH": True},
]


def test_kernels_compile_and_fit() -> None:
    """On the matrix units, except where float32 is not to be rounded. The barriers are those that were written; where a
    step's weights come in one piece, nothing of a step is copied ahead while another is at work. The widest have all
    registers that there are, and little beside them."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.architectures.compile_triton"],
        input="\n".join(json.dumps({**each, "shared": SHARED[each["capability"]]}) for each in ASKED),
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
        assert each["shared"] <= SHARED[asked["capability"]]
        assert each["barriers"] == (2 if each["kernel"] == "forward" else 1)
        if asked["units"] <= 64:
            assert each["copies_ahead"] == 0
        if asked["units"] > 128:
            assert each["registers"] == REGISTERS
            if asked["precision"] != "ieee":
                assert each["stack"] <= (256 if asked["units"] <= 256 else 1440)
