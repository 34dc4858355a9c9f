"""The chapter on memory: figures and a table for every task, and the sentences that open it."""

from collections.abc import Sequence
from pathlib import Path

from analysis.assembled import assembled
from analysis.blocks import Cell, Chapter, Column, Table
from analysis.estimates import plain, shown
from analysis.formats import ABSENT, count, listed
from analysis.memory.figures import figures
from analysis.memory.sentences import sentences
from analysis.probed import Probed, ProbedSection

ANCHOR = "memory-length"
NAMES = {
    "recall": "recall against lag",
    "memory_capacity": "memory capacity",
    "receptive_field": "effective receptive field",
    "extrapolation": "extrapolation",
}
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("recall", "horizon,\nsteps", "horizon"),
    ("recall", "accuracy,\nall lags", "recall_accuracy"),
    ("memory capacity", "sum\nof R²", "memory_capacity"),
    ("memory capacity", "at\nmost", "states"),
    ("lag that holds of the squared gradient", "50 %", "field_50"),
    ("lag that holds of the squared gradient", "90 %", "field_90"),
    ("lag that holds of the squared gradient", "95 %", "field_95"),
    ("", "reach,\nsteps", "reach"),
    ("longer sequences", "below trivial\nup to, in T", "extrapolation"),
)
"""Group, heading, and the number below it."""


def chapter(sections: Sequence[ProbedSection], folder: Path) -> Chapter | None:
    """How far back models remember, task by task."""
    return assembled(
        sections,
        anchor=ANCHOR,
        title="How far back they remember",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder, ANCHOR), table(section)),
        lacking=lambda section: reasons(section.rows),
    )


def table(section: ProbedSection) -> Table:
    """Every number with its interval, a line a row; columns that no row has are left out."""
    columns = [each for each in COLUMNS if any(entry(row, each[2]) != ABSENT for row in section.rows)]
    return Table(
        caption=f"Memory on {section.section.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            *(Column(heading=heading, group=group) for group, heading, _ in columns),
        ),
        lines=tuple(
            (
                Cell(text=row.row.label, look=row.row.look),
                *(Cell(text=entry(row, name)) for _, _, name in columns),
            )
            for row in section.rows
        ),
    )


def entry(row: Probed, name: str) -> str:
    """A number of a row as the table has it."""
    found = row.number(name)
    if name == "reach" and found is None:
        return "all" if row.word("reach") == "unbounded" else ABSENT
    if found is None:
        return ABSENT
    if name == "horizon" and found.value == 0 and (smallest := row.number("smallest_lag")) is not None:
        # Not even there; what it recalls of smaller lags, nobody has asked.
        return f"< {plain(smallest.value)}"
    # A property of the model, which is the same for every seed, has no interval.
    return count(found.value) if name in ("reach", "states") else shown(found, unit=False)


def reasons(rows: Sequence[Probed]) -> list[str]:
    """Why something was not measured, with the rows that it is true of; without them, where it is true of all."""
    known = {name for row in rows for each in row.findings for name in each.missing}
    by_reason: dict[tuple[str, str], list[str]] = {}
    for name in sorted(known, key=lambda name: (list(NAMES).index(first(name)), len(name), name)):
        for row in rows:
            if (reason := row.missing(name)) is not None:
                by_reason.setdefault((name, reason), []).append(row.row.label)
    return [
        f"{named(name)}{'' if len(labels) == len(rows) else f' of {listed(labels)}'}: {reason}."
        for (name, reason), labels in by_reason.items()
    ]


def first(name: str) -> str:
    """The part that a reason's name belongs to: `extrapolation_16` to extrapolation."""
    return next((part for part in NAMES if name == part or name.startswith(f"{part}_")), "extrapolation")


def named(name: str) -> str:
    """A reason's name in words."""
    said = NAMES[first(name)]
    times = name.removeprefix(f"{first(name)}_")
    said += f" at {times} times the training length" if times.isdecimal() else ""
    return said[:1].upper() + said[1:]
