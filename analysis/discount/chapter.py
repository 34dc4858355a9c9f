"""The chapter on how models discount their past."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from analysis import style, svg
from analysis.assembled import assembled
from analysis.blocks import Block, Cell, Chapter, Column, Figure, Table
from analysis.discount.sentences import opened, summary
from analysis.discount.states import state
from analysis.estimates import shown
from analysis.formats import ABSENT
from analysis.measures.freeze import FROZEN, LIVE
from analysis.plots import discount as plots
from analysis.probed import Probed, ProbedSection

ANCHOR = "discount-dynamics"
COLUMNS: Sequence[tuple[str, str, str]] = (
    ("retention_mean", "mean retention", ""),
    ("time_constant_median", "median unit", "time constant, steps"),
    ("time_constant_longest", "slowest unit", "time constant, steps"),
    ("gamma_half_life", "of gamma alone", "half-life, steps"),
    ("discount_half_life", "of what is kept", "half-life, steps"),
    ("window_share", "window / t at the end", ""),
    ("write_slope", "slope of log write", "freeze"),
    ("dropped_after_use", "dropped after use", "episodes"),
    ("kept_until_used", "kept until used", "episodes"),
    ("forgets_on_purpose", "on purpose", "episodes"),
)
"""A number, and how it is headed."""

Drawer = Callable[[Sequence[Probed]], Drawing | None]
FIGURES: Sequence[tuple[str, Drawer, str]] = (
    (
        "heat",
        plots.heats,
        "Retention (left) and write (right) of every unit in one test sequence, the same for all: the factor on what "
        "was there, and the weight of what is new. Units by their mean retention; of several seeds the first.",
    ),
    (
        "time",
        plots.over_time,
        "Retention, write and effective window against the step, means over units; the band of the retention holds the "
        "middle 80 % of units, other bands are 95 % intervals over seeds. Dashed: what an average over all steps does.",
    ),
    (
        "scales",
        plots.scales,
        "Time constants of the units in ascending order, and the share of the last step's influence that lies within a "
        "lag. Of a hierarchy it is the product of the attention along each path, heads averaged, residual paths left "
        "aside. Bands: 95 % intervals over seeds.",
    ),
    (
        "own",
        plots.discounts,
        "The discount gamma of the RDA, and the logarithm of the attention a of the RDA and the RWA, means over units; "
        "bands: the middle 80 % of units.",
    ),
    (
        "episodes",
        plots.episodes,
        "What is held of an episode's symbols while it lasts and through the next one, as a share of all influence, "
        "mean over units and late episodes; and, episode by episode, the share of what was held after its recall that "
        "is gone at the next mark.",
    ),
)


def chapter(sections: Sequence[ProbedSection], folder: Path) -> Chapter | None:
    """How models discount their past, task by task."""
    return assembled(
        sections,
        anchor=ANCHOR,
        title="How the past is discounted",
        sentences=lambda section: [opened(each, section.rows) for each in summary(section.rows)],
        proof=lambda section: proof(section, folder),
    )


def table(section: ProbedSection) -> Table | None:
    """The numbers of every row that has gates, with their intervals."""
    rows = [row for row in section.rows if row.number("retention_mean") is not None]
    kept = [each for each in COLUMNS if any(row.number(each[0]) is not None for row in rows)]
    if not rows:
        return None
    lines = []
    for row in rows:
        cells = [Cell(text=row.row.label, look=row.row.look)]
        for name, _, _ in kept:
            estimate = row.number(name)
            cells.append(Cell(text=ABSENT if estimate is None else shown(estimate, unit=False)))
            if name == "write_slope":
                cells.append(Cell(text=state(row) or ABSENT))
        lines.append(tuple(cells))
    columns = [Column(heading="architecture", kind="text")]
    for name, heading, group in kept:
        columns.append(Column(heading=heading, group=group))
        if name == "write_slope":
            columns.append(Column(heading="so", group=group, kind="text"))
    return Table(
        caption=f"Retention and what follows from it on {section.section.title}, with 95 % intervals; frozen: the "
        f"slope's interval lies below {FROZEN:.2f}, live: above {LIVE:.2f}",
        columns=tuple(columns),
        lines=tuple(lines),
    )


def proof(section: ProbedSection, folder: Path) -> list[Block]:
    """A task's table and figures."""
    blocks: list[Block] = []
    if (numbers := table(section)) is not None:
        blocks.append(numbers)
    for name, draw, caption in FIGURES:
        blocks += _figure(draw(section.rows), f"{section.section.anchor}-{ANCHOR}-{name}", caption, folder)
    for place, row in enumerate(section.rows):
        anchor = f"{section.section.anchor}-{ANCHOR}-maps-{place}"
        where = f"{row.row.label}: the attention of each level"
        blocks += _figure(
            plots.maps(row),
            anchor,
            f"{where}, mean over sequences and heads, against step and lag; of several seeds the first.",
            folder,
        )
        blocks += _figure(
            plots.levels(row),
            f"{anchor}-mean",
            f"{where} by lag, mean over all steps whose whole window is there.",
            folder,
        )
    return blocks


def _figure(drawing: Drawing | None, name: str, caption: str, folder: Path) -> list[Block]:
    if drawing is None:
        return []
    return [Figure(svg=svg.inline(style.save(drawing, folder, name), name, caption), caption=caption)]
