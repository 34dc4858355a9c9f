"""Parallel coordinate plot of a study's complete trials, with horizontal axes: a line for each trial, from top down."""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.stats import rankdata

from analysis.figures import labels
from analysis.figures.labels import TEXT_GAP, TICK_FONT_SIZE, fit_text, max_text_width
from analysis.formatting import ABSENT, make_printable
from analysis.report.tuning.search_space import Axis, domain_axis, format_choice, searched_domains, values_axis
from analysis.report.tuning.tuned_tasks import TunedArchitecture, final_score
from analysis.style import AID_COLOR, TEXT_COLOR, theme

WIDTH, RIGHT, TOP, BOTTOM, AXIS_DISTANCE = 440.0, 30.0, 22.0, 14.0, 38.0
"""Width of the figure, margins around its axes, and distance from one axis to the next, in points."""
NAME_LENGTH = 22
"""Characters on a line of a parameter's name."""
NAME_GAP = 20.0
"""Distance from a name to its axis in points; half of the first tick label lies between them."""
ABSENT_POSITION = 1.08
"""Position at which the line of a trial without the parameter crosses its axis."""
RASTER_ABOVE = 400
"""Number of trials above which the lines are drawn as one image."""
COLOR_MAP = colormaps["viridis"]


def caption(architecture: TunedArchitecture) -> str:
    """Returns the caption."""
    measure = architecture.measure
    return (
        f"Each line is a complete trial; the darker, the {measure.better} its {measure.words}; the thick one is the "
        "winner. A trial whose line passes an axis at the dash did not have the parameter."
    )


def draw_parallel(architecture: TunedArchitecture) -> Figure | None:
    """Draws an axis for each searched parameter and the metric; `None` with fewer than two complete trials."""
    study = architecture.study
    complete = [(trial, score) for trial in study.trials if (score := final_score(study, trial)) is not None]
    domains = [
        domain for domain in searched_domains(study) if any(domain.name in trial.params for trial, _ in complete)
    ]
    if len(complete) < 2 or not domains:
        return None
    measure = architecture.measure
    scores = [score for _, score in complete]
    axes = [
        domain_axis(domain, [trial.params[domain.name] for trial, _ in complete if domain.name in trial.params])
        for domain in domains
    ]
    axes.append(values_axis(scores) if measure.is_loss else Axis(low=min(scores), high=max(scores)))
    positions = np.array(
        [
            [
                *(
                    axis.position(trial.params[domain.name]) if domain.name in trial.params else math.nan
                    for axis, domain in zip(axes[:-1], domains, strict=True)
                ),
                axes[-1].position(score),
            ]
            for trial, score in complete
        ]
    )
    absent = ~np.isfinite(positions)
    has_absent = absent.any(0)
    names = [f"{make_printable(domain.name)}{' (log)' if domain.log else ''}" for domain in domains]
    wrapped = [labels.wrap_text(name, NAME_LENGTH)[:2] for name in (*names, f"validation {measure.words}")]
    left = NAME_GAP + 6 + max_text_width((line for lines in wrapped for line in lines), labels.FONT_SIZE)
    height = TOP + AXIS_DISTANCE * (len(axes) - 1) + BOTTOM
    with theme():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        frame = (left / WIDTH, BOTTOM / height, 1 - (left + RIGHT) / WIDTH, AXIS_DISTANCE * (len(axes) - 1) / height)
        panel = figure.add_axes(frame)
        panel.set_axis_off()
        panel.set_xlim(0, 1)
        panel.set_ylim(len(axes) - 1, 0)
        is_winner = [trial.number == study.winner for trial, _ in complete]
        draw_lines(
            panel, np.where(absent, ABSENT_POSITION, positions), [measure.sign * score for score in scores], is_winner
        )
        for index, (axis, lines) in enumerate(zip(axes, wrapped, strict=True)):
            draw_axis(panel, index, axis, "\n".join(lines), has_absent=bool(has_absent[index]))
    return figure


def alt_text(architecture: TunedArchitecture) -> str:
    """Describes the figure for screen readers."""
    return f"Parallel coordinates of the complete trials of {architecture.name}."


def draw_lines(panel: Axes, positions: np.ndarray, costs: list[float], is_winner: list[bool]) -> None:
    """Draws a line for each trial: the lower its cost ranks, the darker, and the lowest on top.

    Args:
        panel: axes to draw in.
        positions: (trials, axes), position of each trial on each axis.
        costs: of each trial, its loss or what else is better the lower it is.
        is_winner: whether each trial is the winner, whose line is thick.
    """
    ranks = rankdata(costs, method="average")
    share = (ranks - 1) / max(1, len(costs) - 1)
    order = sorted(range(len(costs)), key=lambda index: (-share[index], index))
    rows = np.arange(positions.shape[1])
    segments = [np.column_stack([positions[index], rows]) for index in order]
    colors = [COLOR_MAP(0.92 * float(share[index])) for index in order]
    lines = LineCollection(segments, colors=colors, linewidths=0.9, alpha=0.75, clip_on=False, zorder=2)
    lines.set_rasterized(len(costs) > RASTER_ABOVE)
    panel.add_collection(lines, autolim=False)
    for index in np.flatnonzero(is_winner):
        panel.plot(positions[index], rows, color=COLOR_MAP(0.0), linewidth=2.6, marker="", clip_on=False, zorder=3)


def draw_axis(panel: Axes, row: int, axis: Axis, name: str, *, has_absent: bool) -> None:
    """Draws one axis: its line, its ticks with labels, and the parameter's name to its left.

    Args:
        panel: axes to draw in.
        row: vertical position.
        axis: axis of the parameter.
        name: name of the parameter.
        has_absent: whether some trials do not have the parameter, so that the axis has a tick for them.
    """
    panel.plot([0, 1], [row, row], color=AID_COLOR, linewidth=0.8, marker="", clip_on=False, zorder=2.5)
    ticks = list(axis.ticks(6))
    width = panel.get_window_extent().width / panel.figure.dpi * 72
    texts = [text for _, text in ticks]
    if axis.choices is not None:
        texts = [fit_text(format_choice(text), width / len(ticks) - TEXT_GAP) for text in texts]
    if has_absent:
        ticks.append((ABSENT_POSITION, ""))
        texts.append(ABSENT)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    placement: dict[str, Any] = {"ha": "center", "va": "bottom", "zorder": 5, "bbox": box}
    for (x, _), text in zip(ticks, texts, strict=True):
        if not math.isfinite(x):
            continue
        ends = [row - 0.06, row + 0.06]
        panel.plot([x, x], ends, color=TEXT_COLOR, linewidth=0.8, marker="", clip_on=False, zorder=4)
        panel.text(x, row - 0.1, text, fontsize=TICK_FONT_SIZE, color=TEXT_COLOR, parse_math=False, **placement)
    panel.text(-NAME_GAP / width, row, name, ha="right", va="center", fontsize=labels.FONT_SIZE, parse_math=False)
