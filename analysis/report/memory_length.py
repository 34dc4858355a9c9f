"""The chapter on memory: figures and a table for every task, and the sentences that open it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis import style
from analysis.figures.axes import UNIT
from analysis.figures.panels import AID, Line, Panel, draw, line
from analysis.formatting import ABSENT, format_count, format_estimate, format_plain, join_names
from analysis.grouping import Row
from analysis.probes.aggregate import RowResults, SectionResults, with_number
from analysis.report import output_files
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import build_chapter
from analysis.report.ranking import Question, nothing, sentence
from analysis.statistics import Estimate

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


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """How far back models remember, task by task."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How far back they remember",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder, ANCHOR), table(section)),
        lacking=lambda section: reasons(section.rows),
    )


def table(section: SectionResults) -> Table:
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


def entry(row: RowResults, name: str) -> str:
    """A number of a row as the table has it."""
    found = row.metric(name)
    if name == "reach" and found is None:
        return "all" if row.label("reach") == "unbounded" else ABSENT
    if found is None:
        return ABSENT
    if name == "horizon" and found.value == 0 and (smallest := row.metric("smallest_lag")) is not None:
        # Not even there; what it recalls of smaller lags, nobody has asked.
        return f"< {format_plain(smallest.value)}"
    # A property of the model, which is the same for every seed, has no interval.
    return format_count(found.value) if name in ("reach", "states") else format_estimate(found, unit=False)


