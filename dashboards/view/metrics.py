"""The newest row of a run's metrics, without reading all those before it."""

import csv
import math
from pathlib import Path

from workbench.errors import UserError

TAIL = 65_536
"""Bytes at the end of the file among which its last line is; a row has a few hundred."""


def last_row(path: Path) -> dict[str, float]:
    """The last row of a `metrics.csv`, by column; an empty cell is left out, and so is what is no number.

    Raises:
        UserError: if it is no table of metrics.
    """
    try:
        with path.open("rb") as file:
            head = file.readline(TAIL)
            file.seek(max(len(head), path.stat().st_size - TAIL))
            tail = file.read(TAIL)
        names, cells = (next(csv.reader([each.decode()]), []) for each in (head, last_line(tail)))
    except (OSError, ValueError, csv.Error):
        raise UserError(f"{path.name} is no readable table of metrics") from None
    if "step" not in names:
        raise UserError(f"{path.name} is no table of metrics: it has no column step")
    row = {name: number(cell) for name, cell in zip(names, cells, strict=False)}
    if cells and not 0 <= row.get("step", math.nan) < 2**53:
        raise UserError(f"{path.name} is no table of metrics: its last step is {cells[names.index('step')][:40]!r}")
    return {name: value for name, value in row.items() if math.isfinite(value)}


def last_line(tail: bytes) -> bytes:
    """The last line with anything in it."""
    return next((line for line in reversed(tail.splitlines()) if line.strip()), b"")


def number(text: str) -> float:
    """A cell's number; NaN where it has none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
