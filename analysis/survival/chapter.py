"""The chapter on the survival of signals: figures and a table for every task, and the sentences that open it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import style, svg
from analysis.assembled import assembled
from analysis.blocks import Cell, Chapter, Column, Figure, Table
from analysis.estimates import shown
from analysis.formats import ABSENT, count, listed
from analysis.plots.decay import falling, from_logs, lines_of
from analysis.plots.panel import AID, Line, Panel, draw
from analysis.probed import Probed, ProbedSection
from analysis.survival.hops import ESSAY
from analysis.survival.sentences import asked, power, sentences, share

ANCHOR = "signal-survival"
STEPS = "steps"


def chapter(sections: Sequence[ProbedSection], folder: Path) -> Chapter | None:
    """What is left of signals, task by task."""
    return assembled(
        sections,
        anchor=ANCHOR,
        title="How much of a signal survives",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder), table(section)),
        lacking=lambda section: _lacking(section.rows),
    )


def _lacking(rows: Sequence[Probed]) -> list[str]:
    """A sentence for each reason for which rows have no survival in gates."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if (reason := row.missing("survival")) is not None:
            by_reason.setdefault(reason, []).append(row.row.label)
    return [f"A survival in gates of {listed(labels)}: {reason}." for reason, labels in by_reason.items()]


def figures(section: ProbedSection, folder: Path) -> list[Figure]:
    """What is left, measured; and what the essay's calculation makes of it."""
    rows = section.rows
    median, best, calculated = (from_logs(lines_of(rows, name)) for name in ("left", "left_best", "calculated"))
    groups = {
        "left": (
            "The share of a signal that is left in the gates of the median unit (above) and of the best, measured on "
            f"one long sequence; the dashed line is the essay's photocopier, which keeps {ESSAY} at every copy.",
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
            made.append(Figure(svg=svg.inline(text, name, described(section, drawn)), caption=f"{caption} {note}"))
    return made


def _beside(lines: Sequence[Line]) -> list[Line]:
    """Lines with the essay's photocopier beside them; none where there are none."""
    if not lines:
        return []
    x = np.unique(np.concatenate([each.x for each in lines]))
    return [*lines, Line(label=f"{ESSAY} a copy", x=x, y=ESSAY**x, look=AID)]


def described(section: ProbedSection, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{panel.y_label} against {panel.x_label} for {listed([each.label for each in panel.lines])}"
        for panel in panels
    )
    return f"{section.section.title}: {what}"


def table(section: ProbedSection) -> Table:
    """What is left after round numbers of steps, and how long half and a hundredth stay, a line a row."""
    steps = asked(section.rows)
    wanted = [] if steps is None else sorted({min(steps, copies) for copies in (1_000, steps)})
    columns = [
        Column(heading="architecture", kind="text"),
        Column(heading="retention", group="mean"),
        Column(heading="half", group="steps until left"),
        Column(heading="1 %", group="steps until left"),
        *(Column(heading=f"{count(each)}\nsteps", group="left after") for each in wanted),
        Column(heading="calculated", group="left after"),
        Column(heading="copies"),
        Column(heading="reach"),
    ]
    return Table(
        caption=f"Survival of a signal on {section.section.title}: median unit, with 95 % intervals",
        columns=tuple(columns),
        lines=tuple(_line(row, wanted) for row in section.rows),
    )


def _line(row: Probed, wanted: Sequence[int]) -> tuple[Cell, ...]:
    def steps(name: str) -> str:
        found = row.number(name)
        return ABSENT if found is None else shown(found, unit=False)

    def log(copies: int) -> str:
        found = row.number(f"log10_left_{copies}")
        return ABSENT if found is None else share(found)

    retention, copies, reach = (row.number(name) for name in ("retention", "copies", "reach"))
    calculated = row.curve("calculated")
    final = None if calculated is None else calculated.y[-1]
    cells = [
        ABSENT if retention is None else f"{retention.value:.6f}".rstrip("0").rstrip("."),
        steps("half_left"),
        steps("hundredth_left"),
        *(log(each) for each in wanted),
        ABSENT if final is None else power(final),
        ABSENT if copies is None else count(copies.value),
        "all" if reach is None else count(reach.value),
    ]
    return (Cell(text=row.row.label, look=row.row.look), *(Cell(text=text) for text in cells))
