"""What the best rows of a task cost, in a sentence: parameters, and time beside that of the base."""

from collections.abc import Sequence
from typing import Protocol

from analysis.formatting import format_count, format_number


class CostedRow(Protocol):
    """A row of the first screen, as far as its cost goes."""

    @property
    def label(self) -> str:
        """The row's name."""

    @property
    def parameters(self) -> float:
        """The number of its parameters."""

    @property
    def time(self) -> float | None:
        """Time of a training step as a multiple of that of the base; `None` if unknown."""


def describe_cost(rows: Sequence[CostedRow], base: str) -> str:
    """Returns what the first row costs, the next one's cost, and which rows have the fewest parameters and least time.

    Args:
        rows: the best first; nothing is said of none.
        base: label of the row that times are multiples of.
    """
    if not rows:
        return ""
    text = f"{rows[0].label} has {format_cost(rows[0], base)}"
    if len(rows) == 1:
        return f"{text}."
    text += f"; {rows[1].label} {format_cost(rows[1], base)}"
    smallest = min(rows, key=lambda row: row.parameters)
    timed = [(row.time, row.label) for row in rows if row.time is not None]
    named = {row.label for row in rows[:2]}
    if smallest.label not in named:
        text += f"; the smallest, {smallest.label}, {format_count(smallest.parameters)} parameters"
    if timed and (quickest := min(timed))[1] not in named:
        times = "" if quickest[1] == base else f", {format_number(quickest[0])} times the time of {base}"
        text += f"; the quickest is {quickest[1]}{times}"
    return f"{text}."


def format_cost(row: CostedRow, base: str) -> str:
    """Formats a row's parameters and time: `17,473 parameters and 1.40 times the time of lstm`; the base's has none."""
    text = f"{format_count(row.parameters)} parameters"
    if row.time is None or row.label == base:
        return text
    return f"{text} and {format_number(row.time)} times the time of {base}"
