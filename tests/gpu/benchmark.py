"""Configurations measured one after another in a process that may hang or crash: then what it was at has failed, and
another process goes on with the rest.

`python -m tests.gpu.benchmark FOLDER` is that process: it reads `order.json` there and writes `found.jsonl`.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gpu.measured import Configuration, measured
from tests.gpu.suite import ROOT, end, lines

PAIRS = ((100, 250), (128, 256), (100, 256), (128, 250), (100, 512))
"""Batch and units."""
ARITHMETIC: tuple[dict[str, Any], ...] = (
    {"matmul_precision": "highest"},
    {"matmul_precision": "high"},
    {"precision": "bf16", "matmul_precision": "high"},
)
SLOW_AT = PAIRS[:1]
"""Where the slow ones are measured, too: the eager backend, and the naive loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds.

    Args:
        all: of everything.
        rounds: of the rounds of a configuration; the one that it ends in is made to its end.
        silent: without a sign from the process, after which it is taken to hang.
    """

    all: float
    rounds: float = 9
    silent: float = 60


def grid() -> list[Configuration]:
    """What is measured, the most telling first."""
    made = []
    for batch, units in PAIRS:
        slow = (batch, units) in SLOW_AT
        fast: dict[str, Any] = {} if slow else {"backends": ("triton", "graphs"), "naive_length": 0}
        made += [Configuration(batch_size=batch, hidden_size=units, **fast, **each) for each in ARITHMETIC]
    return made


def run(
    configurations: Sequence[Configuration],
    device: str,
    folder: Path,
    limits: Limits,
    *,
    repeats: int = 7,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measures configurations.

    Args:
        configurations: what, in this order.
        device: cpu or cuda.
        folder: for what is written meanwhile.
        limits: of time.
        repeats: rounds that count, at most.
        told: each configuration as it begins.

    Returns:
        `seconds`, `rows`, and the names of the configurations that were `not_reached`.
    """
    import subprocess

    began = time.monotonic()
    left = list(configurations)
    rows: list[dict[str, Any]] = []
    without: dict[str, str] = {}
    found = folder / "found.jsonl"
    order = folder / "order.json"
    while left and time.monotonic() - began < limits.all:
        plain = [dataclasses.asdict(each) for each in left]
        given = {"configurations": plain, "without": without, "device": device}
        order.write_text(json.dumps({**given, "repeats": repeats, "rounds": limits.rounds}), encoding="utf-8")
        found.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.gpu.benchmark", str(folder)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr, start_new_session=True)
        try:
            why = watched(process, found, began + limits.all, limits.silent, told)
        finally:
            end(process)
        signs = lines(found)
        done = [sign["rows"] for sign in signs if "rows" in sign]
        rows += [row for each in done for row in each]
        left, without = left[len(done) :], {} if done else without
        if why is None:
            break
        if left and why != LATE:
            at = signs[-1].get("at", "rounds") if signs else "rounds"
            if at == "rounds" or at in without:
                rows.append({**plain[len(done)], "error": f"{why} in the rounds"})
                left, without = left[1:], {}
            else:
                without = {**without, at: why}
    return {
        "seconds": round(time.monotonic() - began, 1),
        "rows": rows,
        "not_reached": [each.name for each in left],
    }


LATE = "the time was over"


def watched(process: Any, found: Path, until: float, silent: float, told: Callable[[str], None]) -> str | None:
    """Waits for a process, and tells what it begins; returns why it did not come to its end."""
    seen, heard = 0, time.monotonic()
    while process.poll() is None:
        signs = lines(found)
        for sign in signs[seen:]:
            heard = time.monotonic()
            if "begins" in sign:
                told(sign["begins"])
        seen = len(signs)
        if time.monotonic() > until:
            return LATE
        if time.monotonic() - heard > silent:
            return f"the process gave no sign for {silent:g} seconds"
        time.sleep(0.05)
    return f"the process ended with status {process.returncode}" if process.returncode else None


def main(folder: Path) -> None:
    """Measures what is ordered, in this process."""
    from analysis.profile.timing import events, wall

    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    device, without = order["device"], order["without"]

    def sign(**line: Any) -> None:
        with (folder / "found.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    for plain in order["configurations"]:
        lists = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
        configuration = Configuration(**{**plain, **lists})
        sign(begins=configuration.name)
        started: list[float] = []

        def at(label: str, started: list[float] = started) -> None:
            started.append(time.monotonic())
            sign(at=label)

        rows = measured(
            configuration,
            device,
            events if device == "cuda" else wall(),
            order["repeats"],
            without=without,
            at=at,
            stop=lambda started=started: time.monotonic() - started[-1] > order["rounds"],  # type: ignore[misc]
        )
        sign(rows=rows)
        without = {}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
