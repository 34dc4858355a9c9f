"""The benchmark of the averages on a GPU, in a worker process that may hang or crash.

Configurations are measured one after another. If the process fails, the case that it was measuring counts as failed,
and another process measures the rest.

`python -m tests.gpu.benchmark FOLDER` is the worker: it reads `order.json` there and writes `progress.jsonl`.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gpu.measurement import Configuration, measure
from tests.gpu.suite import ROOT, kill_process_group, read_json_lines

PAIRS = ((100, 250), (128, 256), (100, 256), (128, 250), (100, 512))
"""Batch and units."""
ARITHMETIC: tuple[dict[str, Any], ...] = (
    {"matmul_precision": "highest"},
    {"matmul_precision": "high"},
    {"precision": "bf16", "matmul_precision": "high"},
)
SLOW_AT = PAIRS[:1]
"""The sizes at which the slow ones are measured, too: the eager backend, and the naive loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Time limits, in seconds.

    Args:
        total: for everything.
        rounds: for the rounds of a configuration; the last round is completed.
        silent: without progress from the worker, after which it counts as hanging.
    """

    total: float
    rounds: float = 9
    silent: float = 60


def default_configurations() -> list[Configuration]:
    """Returns the configurations to measure, the most informative first."""
    configurations = []
    for batch, units in PAIRS:
        slow = (batch, units) in SLOW_AT
        reduced: dict[str, Any] = {} if slow else {"backends": ("triton", "graphs"), "naive_length": 0}
        sizes: dict[str, Any] = {"batch_size": batch, "hidden_size": units}
        configurations += [Configuration(**sizes, **reduced, **arithmetic) for arithmetic in ARITHMETIC]
    return configurations


def run(
    configurations: Sequence[Configuration],
    device: str,
    folder: Path,
    limits: Limits,
    *,
    repeats: int = 7,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measures configurations.

    Args:
        configurations: the configurations, in this order.
        device: cpu or cuda.
        folder: a folder for temporary files.
        limits: time limits.
        repeats: the most rounds that count.
        log: called with the name of each configuration as it begins.

    Returns:
        `seconds`, `rows`, and the names of the configurations that were `not_reached`.
    """
    import subprocess

    began = time.monotonic()
    remaining = list(configurations)
    rows: list[dict[str, Any]] = []
    known_errors: dict[str, str] = {}
    progress_path = folder / "progress.jsonl"
    order_path = folder / "order.json"
    while remaining and time.monotonic() - began < limits.total:
        fields = [dataclasses.asdict(configuration) for configuration in remaining]
        order = {"configurations": fields, "without": known_errors, "device": device}
        order_path.write_text(json.dumps({**order, "repeats": repeats, "rounds": limits.rounds}), encoding="utf-8")
        progress_path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.gpu.benchmark", str(folder)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr, start_new_session=True)
        try:
            failure = wait_for_process(process, progress_path, began + limits.total, limits.silent, log)
        finally:
            kill_process_group(process)
        lines = read_json_lines(progress_path)
        finished = [line["rows"] for line in lines if "rows" in line]
        rows += [row for configuration_rows in finished for row in configuration_rows]
        remaining, known_errors = remaining[len(finished) :], {} if finished else known_errors
        if failure is None:
            break
        if remaining and failure != LATE:
            stage = lines[-1].get("at", "rounds") if lines else "rounds"
            if stage == "rounds" or stage in known_errors:
                rows.append({**fields[len(finished)], "error": f"{failure} in the rounds"})
                remaining, known_errors = remaining[1:], {}
            else:
                known_errors = {**known_errors, stage: failure}
    return {
        "seconds": round(time.monotonic() - began, 1),
        "rows": rows,
        "not_reached": [configuration.name for configuration in remaining],
    }


LATE = "the time was over"


def wait_for_process(
    process: Any, progress_path: Path, deadline: float, max_silence: float, log: Callable[[str], None]
) -> str | None:
    """Waits for a worker and logs the configurations that it begins; returns why it failed, `None` if it did not."""
    lines_read, last_progress = 0, time.monotonic()
    while process.poll() is None:
        lines = read_json_lines(progress_path)
        for line in lines[lines_read:]:
            last_progress = time.monotonic()
            if "begins" in line:
                log(line["begins"])
        lines_read = len(lines)
        if time.monotonic() > deadline:
            return LATE
        if time.monotonic() - last_progress > max_silence:
            return f"the process gave no sign for {max_silence:g} seconds"
        time.sleep(0.05)
    return f"the process ended with status {process.returncode}" if process.returncode else None


def main(folder: Path) -> None:
    """Measures the configurations of `order.json`, in this process."""
    from analysis.profile.timing import cuda_events, wall_clock

    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    device, known_errors = order["device"], order["without"]

    def report(**line: Any) -> None:
        with (folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    for fields in order["configurations"]:
        tuples = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        configuration = Configuration(**{**fields, **tuples})
        report(begins=configuration.name)
        stage_starts: list[float] = []

        def on_stage(label: str, stage_starts: list[float] = stage_starts) -> None:
            stage_starts.append(time.monotonic())
            report(at=label)

        rows = measure(
            configuration,
            device,
            cuda_events if device == "cuda" else wall_clock(),
            order["repeats"],
            known_errors=known_errors,
            on_stage=on_stage,
            stop=lambda starts=stage_starts: time.monotonic() - starts[-1] > order["rounds"],  # type: ignore[misc]
        )
        report(rows=rows)
        known_errors = {}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
