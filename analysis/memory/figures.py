"""The figures of the chapter on memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import style, svg
from analysis.blocks import Figure
from analysis.formats import listed
from analysis.plots.panel import AID, Line, Panel, draw, line
from analysis.probed import Probed, ProbedSection
from analysis.scales import UNIT

LAG = "lag, steps"
TIMES = "sequence length, times that of training"
BANDS = "Bands: 95 % intervals."


def figures(section: ProbedSection, folder: Path, anchor: str) -> list[Figure]:
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
            image = svg.inline(text, name, described(section, drawn))
            made.append(Figure(svg=image, caption=f"{caption} {BANDS}"))
    return made


def panel(
    rows: Sequence[Probed], name: str, x_label: str, y_label: str, *, unit: bool = False, log_x: bool = False
) -> Panel | None:
    """A curve of each row that has it in at least two places; `None` where no row has."""
    lines = lines_of(rows, name, 1 if log_x else 0)
    if not lines:
        return None
    return Panel(lines=lines, x_label=x_label, y_label=y_label, log_x=log_x, scale=UNIT if unit else None)


def lines_of(rows: Sequence[Probed], name: str, least: float) -> list[Line]:
    """The rows' lines with two values or more from an x on."""
    found = [(row, curve) for row in rows if (curve := row.curve(name)) is not None]
    return [line(row, curve) for row, curve in found if np.isfinite(curve.array()[curve.array("x") >= least]).sum() > 1]


def recall(rows: Sequence[Probed]) -> Panel | None:
    """Accuracy against lag, with the bound of the horizon."""
    lines = lines_of(rows, "recall", 0)
    bound = next((found.value for row in rows if (found := row.number("recall_bound")) is not None), None)
    if not lines or bound is None:
        return None
    x = np.array([min(each.x.min() for each in lines), max(each.x.max() for each in lines)])
    aid = Line(label="half way", x=x, y=np.array([bound, bound]), look=AID)
    return Panel(lines=[*lines, aid], x_label=LAG, y_label="accuracy", scale=UNIT)


def longer(rows: Sequence[Probed]) -> Panel | None:
    """Loss against length, with the trivial loss."""
    lines = lines_of(rows, "extrapolation_loss", 1)
    trivial = [curve for row in rows if (curve := row.curve("extrapolation_trivial")) is not None]
    if not lines:
        return None
    longest = max(trivial, key=lambda curve: len(curve.x))
    aid = Line(label="trivial", x=longest.array("x"), y=longest.array(), look=AID)
    return Panel(lines=[*lines, aid], x_label=TIMES, y_label="loss", log_x=True)


def described(section: ProbedSection, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{each.y_label} against {each.x_label} for {listed([one.label for one in each.lines])}" for each in panels
    )
    return f"{section.section.title}: {what}"
