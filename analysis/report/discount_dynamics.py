"""The chapter on how models discount their past."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from analysis import style
from analysis.figures import discount_dynamics as plots
from analysis.formatting import ABSENT, format_estimate, join_names
from analysis.measures.gates import FROZEN, LIVE, diagnosis
from analysis.probes.aggregate import RowResults, SectionResults, with_number
from analysis.report import output_files, ranking
from analysis.report.blocks import Block, Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import build_chapter, capitalize_first
from analysis.report.ranking import Question
from analysis.statistics import Estimate

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

Drawer = Callable[[Sequence[RowResults]], Drawing | None]
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


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """How models discount their past, task by task."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How the past is discounted",
        sentences=lambda section: [capitalize_first(each, section.rows) for each in summary(section.rows)],
        proof=lambda section: proof(section, folder),
    )


def table(section: SectionResults) -> Table | None:
    """The numbers of every row that has gates, with their intervals."""
    rows = [row for row in section.rows if row.metric("retention_mean") is not None]
    kept = [each for each in COLUMNS if any(row.metric(each[0]) is not None for row in rows)]
    if not rows:
        return None
    lines = []
    for row in rows:
        cells = [Cell(text=row.row.label, look=row.row.look)]
        for name, _, _ in kept:
            estimate = row.metric(name)
            cells.append(Cell(text=ABSENT if estimate is None else format_estimate(estimate, unit=False)))
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


def proof(section: SectionResults, folder: Path) -> list[Block]:
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
    return [Figure(svg=output_files.inline(style.save(drawing, folder, name), name, caption), caption=caption)]


RANKED = (
    (
        "dropped_after_use",
        "drops the largest share of what it has put out before it is asked again",
        "share dropped after use",
    ),
    (
        "forgets_on_purpose",
        "forgets on purpose by the widest margin, the share kept while needed less that kept after",
        "share kept while needed, less that kept after,",
    ),
    (
        "held_over",
        "still holds the largest share of earlier episodes at an episode's last step",
        "share held of earlier episodes",
    ),
    ("time_constant_longest", "has the unit that keeps longest, by its time constant", "longest time constant"),
)
"""Numbers that rows are ranked by, what is said of the first, and what the number is."""
WINDOW = "attention_window_"
SAID = {
    "frozen": "frozen, as the weight of what is new falls about as fast as 1 / t, or faster",
    "live": "live to the end, as the weight of what is new falls far more slowly than 1 / t, or not at all",
    "between": "between the two, or too uncertain to tell",
}


def summary(rows: Sequence[RowResults]) -> list[str]:
    """What the numbers say of a section's rows."""
    sentences = []
    for name, best, short in RANKED:
        answer = [(row.row, plain(estimate)) for row, estimate in with_number(rows, name)]
        question = Question(asked="", best=best, short=short, signed=name == "forgets_on_purpose")
        if answer:
            said = ranking.sentence(question, answer)
            # That sentence is an answer to the question, which is not asked here.
            nobody = question.signed and ranking.nothing(question, answer)
            sentences.append(f"who forgets on purpose: {said}" if nobody else said)
    sentences += freezing(rows)
    sentences += half_lives(rows)
    sentences += growing(rows)
    sentences += attention(rows)
    return sentences


def freezing(rows: Sequence[RowResults]) -> list[str]:
    """Who is frozen, who is live."""
    found: dict[str, list[str]] = {}
    for row in rows:
        slope, said = row.metric("write_slope"), state(row)
        if slope is not None and said is not None:
            found.setdefault(said, []).append(f"{row.row.label} (slope {format_estimate(slope)})")
    return [f"{SAID[name]}: {join_names(found[name])}." for name in SAID if name in found]


def half_lives(rows: Sequence[RowResults]) -> list[str]:
    """How long gamma alone would keep, and what is really kept."""
    sentences = []
    for row, gamma in with_number(rows, "gamma_half_life"):
        kept = row.metric("discount_half_life")
        if kept is not None:
            sentences.append(
                f"the median unit of {row.row.label} has a half-life of {format_estimate(kept)}; by gamma alone "
                f"it would be {format_estimate(gamma)}."
            )
    return sentences


def growing(rows: Sequence[RowResults]) -> list[str]:
    """Whose attention grows with time: without a discount, only louder news drowns what was before."""
    found = [(row, estimate) for row, estimate in with_number(rows, "attention_growth") if estimate.has_interval]
    up = [f"{row.row.label} by {format_estimate(estimate)}" for row, estimate in found if estimate.low > 0]
    level = [row.row.label for row, estimate in found if estimate.low <= 0 <= estimate.high]
    sentences = []
    if up:
        sentences.append(f"log a grows with time, so that what is new weighs more than what is old: {join_names(up)}.")
    if level:
        sentences.append(f"no growth of log a can be told from 0: {join_names(level)}.")
    return sentences


def attention(rows: Sequence[RowResults]) -> list[str]:
    """How widely each level of a hierarchy looks."""
    sentences = []
    for row in rows:
        parts = []
        for name in sorted({name for each in row.results for name in each.metrics if name.startswith(WINDOW)}):
            estimate, curve = row.metric(name), row.curve(f"attention_{name.removeprefix(WINDOW)}")
            if estimate is not None and curve is not None:
                level = name.removeprefix(WINDOW).replace("_", " ")
                parts.append(f"{level} to {format_estimate(plain(estimate))} of {len(curve.x)}")
        if parts:
            sentences.append(f"of the outputs below, {row.row.label} attends, by the entropy, at {join_names(parts)}.")
    return sentences


def plain(estimate: Estimate) -> Estimate:
    """Without its unit where the sentence says it."""
    return replace(estimate, unit="") if estimate.unit in ("share", "outputs") else estimate


def state(row: RowResults) -> str | None:
    """`frozen`, `live` or `between` by the interval of the slope over the seeds; `None` where there is no slope.

    A single seed's interval is the probe's own. Without any interval nothing can be told: `between`.
    """
    slope = row.metric("write_slope")
    if slope is None:
        return None
    return diagnosis(slope.low, slope.high) if slope.has_interval else "between"
