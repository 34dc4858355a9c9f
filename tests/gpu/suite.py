"""Runs of the tests that use a GPU, in separate processes with a time limit."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GPU_PATTERN = re.compile(r"mark\.gpu\b|\bgpu\.devices\b|^DEVICE = ", re.MULTILINE)
"""Matches files with tests that may use a GPU: by the marker, or a device that depends on the machine."""


def gpu_test_files(folder: Path = ROOT / "tests") -> list[Path]:
    """Returns the files with tests that may use a GPU."""
    return [path for path in sorted(folder.rglob("test_*.py")) if GPU_PATTERN.search(path.read_text(encoding="utf-8"))]


def run(
    files: Sequence[Path],
    folder: Path,
    seconds: float,
    *,
    workers: int = 8,
    timeout: float = 120,
    options: Sequence[str] = ("--on-gpu",),
) -> dict[str, Any]:
    """Runs tests; their output goes to stderr.

    Args:
        files: the test files.
        folder: a folder for temporary files.
        seconds: the time after which all are stopped.
        workers: processes side by side; 0: one, without pytest-xdist.
        timeout: seconds after which a test has failed. The process in which it hangs ends, and the others continue.
        options: further options of pytest.

    Returns:
        `seconds`, `ended` (pytest's status; `None`: stopped), `counts` by outcome, `failures` and `skipped` with their
        messages, `measured` by test, and the names of what was `not_reached`.
    """
    record = folder / "tests.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.gpu.pytest_plugin"]
    command += ["--record", str(record), "--timeout", str(timeout), "--timeout-method", "thread"]
    # Other releases of the libraries have other warnings.
    command += ["-W", "default", "-n", str(workers), *options, *map(str, files)]
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    # Expected values are computed on the CPU.
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // max(1, workers))))
    began = time.monotonic()
    status = run_within(command, seconds, env=environment)
    results = summarize(read_json_lines(record))
    return {"seconds": round(time.monotonic() - began, 1), "ended": status, **results}


def run_within(command: Sequence[str], seconds: float, **options: Any) -> int | None:
    """Runs a command, and all that it starts, with a time limit; returns its status, `None` if it was stopped."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr, start_new_session=True, **options)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill_process_group(process)


def kill_process_group(process: subprocess.Popen[Any]) -> None:
    """Kills a process that leads a session, and the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the JSON objects of a file, one a line; an incomplete last line is left out."""
    complete_lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in complete_lines]


def summarize(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarizes the lines of a record."""
    collected = [name for line in lines for name in line.get("collected", [])]
    # The last report of a test counts, except that a failure stays one.
    last_reports: dict[str, dict[str, Any]] = {}
    for line in lines:
        if "test" in line and last_reports.get(line["test"], {}).get("outcome") not in ("failed", "error"):
            last_reports[line["test"]] = line
    by_outcome = {kind: [line for line in last_reports.values() if line["outcome"] in kind] for kind in BAD_OR_SKIPPED}
    failed, skipped = by_outcome.values()
    slowest = sorted(last_reports.values(), key=lambda line: -line["seconds"])[:10]
    return {
        "counts": dict(Counter(line["outcome"] for line in last_reports.values())),
        "failures": [{"test": line["test"], "message": line["message"]} for line in failed],
        "skipped": [{"test": line["test"], "message": line["message"]} for line in skipped],
        "measured": {line["test"]: line["measured"] for line in last_reports.values() if line["measured"]},
        "slowest": {line["test"]: line["seconds"] for line in slowest},
        "not_reached": [name for name in collected if name not in last_reports],
    }


BAD_OR_SKIPPED = (("failed", "error"), ("skipped",))
