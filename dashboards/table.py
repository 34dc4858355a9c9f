"""A table as W&B shows it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under named columns; a cell is a number, a text or `None`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
