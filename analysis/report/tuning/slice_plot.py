"""Slice plot of a study: the validation score of every trial against each searched parameter, a panel for each."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import labels
from analysis.figures.axes import AxisScale
from analysis.figures.labels import TEXT_GAP, TICK_FONT_SIZE, fit_text
from analysis.formatting import make_printable
from analysis.report.tuning.search_space import Axis, Domain, domain_axis, format_choice, searched_domains
from analysis.report.tuning.tuned_tasks import TunedArchitecture, plotted_score
from analysis.style import AID_COLOR, TEXT_COLOR, theme
from workbench.study_files import Trial, TrialStatus

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440.0, 48.0, 8.0, 8.0, 36.0
"""Width of the figure and margins around its panels, in points."""
PANEL_HEIGHT, ROW_GAP, COLUMN_GAP = 92.0, 42.0, 16.0
"""Height of a panel and gaps between panels, in points."""
COLUMNS = 3
PANEL_WIDTH = (WIDTH - LEFT - RIGHT - COLUMN_GAP * (COLUMNS - 1)) / COLUMNS
MARGIN = 0.05
"""Space beyond the ends of an axis, as a share of its length."""
RASTER_ABOVE = 4000
"""Number of points above which they are drawn as one image, so that the file stays small."""
DRAW_ORDER: tuple[TrialStatus, ...] = ("diverged", "pruned", "complete")
"""States in order of drawing; the last lies on top."""
SPREAD = 0.35
"""Spread of the points of one choice to each side, as a share of the distance between choices."""
WINNER_STYLE: dict[str, Any] = {
    "markersize": 8,
    "markeredgewidth": 1.6,
    "markeredgecolor": TEXT_COLOR,
    "alpha": 1.0,
    "zorder": 5,
}
"""Changes to the marker of a complete trial for the winner: larger, with a dark edge."""


def caption(architecture: TunedArchitecture) -> str:
    """Returns the caption."""
    measure = architecture.measure
    return (
        "Each point is a finished trial, at the value that it had of the parameter. Thin crosses were pruned, at the "
        f"last {measure.words} they reported; thick crosses at the {'lower' if measure.maximize else 'upper'} edge "
        "diverged; the winner is the large point with a dark rim."
    )


def draw_slices(architecture: TunedArchitecture) -> Figure | None:
    """Draws a panel for each searched parameter that a trial with a loss has; `None` if there are none."""
    study = architecture.study
    losses = [(trial, loss) for trial in study.finished_trials if (loss := plotted_score(study, trial)) is not None]
    domains = [domain for domain in searched_domains(study) if any(domain.name in trial.params for trial, _ in losses)]
    if not domains:
        return None
    num_rows = math.ceil(len(domains) / COLUMNS)
    height = TOP + num_rows * PANEL_HEIGHT + (num_rows - 1) * ROW_GAP + BOTTOM
    scale = architecture.measure.fit_scale(loss for _, loss in losses)
    rasterized = len(losses) * len(domains) > RASTER_ABOVE
    with theme():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        for index, domain in enumerate(domains):
            row, column = divmod(index, COLUMNS)
            left = LEFT + column * (PANEL_WIDTH + COLUMN_GAP)
            bottom = height - TOP - PANEL_HEIGHT - row * (PANEL_HEIGHT + ROW_GAP)
            panel = figure.add_axes((left / WIDTH, bottom / height, PANEL_WIDTH / WIDTH, PANEL_HEIGHT / height))
            draw_panel(panel, architecture, domain, scale, rasterized=rasterized)
            panel.tick_params(labelleft=column == 0, labelsize=TICK_FONT_SIZE)
            set_label(panel, domain, PANEL_WIDTH)
        middle = (BOTTOM + height - TOP) / 2 / height
        figure.text(
            11 / WIDTH, middle, f"validation {architecture.measure.words}", rotation=90, ha="center", va="center"
        )
    return figure


def alt_text(architecture: TunedArchitecture) -> str:
    """Describes the figure for screen readers."""
    names = ", ".join(make_printable(domain.name) for domain in searched_domains(architecture.study))
    return f"Slices of {architecture.name}: validation {architecture.measure.words} against {names}."


def draw_panel(
    panel: Axes, architecture: TunedArchitecture, domain: Domain, scale: AxisScale, *, rasterized: bool
) -> None:
    """Draws the trials of a study against one parameter, the winner on top.

    Args:
        panel: axes to draw in.
        architecture: the architecture with its study.
        domain: domain of the parameter.
        scale: scale of the metric.
        rasterized: whether points are drawn as an image.
    """
    study, name = architecture.study, domain.name
    axis = domain_axis(domain, [trial.params[name] for trial in study.finished_trials if name in trial.params])
    worst = architecture.measure.worst_end(scale)
    scale.apply(panel)
    set_ticks(panel, axis, PANEL_WIDTH)
    for state in DRAW_ORDER:
        trials = [trial for trial in study.trials_in(state) if name in trial.params]
        points = [
            (spread_position(axis, trial, name), worst if state == "diverged" else plotted_score(study, trial))
            for trial in trials
            if not (state == "complete" and trial.number == study.winner)
        ]
        drawable = [(x, y) for x, y in points if y is not None and math.isfinite(x)]
        if drawable:
            style = marker_style(architecture, state)
            panel.plot(*clip_points(drawable, scale), rasterized=rasterized, clip_on=False, **style)
    winner = architecture.winner
    loss = None if winner is None else plotted_score(study, winner)
    if winner is not None and loss is not None and name in winner.params:
        point = (spread_position(axis, winner, name), loss)
        style = {**marker_style(architecture, "complete"), **WINNER_STYLE}
        panel.plot(*clip_points([point], scale), clip_on=False, **style)


def clip_points(points: list[tuple[float, float]], scale: AxisScale) -> tuple[list[float], Any]:
    """Returns the coordinates of points, with their heights clipped to the scale."""
    return [x for x, _ in points], scale.clip([y for _, y in points])


def spread_position(axis: Axis, trial: Trial, name: str) -> float:
    """Returns the position of a trial on an axis; trials of the same choice are spread."""
    x = axis.position(trial.params[name])
    return x if axis.choices is None else x + SPREAD * spread_offset(trial) / len(axis.choices)


def spread_offset(trial: Trial) -> float:
    """Returns an offset in [-1, 1) that spreads trials evenly, and is always the same for a trial number."""
    golden_ratio = 0.618034
    return 2 * ((trial.number * golden_ratio) % 1) - 1


def marker_style(architecture: TunedArchitecture, state: str) -> dict[str, Any]:
    """Returns the style of a trial's marker: filled if complete, a thin cross if pruned, a thick one if diverged."""
    style = architecture.line_style
    cross = {"linestyle": "", "marker": "x", "markeredgecolor": style.color}
    if state == "pruned":
        return {**cross, "markersize": 3.4, "markeredgewidth": 0.8, "alpha": 0.75}
    if state == "diverged":
        return {**cross, "markersize": 6, "markeredgewidth": 1.6}
    filled = {"marker": style.marker, "markersize": 4.4, "markeredgewidth": 0.5}
    return {**filled, "linestyle": "", "color": style.color, "markeredgecolor": "white", "alpha": 0.75}


def set_ticks(panel: Axes, axis: Axis, width: float) -> None:
    """Sets the ticks of the horizontal axis, and cuts labels that would overlap.

    Args:
        panel: axes to draw in.
        axis: axis of the parameter.
        width: width of the panel in points.
    """
    ticks = axis.ticks()
    panel.set_xlim(-MARGIN, 1 + MARGIN)
    texts = [text for _, text in ticks]
    if axis.choices is not None:
        room = width / (1 + 2 * MARGIN) / len(ticks) - TEXT_GAP
        texts = [fit_text(format_choice(text), room) for text in texts]
    panel.set_xticks([x for x, _ in ticks], texts, fontsize=TICK_FONT_SIZE, parse_math=False)
    panel.grid(axis="x", visible=False)


def set_label(panel: Axes, domain: Domain, width: float) -> None:
    """Names the parameter below the panel, cut to the panel's width in points."""
    size = labels.FONT_SIZE
    text = fit_text(f"{make_printable(domain.name)}{' (log)' if domain.log else ''}", width, size)
    panel.set_xlabel(text, labelpad=3, fontsize=size, color=TEXT_COLOR, parse_math=False)
    panel.spines["bottom"].set_color(AID_COLOR)
