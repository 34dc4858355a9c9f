"""The chapter on lemma 1."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import figure

from analysis import style
from analysis.figures.discount_dynamics import drawn, lines, scale, straight
from analysis.figures.panels import AID, Line, Panel
from analysis.formatting import ABSENT, format_estimate, join_names
from analysis.probes.aggregate import RowResults, SectionResults, with_number
from analysis.report import output_files, ranking
from analysis.report.blocks import Block, Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import build_chapter, capitalize_first
from analysis.report.ranking import Question
from analysis.statistics import Estimate
from analysis.style import DOTTED

ANCHOR = "alternation"
COLUMNS: Sequence[tuple[str, str, str]] = (
    ("loss", "loss", "at the training length"),
    ("loss_share", "of the trivial loss", "at the training length"),
    ("amplitude", "amplitude / c", "at the training length"),
    ("loss_beyond", "loss", "on to 4 times as much"),
    ("amplitude_beyond", "amplitude / c", "on to 4 times as much"),
    ("write_last", "write at the end", "write"),
    ("write_slope", "slope of log write", "write"),
    ("attention_growth", "measured", "growth of log a, nats a step"),
    ("growth_needed", "needed", "growth of log a, nats a step"),
    ("growth_of_lemma", "by the lemma as it stands", "growth of log a, nats a step"),
)
"""A number, and how it is headed."""
CAPTION = (
    "Squared error, growth of log a, and write against the step, on to four times the length of training. log a and "
    "write are means over units, each by how far it can move the answer in a step. Dashed: what log a has to grow by, "
    "at least, for the answer to go on alternating, with the read-out and the features of the first average without a "
    "discount; dotted: the same by the lemma as it stands, where the state itself is the answer; and 1 / t, the write "
    "of an average whose attention no longer grows. Means of two steps; bands: 95 % intervals over seeds."
)


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Whether attention has to grow for an answer to alternate, task by task."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="Lemma 1: alternation",
        sentences=lambda section: [capitalize_first(each, section.rows) for each in summary(section.rows)],
        proof=lambda section: proof(section, folder),
    )


def summary(rows: Sequence[RowResults]) -> list[str]:
    """Who answers best, and what the attention of an average had to do for it."""
    sentences = []
    losses = sorted(with_number(rows, "loss"), key=lambda pair: pair[1].value)
    if losses:
        question = Question(asked="", best="has the lowest loss", short="", highest=False)
        sentences.append(ranking.sentence(question, [(row.row, estimate) for row, estimate in losses]))
    shares = [(row.row.label, estimate.value) for row, estimate in with_number(rows, "loss_share")]
    if idle := [label for label, value in shares if 0.9 < value <= 1.1]:
        sentences.append(f"within a tenth of the trivial loss, that of a constant answer: {join_names(idle)}.")
    if worse := [label for label, value in shares if value > 1.1]:
        sentences.append(f"above the trivial loss, and so worse than a constant answer: {join_names(worse)}.")
    for row in rows:
        sentences += growth(row)
    lost = []
    for row in rows:
        near, far = row.metric("amplitude"), row.metric("amplitude_beyond")
        if near is not None and far is not None and near.value > 0.5 and far.value < 0.5 * near.value:
            if near.has_interval and far.has_interval and near.overlaps(far):
                continue
            near, far = replace(near, unit=""), replace(far, unit="")
            lost.append(f"{row.row.label} from {format_estimate(near)} to {format_estimate(far)} of c")
    if lost:
        sentences.append(f"beyond the length of training the amplitude falls by more than half: {', '.join(lost)}.")
    return sentences


def growth(row: RowResults) -> list[str]:
    """Whether the attention of an average without a discount grows as it has to."""
    measured, needed = row.metric("attention_growth"), row.metric("growth_needed")
    margin, after = row.metric("growth_margin"), row.metric("growth_margin_beyond")
    if measured is None or needed is None or margin is None:
        return []
    said = f"the attention of {row.row.label} grows by {format_estimate(measured)}"
    bound = f"the {format_estimate(needed)} that lemma 1 asks for with its read-out and features"
    if not margin.has_interval:
        sentences = [f"{said}, beside {bound}."]
    elif margin.low > 0:
        sentences = [f"{said}, more than {bound}."]
    elif margin.high < 0:
        sentences = [f"{said}, less than {bound}: it cannot go on so."]
    else:
        sentences = [f"{said}, which cannot be told from {bound}."]
    if after is not None and after.has_interval and after.high < 0:
        sentences.append(
            f"after the length of training it falls short of that by {format_estimate(_turned(after))}, as corollary 2 "
            "says of any bounded attention."
        )
    elif after is not None and after.has_interval and after.low > 0:
        sentences.append(f"it still grows faster, by {format_estimate(after)}, at the steps that follow.")
    return sentences


def table(section: SectionResults) -> Table:
    """The numbers of every row, with their intervals."""
    kept = [each for each in COLUMNS if any(row.metric(each[0]) is not None for row in section.rows)]
    lines = []
    for row in section.rows:
        cells = [Cell(text=row.row.label, look=row.row.look)]
        for name, _, _ in kept:
            estimate = row.metric(name)
            cells.append(Cell(text=ABSENT if estimate is None else format_estimate(estimate, unit=False)))
        lines.append(tuple(cells))
    columns = (Column(heading="architecture", kind="text"), *(Column(heading=name, group=of) for _, name, of in kept))
    return Table(
        caption=f"Lemma 1 on {section.section.title}, with 95 % intervals where there are any",
        columns=columns,
        lines=tuple(lines),
    )


def _turned(estimate: Estimate) -> Estimate:
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def proof(section: SectionResults, folder: Path) -> list[Block]:
    """A task's table and figure."""
    blocks: list[Block] = [table(section)]
    if (drawing := draw(section.rows)) is not None:
        name = f"{section.section.anchor}-lemma"
        blocks.append(
            Figure(svg=output_files.inline(style.save(drawing, folder, name), name, CAPTION), caption=CAPTION)
        )
    return blocks


def draw(rows: Sequence[RowResults]) -> figure.Figure | None:
    """Error, growth of log a with its bounds, and write against the step."""
    error, attention, write = (lines(rows, name) for name in ("error", "log_attention", "write"))
    of_data = straight([Line(label=each.label, x=each.x, y=each.y, look=each.look) for each in attention])
    if of_data is not None:
        for name, label, dash in (
            ("growth_needed", "needed", AID["linestyle"]),
            ("growth_of_lemma", "lemma as it stands", DOTTED),
        ):
            needed = next((found for row in rows if (found := row.metric(name)) is not None), None)
            if needed is not None:
                x = attention[0].x
                y = needed.value * (x - x[0])
                # No further than to where the measured lines end.
                y = np.where(y <= of_data.high, y, np.nan)
                attention.append(Line(label=label, x=x, y=y, look={**AID, "linestyle": dash}))
    if write:
        x = max((each.x for each in write), key=len)
        write.append(Line(label="1 / t", x=x, y=1 / x, look=AID))
    return drawn(
        Panel(lines=error, x_label="step", y_label="squared error (logarithmic)", scale=scale(error)),
        Panel(lines=attention, x_label="step", y_label="log a, nats", scale=of_data),
        Panel(lines=write, x_label="step (logarithmic)", y_label="write (logarithmic)", log_x=True, scale=scale(write)),
    )
