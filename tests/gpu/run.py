"""The checks and the benchmark that need an NVIDIA GPU, in one go: `make test-gpu`.

Everything that is found goes to one JSON file, in the folder that OUT names, or in `docs/measurements`.
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

from tests.gpu import benchmark, suite, table
from tests.gpu.benchmark import Limits
from tests.gpu.measured import Configuration
from workbench.errors import UserError
from workbench.files import writable, write_json

KIND = "workbench test-gpu"
MEASUREMENTS = suite.ROOT / "docs" / "measurements"
FOR_TESTS = 0.5
"""The share of the time that the tests have; the benchmark has what is left."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done.

    Args:
        device: cuda; or cpu, to try all this out.
        path: the JSON file.
        seconds: of all of it.
        files: of tests; none: no tests.
        testing: what else `suite.run` takes.
        configurations: of the benchmark; none: no benchmark.
        repeats: rounds that count, at most.
    """

    device: str
    path: Path
    seconds: float
    files: Sequence[Path] = ()
    testing: dict[str, Any] = field(default_factory=dict)
    configurations: Sequence[Configuration] = ()
    repeats: int = 7


def main(given: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make test-gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=450, help="of all of it; what is not reached is said")
    parser.add_argument("--only", choices=("tests", "benchmark"), help="one of the two")
    parser.add_argument("--files", nargs="+", type=Path, help="of tests; by default all that use a GPU")
    options = parser.parse_args(given)
    try:
        if not torch.cuda.is_available():
            raise UserError("PyTorch finds no CUDA device here")
        folder = Path(os.environ.get("OUT") or MEASUREMENTS)
        writable(folder)
    except UserError as error:
        print(f"make test-gpu: {error}", file=sys.stderr)
        return 2
    name = re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()).strip("-")
    plan = Plan(
        device="cuda",
        path=folder / f"gpu-{name}.json",
        seconds=options.seconds,
        files=() if options.only == "benchmark" else options.files or suite.files(),
        configurations=() if options.only == "tests" else benchmark.grid(),
    )
    return everything(plan)


def everything(plan: Plan) -> int:
    """Tests, then measures, then prints; returns 0 where all is well, else 1. The file is written after each part."""
    began = time.monotonic()
    report: dict[str, Any] = {"kind": KIND, "machine": machine(plan.device), "commit": commit()}
    with tempfile.TemporaryDirectory() as folder:
        if plan.files:
            share = plan.seconds * (FOR_TESTS if plan.configurations else 1)
            report["tests"] = suite.run(plan.files, Path(folder), share, **plan.testing)
            write_json(plan.path, report)
        if plan.configurations:
            left = plan.seconds - (time.monotonic() - began)
            report["benchmark"] = benchmark.run(
                plan.configurations,
                plan.device,
                Path(folder),
                Limits(all=left),
                repeats=plan.repeats,
                told=lambda line: print(f"measuring: {line}", file=sys.stderr, flush=True),
            )
    report["seconds"] = round(time.monotonic() - began, 1)
    write_json(plan.path, report)
    print(table.text(report) + f"\n{plan.path}", flush=True)
    return 0 if well(report) else 1


def well(report: dict[str, Any]) -> bool:
    """Whether all tests that ran have passed, and everything was measured. What was not reached is not well."""
    tests, rows = report.get("tests"), report.get("benchmark", {"rows": [], "not_reached": []})
    tested = tests is None or (tests["ended"] == 0 and not tests["failures"] and not tests["not_reached"])
    return tested and not rows["not_reached"] and not any("error" in row for row in rows["rows"])


def machine(device: str) -> dict[str, Any]:
    """What it ran on and with."""
    told: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "driver": output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "clocks": output("nvidia-smi", "--query-gpu=clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
        "python": platform.python_version(),
        "triton": None,
    }
    with suppress(ImportError):
        import triton

        told["triton"] = triton.__version__
    if device == "cuda":
        found = torch.cuda.get_device_properties()
        told |= {"capability": f"{found.major}.{found.minor}", "multiprocessors": found.multi_processor_count}
    return told


def commit() -> dict[str, Any] | None:
    """The commit, and whether files differ from it; `None` where that is not known."""
    found = output("git", "rev-parse", "HEAD")
    return found and {"id": found, "changed": bool(output("git", "status", "--porcelain"))}  # type: ignore[return-value]


def output(*command: str) -> str | None:
    """What a command prints; `None` if there is none, or it fails."""
    try:
        done = subprocess.run(command, cwd=suite.ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