def reasons(rows: Sequence[RowResults]) -> list[str]:
    """Why something was not measured, with the rows that it is true of; without them, where it is true of all."""
    known = {name for row in rows for each in row.results for name in each.unavailable}
    by_reason: dict[tuple[str, str], list[str]] = {}
    for name in sorted(known, key=lambda name: (list(NAMES).index(first(name)), len(name), name)):
        for row in rows:
            if (reason := row.unavailable(name)) is not None:
                by_reason.setdefault((name, reason), []).append(row.row.label)
    return [
        f"{named(name)}{'' if len(labels) == len(rows) else f' of {join_names(labels)}'}: {reason}."
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


LAG = "lag, steps"
TIMES = "sequence length, times that of training"
BANDS = "Bands: 95 % intervals."


def figures(section: SectionResults, folder: Path, anchor: str) -> list[Figure]:
    """Recall, memory capacity and gradient against lag, and loss and accuracy against length; none without data."""
    rows = section.rows
    groups: dict[str, tuple[str, list[Panel | None]]] = {
        "recall": (
            "Accuracy against the lag from where a symbol was shown to where it is recalled, neighbouring lags "
            "together; the horizon is where it falls below the dashed line, half way from chance to 1.",
            [recall(rows)],
        ),
        "capacity": (
            "How well white noise read at a lag can be told, linearly, from the output, on held-out data; memory "
            "capacity is the sum over all lags, that of lag 0, which a logarithmic axis does not have, included.",
            [panel(rows, "capacity", LAG, "R²", unit=True, log_x=True)],
        ),
        "gradient": (
            "Share of the squared gradient of the last output that lies within a lag.",
            [panel(rows, "gradient_share", LAG, "share within the lag", unit=True, log_x=True)],
        ),
        "extrapolation": (
            "Test loss, and accuracy where the task has one, on sequences up to 16 times as long as those of "
            "training; the dashed line is the loss of the best answer without memory.",
            [longer(rows), panel(rows, "extrapolation_accuracy", TIMES, "accuracy", unit=True, log_x=True)],
        ),
    }
    made = []
    for kind, (caption, panels) in groups.items():
        if drawn := [each for each in panels if each is not None]:
            name = f"{anchor}-{section.section.anchor}-{kind}"
            text = style.save(draw(drawn), folder, name)
            image = output_files.inline(text, name, described(section, drawn))
            made.append(Figure(svg=image, caption=f"{caption} {BANDS}"))
    return made


def panel(
    rows: Sequence[RowResults], name: str, x_label: str, y_label: str, *, unit: bool = False, log_x: bool = False
) -> Panel | None:
    """A curve of each row that has it in at least two places; `None` where no row has."""
    lines = lines_of(rows, name, 1 if log_x else 0)
    if not lines:
        return None
    return Panel(lines=lines, x_label=x_label, y_label=y_label, log_x=log_x, scale=UNIT if unit else None)


def lines_of(rows: Sequence[RowResults], name: str, least: float) -> list[Line]:
    """The rows' lines with two values or more from an x on."""
    found = [(row, curve) for row in rows if (curve := row.curve(name)) is not None]
    return [line(row, curve) for row, curve in found if np.isfinite(curve.array()[curve.array("x") >= least]).sum() > 1]


def recall(rows: Sequence[RowResults]) -> Panel | None:
    """Accuracy against lag, with the bound of the horizon."""
    lines = lines_of(rows, "recall", 0)
    bound = next((found.value for row in rows if (found := row.metric("recall_bound")) is not None), None)
    if not lines or bound is None:
        return None
    x = np.array([min(each.x.min() for each in lines), max(each.x.max() for each in lines)])
    aid = Line(label="half way", x=x, y=np.array([bound, bound]), look=AID)
    return Panel(lines=[*lines, aid], x_label=LAG, y_label="accuracy", scale=UNIT)


def longer(rows: Sequence[RowResults]) -> Panel | None:
    """Loss against length, with the trivial loss."""
    lines = lines_of(rows, "extrapolation_loss", 1)
    trivial = [curve for row in rows if (curve := row.curve("extrapolation_trivial")) is not None]
    if not lines:
        return None
    longest = max(trivial, key=lambda curve: len(curve.x))
    aid = Line(label="trivial", x=longest.array("x"), y=longest.array(), look=AID)
    return Panel(lines=[*lines, aid], x_label=TIMES, y_label="loss", log_x=True)


def described(section: SectionResults, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{each.y_label} against {each.x_label} for {join_names([one.label for one in each.lines])}" for each in panels
    )
    return f"{section.section.title}: {what}"


FARTHEST = Question(asked="", best="recalls from farthest back", short="recall horizon")
MOST = Question(asked="", best="recalls most", short="accuracy")
LARGEST = Question(asked="", best="has the largest memory capacity", short="memory capacity")
WIDEST = Question(
    asked="",
    best="has 95 % of its squared gradient within the largest lag",
    short="lag within which 95 % of the squared gradient lie",
)
LONGEST = Question(asked="", best="stays below the trivial loss on the longest sequences", short="extrapolation")


def sentences(section: SectionResults) -> list[str]:
    """Who recalls from farthest back, who holds most, whose gradient reaches farthest, who copes with more."""
    rows = section.rows
    found = [recalled(rows), held(rows), reaching(rows), coping(rows), over(rows)]
    return [said for said in found if said]


def answers(rows: Sequence[RowResults], name: str) -> list[tuple[Row, Estimate]]:
    """The rows that have a number, with it, the largest first."""
    return [(row.row, estimate) for row, estimate in with_number(rows, name)]


def recalled(rows: Sequence[RowResults]) -> str:
    """Who recalls from farthest back; where all is recalled at one lag, who recalls most."""
    found = answers(rows, "horizon")
    # Not by row: it is the task that decides on the lags.
    lags = [[estimate.value for _, estimate in answers(rows, name)] for name in ("smallest_lag", "largest_lag")]
    if not found or not all(lags):
        return ""
    smallest, largest = min(lags[0]), max(lags[1])
    if smallest == largest:
        shares = [(row, replace(estimate, unit="1")) for row, estimate in answers(rows, "recall_accuracy")]
        said = sentence(MOST, shares)
        return f"Everything is recalled at one lag, {format_plain(smallest)} steps: {said}"
    tested = f"The lags run from {format_plain(smallest)} to {format_plain(largest)} steps"
    if nothing(FARTHEST, found):
        return f"{tested}, and none of {join_names([row.label for row, _ in found])} recalls at the smallest of them."
    until = [row.label for row, estimate in found if estimate.censored and estimate.value >= largest]
    verb = "recall" if len(until) > 1 else "recalls"
    end = f"; at the largest {join_names(until)} still {verb} more than half way from chance to all" if until else ""
    said = sentence(FARTHEST, found)
    return f"{said} {tested}{end}."


def held(rows: Sequence[RowResults]) -> str:
    """Who has the largest memory capacity, and of how much."""
    found = answers(rows, "memory_capacity")
    if not found:
        return ""
    best = next(row for row in rows if row.row is found[0][0])
    states = best.metric("states")
    most = (
        ""
        if states is None or nothing(LARGEST, found)
        else f" It can be at most {format_plain(states.value)}, its outputs."
    )
    return f"{capital(sentence(LARGEST, found)) if nothing(LARGEST, found) else sentence(LARGEST, found)}{most}"


def reaching(rows: Sequence[RowResults]) -> str:
    """Whose gradient reaches farthest back."""
    found = answers(rows, "field_95")
    if not found:
        return ""
    return capital(sentence(WIDEST, found)) if nothing(WIDEST, found) else sentence(WIDEST, found)


def capital(said: str) -> str:
    """With a capital letter: what does not begin with a row's label."""
    return said[:1].upper() + said[1:]


def coping(rows: Sequence[RowResults]) -> str:
    """Who stays below the trivial loss on sequences longer than those of training."""
    found = answers(rows, "extrapolation")
    if not found:
        return ""
    if nothing(LONGEST, found):
        rows_of = join_names([row.label for row, _ in found])
        return (
            f"Of none of {rows_of} the loss can be told to lie below the trivial one, not even at the training length."
        )
    return sentence(LONGEST, found)


def over(rows: Sequence[RowResults]) -> str:
    """What the intervals are over."""
    single = [row.row.label for row in rows if len(row.results) == 1]
    if not single:
        return ""
    who = "" if len(single) == len(rows) else f" of {join_names(single)}"
    return f"The intervals{who} are over test sequences, of one seed, and say nothing of other seeds."
