"""The chapter on lemma 1."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis import ranking, style, svg
from analysis.assembled import assembled
from analysis.blocks import Block, Cell, Chapter, Column, Figure, Table
from analysis.discount.sentences import opened
from analysis.estimates import shown
from analysis.formats import ABSENT, listed
from analysis.plots import lemma as plots
from analysis.probed import Estimate, Probed, ProbedSection, with_number
from analysis.questions import Question

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


def chapter(sections: Sequence[ProbedSection], folder: Path) -> Chapter | None:
    """Whether attention has to grow for an answer to alternate, task by task."""
    return assembled(
        sections,
        anchor=ANCHOR,
        title="Lemma 1: alternation",
        sentences=lambda section: [opened(each, section.rows) for each in summary(section.rows)],
        proof=lambda section: proof(section, folder),
    )


def summary(rows: Sequence[Probed]) -> list[str]:
    """Who answers best, and what the attention of an average had to do for it."""
    sentences = []
    losses = sorted(with_number(rows, "loss"), key=lambda pair: pair[1].value)
    if losses:
        question = Question(asked="", best="has the lowest loss", short="", highest=False)
        sentences.append(ranking.sentence(question, [(row.row, estimate) for row, estimate in losses]))
    shares = [(row.row.label, estimate.value) for row, estimate in with_number(rows, "loss_share")]
    if idle := [label for label, value in shares if 0.9 < value <= 1.1]:
        sentences.append(f"within a tenth of the trivial loss, that of a constant answer: {listed(idle)}.")
    if worse := [label for label, value in shares if value > 1.1]:
        sentences.append(f"above the trivial loss, and so worse than a constant answer: {listed(worse)}.")
    for row in rows:
        sentences += growth(row)
    lost = []
    for row in rows:
        near, far = row.number("amplitude"), row.number("amplitude_beyond")
        if near is not None and far is not None and near.value > 0.5 and far.value < 0.5 * near.value:
            if near.sure and far.sure and near.overlaps(far):
                continue
            near, far = replace(near, unit=""), replace(far, unit="")
            lost.append(f"{row.row.label} from {shown(near)} to {shown(far)} of c")
    if lost:
        sentences.append(f"beyond the length of training the amplitude falls by more than half: {', '.join(lost)}.")
    return sentences


def growth(row: Probed) -> list[str]:
    """Whether the attention of an average without a discount grows as it has to."""
    measured, needed = row.number("attention_growth"), row.number("growth_needed")
    margin, after = row.number("growth_margin"), row.number("growth_margin_beyond")
    if measured is None or needed is None or margin is None:
        return []
    said = f"the attention of {row.row.label} grows by {shown(measured)}"
    bound = f"the {shown(needed)} that lemma 1 asks for with its read-out and features"
    if not margin.sure:
        sentences = [f"{said}, beside {bound}."]
    elif margin.low > 0:
        sentences = [f"{said}, more than {bound}."]
    elif margin.high < 0:
        sentences = [f"{said}, less than {bound}: it cannot go on so."]
    else:
        sentences = [f"{said}, which cannot be told from {bound}."]
    if after is not None and after.sure and after.high < 0:
        sentences.append(
            f"after the length of training it falls short of that by {shown(_turned(after))}, as corollary 2 "
            "says of any bounded attention."
        )
    elif after is not None and after.sure and after.low > 0:
        sentences.append(f"it still grows faster, by {shown(after)}, at the steps that follow.")
    return sentences


def table(section: ProbedSection) -> Table:
    """The numbers of every row, with their intervals."""
    kept = [each for each in COLUMNS if any(row.number(each[0]) is not None for row in section.rows)]
    lines = []
    for row in section.rows:
        cells = [Cell(text=row.row.label, look=row.row.look)]
        for name, _, _ in kept:
            estimate = row.number(name)
            cells.append(Cell(text=ABSENT if estimate is None else shown(estimate, unit=False)))
        lines.append(tuple(cells))
    columns = (Column(heading="architecture", kind="text"), *(Column(heading=name, group=of) for _, name, of in kept))
    return Table(
        caption=f"Lemma 1 on {section.section.title}, with 95 % intervals where there are any",
        columns=columns,
        lines=tuple(lines),
    )


def _turned(estimate: Estimate) -> Estimate:
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def proof(section: ProbedSection, folder: Path) -> list[Block]:
    """A task's table and figure."""
    blocks: list[Block] = [table(section)]
    if (drawing := plots.draw(section.rows)) is not None:
        name = f"{section.section.anchor}-lemma"
        blocks.append(Figure(svg=svg.inline(style.save(drawing, folder, name), name, CAPTION), caption=CAPTION))
    return blocks
