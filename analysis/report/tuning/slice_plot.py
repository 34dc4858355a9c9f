"""Slices: the validation loss of every trial against each parameter, one small panel a parameter."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.axes import AxisScale, fit_scale
from analysis.figures.labels import TEXT_GAP, TICK, fitted
from analysis.formatting import printable
from analysis.report.tuning import search_space as axes_of
from analysis.report.tuning.search_space import Axis, Domain, named, searched
from analysis.report.tuning.tuned import TunedArchitecture, shown_loss
from analysis.style import FAINT, INK, theme
from workbench.study_files import State, Study, Trial

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440.0, 48.0, 8.0, 8.0, 36.0
"""Points: of the figure, and of what surrounds its panels."""
HIGH, BETWEEN, APART = 92.0, 42.0, 16.0
"""Points: of a panel, between panels one below the other, and side by side."""
COLUMNS = 3
WIDE = (WIDTH - LEFT - RIGHT - APART * (COLUMNS - 1)) / COLUMNS
"""Points of a panel's width."""
ROOM = 0.05
"""Beside the ends of a panel, as a share of its width."""
MANY = 4000
"""Points from which on they are drawn as one image, so that the file stays small."""
DRAWN: tuple[State, ...] = ("diverged", "pruned", "complete")
"""Those on top last."""
SPREAD = 0.35
"""How far points of one choice are spread to its sides, as a share of the room between choices."""


def draw(each: TunedArchitecture) -> Figure | None:
    """Draws a panel for each searched parameter that some trial with a loss has; `None` where there is none."""
    study = each.study
    drawn = [(trial, loss) for trial in study.finished if (loss := shown_loss(study, trial)) is not None]
    domains = [domain for domain in searched(study) if any(domain.name in trial.params for trial, _ in drawn)]
    if not domains:
        return None
    rows = -(-len(domains) // COLUMNS)
    total = TOP + rows * HIGH + (rows - 1) * BETWEEN + BOTTOM
    scale = fit_scale(loss for _, loss in drawn)
    with theme():
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        for index, domain in enumerate(domains):
            row, column = divmod(index, COLUMNS)
            left, bottom = LEFT + column * (WIDE + APART), total - TOP - HIGH - row * (HIGH + BETWEEN)
            panel = figure.add_axes((left / WIDTH, bottom / total, WIDE / WIDTH, HIGH / total))
            fill(panel, each, domain, scale, crowded=len(drawn) * len(domains) > MANY)
            panel.tick_params(labelleft=column == 0, labelsize=TICK)
            label(panel, domain, WIDE)
        middle = (BOTTOM + total - TOP) / 2 / total
        figure.text(11 / WIDTH, middle, "validation loss", rotation=90, ha="center", va="center")
    return figure


def fill(panel: Axes, each: TunedArchitecture, domain: Domain, scale: AxisScale, *, crowded: bool) -> None:
    """Draws the trials of one panel: those of the lowest loss on top."""
    study = each.study
    given = [trial.params[domain.name] for trial in study.finished if domain.name in trial.params]
    axis = axes_of.of_domain(domain, given)
    scale.apply(panel)
    ticks(panel, axis, WIDE)
    for state in DRAWN:
        points = [
            (spread(axis, trial, domain.name), scale.high if state == "diverged" else shown_loss(study, trial))
            for trial in study.in_state(state)
            if domain.name in trial.params and not (state == "complete" and trial.number == study.winner)
        ]
        kept = [(x, y) for x, y in points if y is not None and math.isfinite(x)]
        if kept:
            panel.plot(*place(kept, scale), rasterized=crowded, clip_on=False, **mark(each, state))
    winner = each.winner
    loss = None if winner is None else shown_loss(study, winner)
    if winner is not None and loss is not None and domain.name in winner.params:
        x = spread(axis, winner, domain.name)
        panel.plot(*place([(x, loss)], scale), clip_on=False, **{**mark(each, "complete"), **WINNER})


def place(points: list[tuple[float, float]], scale: AxisScale) -> tuple[list[float], Any]:
    """The points as two columns, inside the panel."""
    return [x for x, _ in points], scale.clip([y for _, y in points])


def spread(axis: Axis, trial: Trial, name: str) -> float:
    """Where a trial stands. Those of one choice are spread by their numbers, evenly and always alike."""
    x = axis.place(trial.params[name])
    if axis.choices is None:
        return x
    return x + SPREAD * (2 * ((trial.number * 0.618034) % 1) - 1) / len(axis.choices)


def mark(each: TunedArchitecture, state: str) -> dict[str, Any]:
    """How a trial is drawn: full if complete, a thin cross if it was pruned, a thick one if it diverged."""
    colour = each.look.colour
    cross = {"linestyle": "", "marker": "x", "markeredgecolor": colour}
    if state == "pruned":
        return {**cross, "markersize": 3.4, "markeredgewidth": 0.8, "alpha": 0.75}
    if state == "diverged":
        return {**cross, "markersize": 6, "markeredgewidth": 1.6}
    look = {"marker": each.look.marker, "markersize": 4.4, "markeredgewidth": 0.5}
    return {**look, "linestyle": "", "color": colour, "markeredgecolor": "white", "alpha": 0.75}


WINNER: dict[str, Any] = {
    "markersize": 8,
    "markeredgewidth": 1.6,
    "markeredgecolor": INK,
    "alpha": 1.0,
    "zorder": 5,
}
"""What the winner has beside: larger, with a dark rim."""


def ticks(panel: Axes, axis: Axis, width: float) -> None:
    """Gives the horizontal axis its ticks; texts that would touch are cut.

    Args:
        panel: the axes.
        axis: of the parameter.
        width: of the panel, in points.
    """
    found = axis.ticks()
    panel.set_xlim(-ROOM, 1 + ROOM)
    texts = [text for _, text in found]
    if axis.choices is not None:
        room = width / (1 + 2 * ROOM) / len(found) - TEXT_GAP
        texts = [fitted(named(text), room) for text in texts]
    panel.set_xticks([x for x, _ in found], texts, fontsize=TICK, parse_math=False)
    panel.grid(axis="x", visible=False)


def label(panel: Axes, domain: Domain, width: float) -> None:
    """Names the parameter below the panel, in what fits."""
    text = fitted(f"{printable(domain.name)}{' (log)' if domain.log else ''}", width, labels.SIZE)
    panel.set_xlabel(text, labelpad=3, fontsize=labels.SIZE, color=INK, parse_math=False)
    panel.spines["bottom"].set_color(FAINT)


def described(study: Study, name: str) -> str:
    """The figure for those who cannot see it."""
    return f"Slices of {name}: validation loss against {', '.join(printable(each.name) for each in searched(study))}."
