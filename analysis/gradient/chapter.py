"""The chapter on gradients: figures and a table for every task, and the sentences that open it."""

from collections.abc import Sequence
from pathlib import Path

from analysis import style, svg
from analysis.assembled import assembled
from analysis.blocks import Cell, Chapter, Column, Figure, Table
from analysis.estimates import shown
from analysis.formats import ABSENT, count, listed, number
from analysis.gradient.sentences import measure, sentences
from analysis.plots.decay import falling, from_logs, lines_of
from analysis.plots.panel import Panel, draw
from analysis.probed import Probed, ProbedSection

ANCHOR = "gradient-decay"
LAG = "lag, steps"


def chapter(sections: Sequence[ProbedSection], folder: Path) -> Chapter | None:
    """How gradients decay, task by task."""
    return assembled(
        sections,
        anchor=ANCHOR,
        title="How the gradient decays",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder), table(section)),
        lacking=lambda section: _lacking(section.rows),
    )


def _lacking(rows: Sequence[Probed]) -> list[str]:
    """A sentence for each measure and reason for which some rows lack it."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name in dict.fromkeys(name for found in row.findings for name in found.missing):
            by_reason.setdefault((name, row.missing(name) or ""), []).append(row.row.label)
    return [f"{name.replace('_', ' ')} of {listed(who)}: {why}." for (name, why), who in by_reason.items()]


def figures(section: ProbedSection, folder: Path) -> list[Figure]:
    """The gradient after training; before it, and of the loss; of the first step, the state, and the path."""
    rows = section.rows
    trained, before, loss, first, state = (
        from_logs(lines_of(rows, name))
        for name in ("gradient", "start_gradient", "loss_gradient", "first_step", "state_jacobian")
    )
    path = lines_of(rows, "path_length")
    groups = {
        "lag": (
            "The last output's gradient with respect to the input, by the lag of the input, on a linear and on a "
            "logarithmic axis: an exponential is a straight line in the upper panel, a power law in the lower.",
            [falling(trained, LAG, "norm"), falling(trained, LAG, "norm", log_x=True)],
        ),
        "start": (
            "The same before the first step of training (above), and the gradient of the task's own loss after it.",
            [falling(before, LAG, "norm, untrained"), falling(loss, LAG, "norm, of the loss")],
        ),
        "state": (
            "From the top: the last output's gradient with respect to the first step as more is read; how a change of "
            "the full state grows or fades (spectral norm); hops from the input to the output.",
            [
                falling(first, "steps read", "norm, first step", log_x=True),
                falling(state, LAG, "norm, of the state"),
                falling(path, LAG, "hops", log_x=True),
            ],
        ),
    }
    made = []
    for kind, (caption, panels) in groups.items():
        drawn = [panel for panel in panels if panel is not None]
        if drawn:
            name = f"{ANCHOR}-{section.section.anchor}-{kind}"
            text = style.save(draw(drawn), folder, name)
            made.append(Figure(svg=svg.inline(text, name, described(section, drawn)), caption=_whole(caption, panels)))
    return made


def described(section: ProbedSection, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{panel.y_label} against {panel.x_label} for {listed([each.label for each in panel.lines])}"
        for panel in panels
    )
    return f"{section.section.title}: {what}"


def _whole(caption: str, panels: Sequence[Panel | None]) -> str:
    note = (
        "Bands: 95 % intervals, but for two seeds, where they would hide all else. A line ends where it falls below a "
        "trillionth of the largest value."
    )
    lost = "" if all(panels) else " A panel without data is left out."
    return f"{caption} {note}{lost}"


def table(section: ProbedSection) -> Table:
    """The laws, and what belongs to them, a line a row."""
    groups = {
        "last output": ("decay", "R²", "untrained"),
        "first step": ("decay",),
        "Lyapunov": ("largest exponent",),
        "path": ("hops",),
    }
    columns = [
        Column(heading=heading, group=group, kind="text" if heading in ("decay", "untrained") else "number")
        for group, headings in groups.items()
        for heading in headings
    ]
    return Table(
        caption=f"Gradients on {section.section.title}: half-lives in steps, Lyapunov exponents in nats a step",
        columns=(Column(heading="architecture", kind="text"), *columns),
        lines=tuple(_line(row) for row in section.rows),
    )


def _line(row: Probed) -> tuple[Cell, ...]:
    explained, largest, hops = (row.number(name) for name in ("gradient_r2", "lyapunov", "hops"))
    cells = [
        _decay(row, "gradient"),
        ABSENT if explained is None else number(explained.value),
        _decay(row, "start_gradient"),
        _decay(row, "first_step"),
        ABSENT if largest is None else shown(largest, unit=False),
        ABSENT if hops is None else count(hops.value),
    ]
    return (Cell(text=row.row.label, look=row.row.look), *(Cell(text=text) for text in cells))


def _decay(row: Probed, name: str) -> str:
    """`half-life 41.0 [38.0, 45.0]`, `exponent -1.00 [-1.02, -0.98]`, or that no law is named."""
    law = row.word(f"{name}_law")
    if law is None:
        return ABSENT
    found = measure(row, name, law)
    return law if found is None else f"{found[0]} {shown(found[1], unit=False)}"
