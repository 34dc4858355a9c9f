"""The tests that use a GPU, run in processes of their own within a time."""

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
FOR_GPU = re.compile(r"mark\.gpu\b|\bgpu\.devices\b|^DEVICE = ", re.MULTILINE)
"""What a file of tests has that may use one: its marker, or a device by circumstance."""


def files(folder: Path = ROOT / "tests") -> list[Path]:
    """The files with tests that may use a GPU."""
    return [path for path in sorted(folder.rglob("test_*.py")) if FOR_GPU.search(path.read_text(encoding="utf-8"))]


def run(
    chosen: Sequence[Path],
    folder: Path,
    seconds: float,
    *,
    workers: int = 8,
    each: float = 120,
    options: Sequence[str] = ("--on-gpu",),
) -> dict[str, Any]:
    """Runs tests; what they print goes to stderr.

    Args:
        chosen: files.
        folder: for what is written meanwhile.
        seconds: after which all are stopped.
        workers: processes side by side; 0: one, without pytest-xdist.
        each: seconds after which a test has failed. The process that it hangs in ends, and the others go on.
        options: of pytest, beside these.

    Returns:
        `seconds`, `ended` (pytest's status; `None`: stopped), `counts` by outcome, `failures` and `skipped` with their
        messages, `measured` by test, and the names of what was `not_reached`.
    """
    record = folder / "tests.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.gpu.selection"]
    command += ["--record", str(record), "--timeout", str(each), "--timeout-method", "thread"]
    # Other releases of the libraries warn of other things.
    command += ["-W", "default", "-n", str(workers), *options, *map(str, chosen)]
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    # What is compared with is computed on the CPU.
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // max(1, workers))))
    began = time.monotonic()
    ended = within(command, seconds, env=environment)
    found = summary(lines(record))
    return {"seconds": round(time.monotonic() - began, 1), "ended": ended, **found}


def within(command: Sequence[str], seconds: float, **options: Any) -> int | None:
    """Runs a command, and all that it starts, at most so long; returns its status, `None` if it was stopped."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr, start_new_session=True, **options)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Ends a process that leads a session, and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, a line each; a last one that was cut short is left out."""
    whole = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in whole]


def summary(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a record comes to."""
    collected = [name for line in found for name in line.get("collected", [])]
    # The last word on a test counts, save that nothing makes good a failure.
    last: dict[str, dict[str, Any]] = {}
    for line in found:
        if "test" in line and last.get(line["test"], {}).get("outcome") not in ("failed", "error"):
            last[line["test"]] = line
    told = {kind: [line for line in last.values() if line["outcome"] in kind] for kind in BAD_OR_SKIPPED}
    failed, skipped = told.values()
    return {
        "counts": dict(Counter(line["outcome"] for line in last.values())),
        "failures": [{"test": line["test"], "message": line["message"]} for line in failed],
        "skipped": [{"test": line["test"], "message": line["message"]} for line in skipped],
        "measured": {line["test"]: line["measured"] for line in last.values() if line["measured"]},
        "slowest": {
            line["test"]: line["seconds"] for line in sorted(last.values(), key=lambda line: -line["seconds"])[:10]
        },
        "not_reached": [name for name in collected if name not in last],
    }


BAD_OR_SKIPPED = (("failed", "error"), ("skipped",))
