"""The chapter on the survival of signals: figures and a table for every task, and the sentences that open it."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import style
from analysis.figures.panels import AID, Line, Panel, draw, falling, from_logs, lines_of
from analysis.formatting import (
    ABSENT,
    SUPERSCRIPTS,
    format_count,
    format_estimate,
    format_number,
    join_names,
    pluralize,
)
from analysis.measures.survival import ESSAY_RETENTION, photocopier
from analysis.probes.aggregate import RowResults, SectionResults, with_number
from analysis.report import output_files
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import build_chapter
from analysis.report.ranking import QUESTIONS, sentence
from analysis.statistics import Estimate

ANCHOR = "signal-survival"
STEPS = "steps"


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """What is left of signals, task by task."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How much of a signal survives",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder), table(section)),
        lacking=lambda section: _lacking(section.rows),
    )


def _lacking(rows: Sequence[RowResults]) -> list[str]:
    """A sentence for each reason for which rows have no survival in gates."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if (reason := row.unavailable("survival")) is not None:
            by_reason.setdefault(reason, []).append(row.row.label)
    return [f"A survival in gates of {join_names(labels)}: {reason}." for reason, labels in by_reason.items()]


def figures(section: SectionResults, folder: Path) -> list[Figure]:
    """What is left, measured; and what the essay's calculation makes of it."""
    rows = section.rows
    median, best, calculated = (from_logs(lines_of(rows, name)) for name in ("left", "left_best", "calculated"))
    groups = {
        "left": (
            "The share of a signal that is left in the gates of the median unit (above) and of the best, measured on "
            f"one long sequence; the dashed line is the essay's photocopier, which keeps {ESSAY_RETENTION} at "
            "every copy.",
            [
                falling(_beside(median), STEPS, "share, median unit", log_x=True),
                falling(_beside(best), STEPS, "share, best unit", log_x=True),
            ],
        ),
        "copies": (
            "What a photocopier of each architecture's mean retention would leave, and the copies that lie between an "
            "input and the output; a line ends with the architecture's reach.",
            [
                falling(_beside(calculated), STEPS, "share, calculated", log_x=True),
                falling(lines_of(rows, "copies"), "lag, steps", "copies", log_x=True),
            ],
        ),
    }
    made = []
    for kind, (caption, panels) in groups.items():
        drawn = [panel for panel in panels if panel is not None]
        if drawn:
            name = f"{ANCHOR}-{section.section.anchor}-{kind}"
            text = style.save(draw(drawn), folder, name)
            note = "Bands: 95 % intervals, but for two seeds. A line ends where it falls below a trillionth."
            made.append(
                Figure(svg=output_files.inline(text, name, described(section, drawn)), caption=f"{caption} {note}")
            )
    return made


def _beside(lines: Sequence[Line]) -> list[Line]:
    """Lines with the essay's photocopier beside them; none where there are none."""
    if not lines:
        return []
    x = np.unique(np.concatenate([each.x for each in lines]))
    return [*lines, Line(label=f"{ESSAY_RETENTION} a copy", x=x, y=ESSAY_RETENTION**x, look=AID)]


def described(section: SectionResults, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{panel.y_label} against {panel.x_label} for {join_names([each.label for each in panel.lines])}"
        for panel in panels
    )
    return f"{section.section.title}: {what}"


def table(section: SectionResults) -> Table:
    """What is left after round numbers of steps, and how long half and a hundredth stay, a line a row."""
    steps = asked(section.rows)
    wanted = [] if steps is None else sorted({min(steps, copies) for copies in (1_000, steps)})
    columns = [
        Column(heading="architecture", kind="text"),
        Column(heading="retention", group="mean"),
        Column(heading="half", group="steps until left"),
        Column(heading="1 %", group="steps until left"),
        *(Column(heading=f"{format_count(each)}\nsteps", group="left after") for each in wanted),
        Column(heading="calculated", group="left after"),
        Column(heading="copies"),
        Column(heading="reach"),
    ]
    return Table(
        caption=f"Survival of a signal on {section.section.title}: median unit, with 95 % intervals",
        columns=tuple(columns),
        lines=tuple(_line(row, wanted) for row in section.rows),
    )


