"""The command `make test-gpu`: the tests and the benchmark that need an NVIDIA GPU.

The results go to one JSON file, in the folder that OUT names, or in `docs/measurements`.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.gpu import benchmark, report_table, suite
from tests.gpu.benchmark import Limits
from tests.gpu.measurement import Configuration
from workbench.errors import UserError
from workbench.files import ensure_writable, write_json

KIND = "workbench test-gpu"
MEASUREMENTS = suite.ROOT / "docs" / "measurements"
FOR_TESTS = 0.5
"""The share of the time for the tests; the benchmark has the rest."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The tests and configurations to run.

    Args:
        device: cuda; or cpu, to test this command.
        path: the JSON file.
        seconds: the time limit for everything.
        files: the test files; empty for no tests.
        testing: further arguments of `suite.run`.
        configurations: those of the benchmark; empty for no benchmark.
        repeats: the most rounds that count.
    """

    device: str
    path: Path
    seconds: float
    files: Sequence[Path] = ()
    testing: dict[str, Any] = field(default_factory=dict)
    configurations: Sequence[Configuration] = ()
    repeats: int = 7


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make test-gpu", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=450, help="time limit for everything; the report lists what was not reached"
    )
    parser.add_argument("--only", choices=("tests", "benchmark"), help="run only one of the two")
    parser.add_argument("--files", nargs="+", type=Path, help="test files; by default all that use a GPU")
    options = parser.parse_args(argv)
    try:
        if not torch.cuda.is_available():
            raise UserError("PyTorch finds no CUDA device here")
        folder = Path(os.environ.get("OUT") or MEASUREMENTS)
        ensure_writable(folder)
    except UserError as error:
        print(f"make test-gpu: {error}", file=sys.stderr)
        return 2
    name = re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()).strip("-")
    plan = Plan(
        device="cuda",
        path=folder / f"gpu-{name}.json",
        seconds=options.seconds,
        files=() if options.only == "benchmark" else options.files or suite.gpu_test_files(),
        configurations=() if options.only == "tests" else benchmark.default_configurations(),
    )
    return run_plan(plan)


def run_plan(plan: Plan) -> int:
    """Runs the tests and the benchmark, prints the report, and returns the exit status: 0 on success, else 1.

    The file is written after each part.
    """
    began = time.monotonic()
    report: dict[str, Any] = {"kind": KIND, "machine": machine_info(plan.device), "commit": commit()}
    with tempfile.TemporaryDirectory() as folder:
        if plan.files:
            share = plan.seconds * (FOR_TESTS if plan.configurations else 1)
            report["tests"] = suite.run(plan.files, Path(folder), share, **plan.testing)
            write_json(plan.path, report)
        if plan.configurations:
            seconds_left = plan.seconds - (time.monotonic() - began)
            report["benchmark"] = benchmark.run(
                plan.configurations,
                plan.device,
                Path(folder),
                Limits(total=seconds_left),
                repeats=plan.repeats,
                log=lambda line: print(f"measuring: {line}", file=sys.stderr, flush=True),
            )
    report["seconds"] = round(time.monotonic() - began, 1)
    write_json(plan.path, report)
    print(report_table.format_report(report) + f"\n{plan.path}", flush=True)
    return 0 if succeeded(report) else 1


def succeeded(report: dict[str, Any]) -> bool:
    """Returns whether all tests have run and passed, and everything was measured."""
    tests, measurements = report.get("tests"), report.get("benchmark", {"rows": [], "not_reached": []})
    tests_passed = tests is None or (tests["ended"] == 0 and not tests["failures"] and not tests["not_reached"])
    return tests_passed and not measurements["not_reached"] and not any("error" in row for row in measurements["rows"])


def machine_info(device: str) -> dict[str, Any]:
    """Returns information about the machine and the libraries."""
    info: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "driver": command_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "clocks": command_output(
            "nvidia-smi", "--query-gpu=clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"
        ),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
        "python": platform.python_version(),
        "triton": None,
    }
    with suppress(ImportError):
        import triton

        info["triton"] = triton.__version__
    if device == "cuda":
        properties = torch.cuda.get_device_properties()
        info["capability"] = f"{properties.major}.{properties.minor}"
        info["multiprocessors"] = properties.multi_processor_count
    return info


def commit() -> dict[str, Any] | None:
    """Returns the commit, and whether files differ from it; `None` if unknown."""
    commit_id = command_output("git", "rev-parse", "HEAD")
    return commit_id and {"id": commit_id, "changed": bool(command_output("git", "status", "--porcelain"))}  # type: ignore[return-value]


def command_output(*command: str) -> str | None:
    """Returns the output of a command; `None` if it is missing, fails or prints nothing."""
    try:
        completed = subprocess.run(command, cwd=suite.ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