def _line(row: RowResults, wanted: Sequence[int]) -> tuple[Cell, ...]:
    def steps(name: str) -> str:
        found = row.metric(name)
        return ABSENT if found is None else format_estimate(found, unit=False)

    def log(copies: int) -> str:
        found = row.metric(f"log10_left_{copies}")
        return ABSENT if found is None else share(found)

    retention, copies, reach = (row.metric(name) for name in ("retention", "copies", "reach"))
    calculated = row.curve("calculated")
    final = None if calculated is None else calculated.y[-1]
    cells = [
        ABSENT if retention is None else f"{retention.value:.6f}".rstrip("0").rstrip("."),
        steps("half_left"),
        steps("hundredth_left"),
        *(log(each) for each in wanted),
        ABSENT if final is None else power(final),
        ABSENT if copies is None else format_count(copies.value),
        "all" if reach is None else format_count(reach.value),
    ]
    return (Cell(text=row.row.label, look=row.row.look), *(Cell(text=text) for text in cells))


LEAST = -300.0
"""The logarithm to base 10 below which a share is given by its power of ten alone."""


def sentences(section: SectionResults) -> list[str]:
    """Who keeps some for longest, the essay's photocopier, what the gates have left, and who needs few copies."""
    rows = section.rows
    found = [keeps_longest(rows), essay(rows), left(rows), few_copies(rows)]
    return [said for said in found if said]


def asked(rows: Sequence[RowResults]) -> int | None:
    """The largest number of steps that all rows with gates were followed for."""
    lengths = [
        {int(match[1]) for name in each.metrics if (match := re.fullmatch(r"log10_left_(\d+)", name))}
        for row in rows
        for each in row.results
    ]
    known = [found for found in lengths if found]
    shared = set.intersection(*known) if known else set()
    return max(shared, default=None)


def essay(rows: Sequence[RowResults]) -> str:
    """The essay's calculation, for as many copies as steps were followed."""
    steps = asked(rows)
    if steps is None:
        return ""
    kept = photocopier(ESSAY_RETENTION, steps)
    left = f"{format_number(kept)} of it after {format_count(steps)} copies"
    return f"A photocopier that keeps {ESSAY_RETENTION} of a signal leaves {left}."


def left(rows: Sequence[RowResults]) -> str:
    """What the median unit of each row still holds, the most first, beside the photocopier's."""
    steps = asked(rows)
    if steps is None:
        return ""
    found = with_number(rows, f"log10_left_{steps}")
    bound = steps * math.log10(ESSAY_RETENTION)
    sides: dict[str, list[str]] = {"more": [], "less": [], "about": []}
    for row, estimate in found:
        # Without an interval neither comparison holds.
        side = "more" if estimate.low > bound else "less" if estimate.high < bound else "about"
        sides[side].append(f"{row.row.label} ({share(estimate)})")
    said = {
        "more": "more than that in {}",
        "about": "what the intervals do not tell from that in {}",
        "less": "less than that in {}",
    }
    parts = [text.format(join_names(sides[side])) for side, text in said.items() if sides[side]]
    return (
        f"After {format_count(steps)} steps, the gates of the median unit have left {'; '.join(parts)}."
        if parts
        else ""
    )


def keeps_longest(rows: Sequence[RowResults]) -> str:
    """Who keeps a hundredth of a signal for longest, and whether that is certain."""
    question = next(question for question in QUESTIONS if question.probe == "signal_survival")
    answer = [(row.row, estimate) for row, estimate in with_number(rows, question.number)]
    if not answer:
        return ""
    return sentence(question, answer)


def few_copies(rows: Sequence[RowResults]) -> str:
    """Whose signal passes a few copies only, within which reach."""
    found = [
        f"{pluralize(round(copies.value), 'copy', 'copies')} in {row.row.label}, "
        f"within its {format_count(reach.value)} steps"
        for row in rows
        if (copies := row.metric("copies")) is not None and (reach := row.metric("reach")) is not None
    ]
    return f"A signal passes {'; '.join(found)}; beyond these it is lost." if found else ""


def share(estimate: Estimate) -> str:
    """A share given by its logarithm to base 10, with its interval."""
    if not estimate.has_interval:
        return power(estimate.value)
    return f"{power(estimate.value)} [{power(estimate.low)}, {power(min(estimate.high, 0.0))}]"


def power(log: float) -> str:
    """10 to a power, as a number where there is one.

    Example:
        >>> power(-5.0), power(-13216.9)
        ('1.00 × 10⁻⁵', '10⁻¹³²¹⁷')
    """
    if not math.isfinite(log):
        return ABSENT
    return format_number(10.0**log) if log > LEAST else f"10{str(round(log)).translate(SUPERSCRIPTS)}"
